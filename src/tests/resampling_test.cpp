// The bootstrap over seeds and images, class-agnostic average precision and calibration.
#include "eval/resampling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"
#include "eval/normal_numbers.h"
#include "eval/paired.h"
#include "random_detections.h"

namespace darknet::test {
namespace {

// Every lane against the plain function, on weights of all sizes.
TEST(Resampling, LanesEqualTheMeanAveragePrecision) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto images = random_images(seed, 12);
    const auto matched = match(images, 3, .5f);
    const ResampledStatistic statistic = resampled_mean_average_precision(matched);
    std::vector<ImageCounts> counts(images.size());
    Rng rng(seed, 1);
    for (ImageCounts& c : counts)
      for (std::int32_t& count : c) count = static_cast<std::int32_t>(rng.below(4));
    counts.front().back() = 0;
    const LaneValues values = statistic(counts);
    for (std::size_t l = 0; l < kResampleLanes; ++l) {
      std::vector<std::int64_t> weights;
      for (const ImageCounts& c : counts) weights.push_back(c[l]);
      EXPECT_NEAR(values[l], mean_average_precision(matched, weights), 1e-12) << seed << ' ' << l;
    }
  }
}

TEST(Resampling, NoImageNoValue) {
  const std::vector<ImageCounts> none(3);
  EXPECT_EQ(resampled_mean({1, 2, 3})(none).front(), 0);
  const auto matched = match(random_images(1, 3), 3, .5f);
  EXPECT_EQ(resampled_mean_average_precision(matched)(none).front(), 0);
  EXPECT_THROW(resampled_mean({1, std::numeric_limits<double>::infinity()}), Error);
}

// Figures per image of each seed's pair; the baseline's are all 0.
std::vector<SeedPair> pairs_of(const std::vector<std::vector<double>>& by_seed) {
  std::vector<SeedPair> pairs;
  for (const auto& by_image : by_seed)
    pairs.push_back(
        {resampled_mean(std::vector<double>(by_image.size())), resampled_mean(by_image)});
  return pairs;
}

TEST(Resampling, OfOneSeedOnlyTheImagesAreKnown) {
  std::vector<double> by_image;
  for (int i = 0; i < 400; ++i) by_image.push_back(i % 2);  // deviation .5
  const SeedsAndImages r =
      resample_seeds_and_images(pairs_of({by_image}), {.images = 400, .resamples = 4000});
  EXPECT_DOUBLE_EQ(r.mean, .5);
  EXPECT_NEAR(r.images_error, .5 / 20, .001);
  EXPECT_NEAR(r.over_images.low, .5 - 1.96 * .5 / 20, .004);
  EXPECT_NEAR(r.over_images.high, .5 + 1.96 * .5 / 20, .004);
  EXPECT_TRUE(std::isinf(r.over_both.low) && std::isinf(r.over_both.high));
}

// With the same difference on every image only the seeds count: the interval is Student's.
TEST(Resampling, WithoutSpreadOverImagesItIsTheTInterval) {
  const std::vector<double> d{1, 2, 4, 3};
  std::vector<std::vector<double>> by_seed;
  for (const double v : d) by_seed.emplace_back(50, v);
  const SeedsAndImages r =
      resample_seeds_and_images(pairs_of(by_seed), {.images = 50, .resamples = 4000});
  const PairedStatistics s = paired_statistics(d);
  EXPECT_EQ(r.by_seed, d);
  EXPECT_NEAR(r.seeds_error, s.deviation / 2, 1e-12);
  EXPECT_NEAR(r.images_error, 0, 1e-12);
  EXPECT_NEAR(r.over_both.low, s.confidence.low, .06);
  EXPECT_NEAR(r.over_both.high, s.confidence.high, .06);
  EXPECT_NEAR(r.degrees_of_freedom, 3, .3);
}

// And with the same difference for every seed only the images: the interval is the normal one.
TEST(Resampling, WithoutSpreadOverSeedsItIsTheIntervalOverImages) {
  std::vector<double> by_image;
  for (int i = 0; i < 400; ++i) by_image.push_back(i % 2);
  const SeedsAndImages r = resample_seeds_and_images(pairs_of({by_image, by_image, by_image}),
                                                     {.images = 400, .resamples = 4000});
  EXPECT_EQ(r.seeds_error, 0);
  EXPECT_NEAR(r.standard_error, .5 / 20, .001);
  EXPECT_NEAR(r.over_both.width(), 2 * student_t(.95, 399) * .5 / 20, .005);
}

