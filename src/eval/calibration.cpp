#include "eval/calibration.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

std::vector<ReliabilityBin> empty_bins(std::int64_t count) {
  std::vector<ReliabilityBin> bins;
  for (std::int64_t i = 0; i < count; ++i)
    bins.push_back({.low = static_cast<double>(i) / static_cast<double>(count),
                    .high = static_cast<double>(i + 1) / static_cast<double>(count)});
  return bins;
}

ReliabilityBin& bin_of(double score, std::vector<ReliabilityBin>& bins) {
  const auto above =
      std::upper_bound(bins.begin() + 1, bins.end(), score,
                       [](double value, const ReliabilityBin& bin) { return value < bin.low; });
  return *(above - 1);
}

void add(const MatchedDetection& d, Calibration& c) {
  ReliabilityBin& bin = bin_of(static_cast<double>(d.score), c.bins);
  ++bin.detections, ++c.detections;
  bin.hits += d.hit;
  bin.mean_confidence += static_cast<double>(d.score);  // the sum until all are there
}

}  // namespace

Calibration calibration(std::span<const MatchedClass> classes, const CalibrationOptions& options) {
  if (options.bins < 1 || options.bins > 1000)
    fail("a reliability diagram of ", options.bins, " bins: expected 1 to 1000");
  Calibration c{.bins = empty_bins(options.bins)};
  for (const MatchedClass& one : classes)
    for (const MatchedDetection& d : one.ranked) {
      if (!(d.score >= 0 && d.score <= 1)) fail("a confidence of ", d.score, ": expected 0 to 1");
      if (static_cast<double>(d.score) >= options.threshold) add(d, c);
    }
  for (ReliabilityBin& bin : c.bins) {
    if (bin.detections == 0) continue;
    bin.mean_confidence /= static_cast<double>(bin.detections);
    const double share = static_cast<double>(bin.detections) / static_cast<double>(c.detections);
    c.error += share * std::abs(bin.gap());
    c.max_error = std::max(c.max_error, std::abs(bin.gap()));
  }
  return c;
}

}  // namespace darknet
