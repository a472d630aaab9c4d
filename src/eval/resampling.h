// The difference of two variants over seeds and test images together: the interval for other seeds
// and another test set of the same kind. Pairs of networks that share a seed are evaluated on the
// same images, all of them, so seeds and images are crossed.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/matching.h"
#include "eval/sample.h"

namespace darknet {

// Several resamples at once, side by side in memory, as many as vector instructions take.
inline constexpr std::size_t kResampleLanes = 16;
using ImageCounts = std::array<std::int32_t, kResampleLanes>;  // how often an image was drawn
using LaneValues = std::array<double, kResampleLanes>;
// A statistic of one network's results as a function of how often each image counts. One entry per
// image; called from several threads at once, and must not throw.
using ResampledStatistic = std::function<LaneValues(std::span<const ImageCounts>)>;

// mean_average_precision() of eval/matching.h, with everything done beforehand that no resample
// changes: 2000 resamples of 10 pairs of networks with 500 images of 100 detections are a matter of
// a second.
ResampledStatistic resampled_mean_average_precision(std::span<const MatchedClass>);
// The mean over the images drawn of one finite figure per image; 0 where none is drawn.
ResampledStatistic resampled_mean(std::vector<double> by_image);

struct SeedPair {
  ResampledStatistic baseline, variant;  // of the two networks of one seed
};

struct ResampleOptions {
  std::int64_t images = 0;  // of the test set
  int resamples = 2000;
  std::uint64_t seed = 1;
};

// All differences are variant - baseline, in the unit of the statistic.
struct SeedsAndImages {
  std::vector<double> by_seed;  // on the images as they are
  double mean = 0;
  // Were the images drawn anew and the networks the same: 2.5 to 97.5 % of the resamples.
  Interval over_images;
  // Standard errors of the mean: by the spread over seeds, by the draw of images, and by both.
  double seeds_error = 0, images_error = 0, standard_error = 0;
  double degrees_of_freedom = 0;  // Satterthwaite's
  // Were seeds and images drawn anew: mean +- t standard_error, 95 %. Unbounded for one seed.
  Interval over_both;
};

// The bootstrap over both (pigeonhole bootstrap: Owen, Annals of Applied Statistics 1, 2007): each
// resample draws seeds and, for all of them and both variants, one set of images. Two corrections
// for few seeds, without which the interval of 3 seeds would be half as wide as it must be: of n
// seeds n - 1 are drawn, which makes the variance that they contribute s^2 / n (Rao and Wu, JASA
// 83, 1988); and the interval is not of percentiles, which end at the extreme seeds, but of
// Student's t, whose degrees of freedom are n - 1 where the seeds are all of the variance and more
// the less they are (Satterthwaite, Biometrics Bulletin 2, 1946). The standard error is never below
// that of the seeds alone. Deterministic by options.seed, whatever the number of threads. Throws
// where there is no seed, image or resample, and where a value of a statistic is not finite.
SeedsAndImages resample_seeds_and_images(std::span<const SeedPair>, const ResampleOptions&);

}  // namespace darknet