// Effects of seed and image that add up: the variance of the mean is s^2 / 3 of the seeds, where
// drawing three seeds of three would make it 2/3 of that, and 1 / 400 of the images.
TEST(Resampling, TheStandardErrorIsThatOfBoth) {
  std::vector<std::vector<double>> by_seed;
  for (const double seed : {0., .1, .2}) {
    by_seed.emplace_back();
    for (int i = 0; i < 400; ++i) by_seed.back().push_back(seed + (i % 2 == 0 ? 1 : -1));
  }
  const SeedsAndImages r =
      resample_seeds_and_images(pairs_of(by_seed), {.images = 400, .resamples = 8000});
  EXPECT_NEAR(r.seeds_error, .1 / std::sqrt(3.), 1e-12);
  EXPECT_NEAR(r.images_error, .05, .001);
  const double seeds = .01 / 3, images = 1. / 400;
  EXPECT_NEAR(r.standard_error, std::sqrt(seeds + images), .002);
  EXPECT_NEAR(r.degrees_of_freedom,
              (seeds + images) * (seeds + images) / (seeds * seeds / 2 + images * images / 399),
              .6);
}

TEST(Resampling, IsDeterministicAndRefusesWhatIsNoExperiment) {
  const auto pairs = pairs_of({{1, 2, 3, 9}, {2, 2, 5, 1}, {0, 1, 4, 4}});
  const ResampleOptions options{.images = 4, .resamples = 333, .seed = 9};
  const SeedsAndImages a = resample_seeds_and_images(pairs, options);
  const SeedsAndImages b = resample_seeds_and_images(pairs, options);
  EXPECT_EQ(a.over_both.low, b.over_both.low);
  EXPECT_EQ(a.over_images.high, b.over_images.high);
  EXPECT_NE(
      a.standard_error,
      resample_seeds_and_images(pairs, {.images = 4, .resamples = 333, .seed = 10}).standard_error);
  EXPECT_THROW(resample_seeds_and_images({}, options), Error);
  EXPECT_THROW(resample_seeds_and_images(pairs, {.images = 0}), Error);
}

// The draws are bootstrap()'s, so the interval over images is the one that it gives.
TEST(Resampling, DrawsTheImagesThatBootstrapDraws) {
  const std::vector<double> by_image{3, 1, 4, 1, 5, 9, 2, 6};
  const Interval plain = bootstrap(8, 500, 3, [&](std::span<const std::int64_t> drawn) {
    double sum = 0;
    for (const std::int64_t i : drawn) sum += by_image[to_size(i)];
    return sum / 8;
  });
  const SeedsAndImages r =
      resample_seeds_and_images(pairs_of({by_image}), {.images = 8, .resamples = 500, .seed = 3});
  EXPECT_DOUBLE_EQ(r.over_images.low, plain.low);
  EXPECT_DOUBLE_EQ(r.over_images.high, plain.high);
}

// Simulated experiments of four seeds on 30 images whose difference is the sum of an effect of the
// seed, of the image and of both. Intervals over images alone, or over seeds alone, miss the truth
// more often than they say; that over both does not.
TEST(Resampling, TheIntervalOverBothHoldsWhereThoseOverOneDoNot) {
  constexpr int kExperiments = 300;
  int both = 0, images = 0, seeds = 0;
  for (int k = 0; k < kExperiments; ++k) {
    NormalNumbers normal(3, static_cast<std::uint64_t>(k));
    std::vector<std::vector<double>> by_seed(4, std::vector<double>(30));
    std::vector<double> of_image(30);
    for (double& v : of_image) v = 6 * normal.next();
    for (auto& by_image : by_seed) {
      const double of_seed = normal.next();
      for (std::size_t i = 0; i < by_image.size(); ++i)
        by_image[i] = of_seed + of_image[i] + 2 * normal.next();
    }
    const SeedsAndImages r =
        resample_seeds_and_images(pairs_of(by_seed), {.images = 30, .resamples = 200});
    both += r.over_both.contains(0);
    images += r.over_images.contains(0);
    seeds += paired_statistics(r.by_seed).confidence.contains(0);
  }
  EXPECT_GE(both, kExperiments * 93 / 100);  // 95 %, less 1.6 standard errors
  EXPECT_LE(images, kExperiments * 91 / 100);
  EXPECT_LE(seeds, kExperiments * 88 / 100);
}

}  // namespace
}  // namespace darknet::test
