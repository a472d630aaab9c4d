#include "eval/resampling.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"
#include "eval/distributions.h"

namespace darknet {
namespace {

using Lanes = ImageCounts;

// One class of one network. Detections after the last hit change no area and are left out.
struct CompactClass {
  std::vector<std::int32_t> images;  // of the detections, by falling score
  std::vector<std::size_t> hits;     // places in it
  std::vector<std::int32_t> images_with_truths;
  std::vector<std::int32_t> truths;  // of those images
};

CompactClass compact(const MatchedClass& c) {
  CompactClass to;
  for (std::size_t i = 0; i < c.ranked.size(); ++i) {
    to.images.push_back(static_cast<std::int32_t>(c.ranked[i].image));
    if (c.ranked[i].hit) to.hits.push_back(i);
  }
  to.images.resize(to.hits.empty() ? 0 : to.hits.back() + 1);
  for (std::size_t i = 0; i < c.truths_of_image.size(); ++i) {
    if (c.truths_of_image[i] == 0) continue;
    to.images_with_truths.push_back(static_cast<std::int32_t>(i));
    to.truths.push_back(static_cast<std::int32_t>(c.truths_of_image[i]));
  }
  return to;
}

void add(const Lanes& weights, Lanes& to) {
  for (std::size_t l = 0; l < kResampleLanes; ++l) to[l] += weights[l];
}

Lanes truths_drawn(const CompactClass& c, std::span<const Lanes> weights) {
  Lanes sum{};
  for (std::size_t i = 0; i < c.truths.size(); ++i)
    for (std::size_t l = 0; l < kResampleLanes; ++l)
      sum[l] += c.truths[i] * weights[to_size(c.images_with_truths[i])][l];
  return sum;
}

// After each hit.
struct Reached {
  Lanes hits{}, detections{};
};

void walk(const CompactClass& c, std::span<const Lanes> weights, std::vector<Reached>& curve) {
  curve.clear();
  Reached now;
  std::size_t i = 0;
  for (const std::size_t hit : c.hits) {
    for (; i <= hit; ++i) add(weights[to_size(c.images[i])], now.detections);
    add(weights[to_size(c.images[hit])], now.hits);
    curve.push_back(now);
  }
}

// Areas under the interpolated curves, times the number of truths. A hit whose image was not drawn
// adds a point at the recall of the one before and of no better precision, which changes nothing.
LaneValues areas(const std::vector<Reached>& curve) {
  LaneValues area{}, best{};
  for (std::size_t i = curve.size(); i-- > 0;)
    for (std::size_t l = 0; l < kResampleLanes; ++l) {
      const double hits = curve[i].hits[l];
      const double precision = hits / std::max(1, curve[i].detections[l]);
      best[l] = std::max(best[l], precision);
      area[l] += (hits - (i > 0 ? curve[i - 1].hits[l] : 0)) * best[l];
    }
  return area;
}

LaneValues mean_over_classes(const std::vector<CompactClass>& classes,
                             std::span<const Lanes> weights) {
  LaneValues sum{}, counted{};
  std::vector<Reached> curve;
  for (const CompactClass& c : classes) {
    const Lanes truths = truths_drawn(c, weights);
    walk(c, weights, curve);
    const LaneValues area = areas(curve);
    for (std::size_t l = 0; l < kResampleLanes; ++l)
      if (truths[l] > 0) sum[l] += area[l] / truths[l], counted[l] += 1;
  }
  for (std::size_t l = 0; l < kResampleLanes; ++l) sum[l] /= std::max(1., counted[l]);
  return sum;
}

// Resamples `first` and those after it. The draws are those of bootstrap() in eval/paired.h.
std::vector<Lanes> drawn_images(const ResampleOptions& options, std::uint64_t first) {
  std::vector<Lanes> counts(to_size(options.images));
  for (std::size_t l = 0; l < kResampleLanes; ++l) {
    Rng rng(options.seed, first + l);
    for (std::int64_t i = 0; i < options.images; ++i)
      ++counts[to_size(rng.below(options.images))][l];
  }
  return counts;
}

LaneValues difference(const SeedPair& pair, std::span<const Lanes> counts) {
  LaneValues values = pair.variant(counts);
  const LaneValues baseline = pair.baseline(counts);
  for (std::size_t l = 0; l < kResampleLanes; ++l) values[l] -= baseline[l];
  return values;
}

// By resample, then by seed.
std::vector<std::vector<double>> resampled_differences(std::span<const SeedPair> pairs,
                                                       const ResampleOptions& options) {
  std::vector<std::vector<double>> all(static_cast<std::size_t>(options.resamples),
                                       std::vector<double>(pairs.size()));
#pragma omp parallel for schedule(dynamic)
  for (std::size_t first = 0; first < all.size(); first += kResampleLanes) {
    const std::vector<Lanes> counts = drawn_images(options, first);
    for (std::size_t s = 0; s < pairs.size(); ++s) {
      const LaneValues values = difference(pairs[s], counts);
      for (std::size_t l = 0; l < kResampleLanes && first + l < all.size(); ++l)
        all[first + l][s] = values[l];
    }
  }
  return all;
}

// The mean of n - 1 seeds drawn from n.
double mean_of_drawn_seeds(std::span<const double> by_seed, std::uint64_t seed,
                           std::uint64_t resample) {
  Rng rng(mix(seed), resample);  // another stream than the images'
  const auto n = std::ssize(by_seed);
  double sum = 0;
  for (std::int64_t i = 0; i < n - 1; ++i) sum += by_seed[to_size(rng.below(n))];
  return sum / static_cast<double>(n - 1);
}

double spread(std::span<const double> values) {
  return values.size() < 2 ? 0 : deviation_of(values, mean_of(values));
}

double square(double x) { return x * x; }

// Of a sum of two independent estimates of a variance, from n - 1 and images - 1 degrees.
double satterthwaite(const SeedsAndImages& r, std::int64_t images) {
  const double seeds = square(r.seeds_error);
  const double rest = std::max(0., square(r.standard_error) - seeds);
  const double n = static_cast<double>(r.by_seed.size());
  const double from_seeds = square(seeds) / (n - 1);
  const double from_images = images > 1 ? square(rest) / static_cast<double>(images - 1) : 0;
  if (from_seeds + from_images == 0) return n - 1;
  return square(seeds + rest) / (from_seeds + from_images);
}

void add_both(const std::vector<std::vector<double>>& resampled, const ResampleOptions& options,
              SeedsAndImages& r) {
  std::vector<double> means;
  for (std::size_t k = 0; k < resampled.size(); ++k)
    means.push_back(mean_of_drawn_seeds(resampled[k], options.seed, k));
  r.seeds_error = spread(r.by_seed) / std::sqrt(static_cast<double>(r.by_seed.size()));
  r.standard_error = std::max(r.seeds_error, spread(means));
  r.degrees_of_freedom = satterthwaite(r, options.images);
  r.over_both =
      interval_around(r.mean, student_t(kConfidence, r.degrees_of_freedom) * r.standard_error);
}

void require(std::span<const SeedPair> pairs, const ResampleOptions& options) {
  if (pairs.empty() || options.images < 1 || options.resamples < 2)
    fail("a bootstrap of ", pairs.size(), " seeds, ", options.images, " images and ",
         options.resamples, " resamples: expected at least 1, 1 and 2");
}

}  // namespace

ResampledStatistic resampled_mean_average_precision(std::span<const MatchedClass> classes) {
  std::vector<CompactClass> compacted;
  for (const MatchedClass& c : classes) compacted.push_back(compact(c));
  return [compacted = std::move(compacted)](std::span<const ImageCounts> counts) {
    return mean_over_classes(compacted, counts);
  };
}

ResampledStatistic resampled_mean(std::vector<double> by_image) {
  require_finite(by_image, "a figure per image");
  return [by_image = std::move(by_image)](std::span<const ImageCounts> counts) {
    LaneValues sum{}, drawn{};
    for (std::size_t i = 0; i < counts.size(); ++i)
      for (std::size_t l = 0; l < kResampleLanes; ++l) {
        sum[l] += by_image[i] * counts[i][l];
        drawn[l] += counts[i][l];
      }
    for (std::size_t l = 0; l < kResampleLanes; ++l) sum[l] /= std::max(1., drawn[l]);
    return sum;
  };
}

SeedsAndImages resample_seeds_and_images(std::span<const SeedPair> pairs,
                                         const ResampleOptions& options) {
  require(pairs, options);
  SeedsAndImages r{.over_both = kUnbounded};
  Lanes once;
  once.fill(1);
  const std::vector<Lanes> as_they_are(to_size(options.images), once);
  for (const SeedPair& pair : pairs) r.by_seed.push_back(difference(pair, as_they_are).front());
  r.mean = mean_of(r.by_seed);
  const auto resampled = resampled_differences(pairs, options);
  std::vector<double> means;
  for (const auto& by_seed : resampled) means.push_back(mean_of(by_seed));
  require_finite(r.by_seed, "a difference of a seed");
  require_finite(means, "a resampled difference");
  r.over_images = percentile_interval(means);
  r.images_error = spread(means);
  r.standard_error = r.images_error;
  if (pairs.size() > 1) add_both(resampled, options, r);
  return r;
}

}  // namespace darknet
