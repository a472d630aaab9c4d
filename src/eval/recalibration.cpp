#include "eval/recalibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/math.h"

namespace darknet {
namespace {

constexpr double kScoreMargin = 1e-7;  // scores are kept so far from 0 and 1

// d/ds of the negative log-likelihood of sigmoid(s logit); rises with s.
double slope_at(double s, const std::vector<ScoredHit>& all) {
  double sum = 0;
  for (const ScoredHit& d : all) {
    const double p = std::clamp(static_cast<double>(d.score), kScoreMargin, 1 - kScoreMargin);
    const double x = std::log(p / (1 - p));
    sum += (math::sigmoid(s * x) - (d.hit ? 1 : 0)) * x;
  }
  return sum;
}

ConfidenceMap fitted_temperature(const std::vector<ScoredHit>& all) {
  double low = std::log(1 / kMostTemperature), high = std::log(1 / kLeastTemperature);
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (slope_at(std::exp(middle), all) < 0 ? low : high) = middle;
  }
  return ConfidenceMap::of_temperature(std::exp(-(low + high) / 2));
}

struct Pool {
  double scores = 0, hits = 0, count = 0;
  double precision() const { return hits / count; }
  void add(const Pool& p) { scores += p.scores, hits += p.hits, count += p.count; }
};

ConfidenceMap fitted_curve(std::vector<ScoredHit> all) {
  std::ranges::sort(all, {}, &ScoredHit::score);
  std::vector<Pool> pools;
  for (std::size_t i = 0; i < all.size();) {
    Pool equal;
    for (const float score = all[i].score; i < all.size() && all[i].score == score; ++i)
      equal.add({static_cast<double>(score), all[i].hit ? 1. : 0., 1});
    pools.push_back(equal);
    while (pools.size() > 1 && pools.back().precision() <= pools[pools.size() - 2].precision()) {
      pools[pools.size() - 2].add(pools.back());
      pools.pop_back();
    }
  }
  std::vector<ConfidenceMap::Knot> knots;
  for (const Pool& p : pools) knots.push_back({p.scores / p.count, p.precision()});
  return ConfidenceMap::of_knots(std::move(knots));
}

// The detections from the threshold on, of the images of the first half of the list and of the
// second. Halves in one piece, because neighbours are often frames of one video.
std::array<std::vector<ScoredHit>, 2> halves_of(std::span<const MatchedClass> classes,
                                                double threshold) {
  std::array<std::vector<ScoredHit>, 2> halves;
  const std::int64_t images = classes.empty() ? 0 : std::ssize(classes.front().truths_of_image);
  for (const MatchedClass& one : classes)
    for (const MatchedDetection& d : one.ranked)
      if (static_cast<double>(d.score) >= threshold)
        halves.at(2 * d.image < images ? 0 : 1).push_back({std::min(d.score, 1.f), d.hit});
  return halves;
}

Calibration measured(const std::vector<ScoredHit>& all) {
  MatchedClass one;
  for (const ScoredHit& d : all) one.ranked.push_back({.score = d.score, .hit = d.hit});
  return calibration({&one, 1}, {.threshold = 0});
}

}  // namespace

ConfidenceMap fit_confidences(std::vector<ScoredHit> all, CalibrationMethod method) {
  const auto hits = std::ranges::count(all, true, &ScoredHit::hit);
  if (hits == 0 || hits == std::ssize(all))
    fail("confidences cannot be calibrated on ", all.size(), " detections of which ", hits,
         " are true positives: it takes true and false positives; use more images, or a trained "
         "network");
  return method == CalibrationMethod::temperature ? fitted_temperature(all)
                                                  : fitted_curve(std::move(all));
}

Recalibration recalibrate(std::span<const MatchedClass> classes, CalibrationMethod method,
                          double threshold) {
  const auto halves = halves_of(classes, threshold);
  std::vector<ScoredHit> all, after;
  for (std::size_t h = 0; h < halves.size(); ++h) {
    const ConfidenceMap other = fit_confidences(halves.at(1 - h), method);
    for (const ScoredHit& d : halves.at(h)) {
      all.push_back(d);
      after.push_back({other(d.score), d.hit});
    }
  }
  Recalibration r{.map = fit_confidences(all, method),
                  .before = measured(all),
                  .after = measured(after),
                  .detections = std::ssize(all),
                  .hits = std::ranges::count(all, true, &ScoredHit::hit)};
  if (!classes.empty()) r.images = std::ssize(classes.front().truths_of_image);
  return r;
}

}  // namespace darknet
