// Which range of values 8-bit integers should stand for: a histogram of what a tensor holds, and
// the range by one of three rules. Pure functions; eval/quantizer.h fills the histograms.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/named.h"
#include "core/ops.h"

namespace darknet {

enum class RangeMethod : std::uint8_t { percentile, max, mse };
constexpr auto choices(RangeMethod) {
  return std::to_array<Named<RangeMethod>>({{"percentile", RangeMethod::percentile},
                                            {"max", RangeMethod::max},
                                            {"mse", RangeMethod::mse}});
}

struct RangeRule {
  RangeMethod method = RangeMethod::percentile;
  double percentile = 99.999;  // of the values, that the range holds; half of the rest on each side
};

// Counts values in bins of equal width around 0, which doubles whenever a value lies outside.
class ValueHistogram {
 public:
  static constexpr std::int64_t kBins = 4096;

  void add(std::span<const float> values);  // throws on a value that is not finite
  std::int64_t count() const { return count_; }
  double min() const { return min_; }  // of the values and 0
  double max() const { return max_; }
  double width() const { return width_; }  // of a bin; bin kBins / 2 begins at 0
  const std::vector<std::int64_t>& bins() const { return bins_; }

 private:
  void widen();

  std::vector<std::int64_t> bins_ = std::vector<std::int64_t>(kBins);
  double width_ = 0x1p-30;
  double min_ = 0, max_ = 0;
  std::int64_t count_ = 0;
};

struct ValueRange {
  double low = 0, high = 0;  // low <= 0 <= high
};
ValueRange range_of(const ValueHistogram&, const RangeRule&);

// Scale and zero point, so that 0 is an integer; the ranges of filters are yet to be filled in.
ConvQuantization input_quantization(const ValueRange&);

// The magnitude that the largest integer of each filter stands for: of OHWI weights, the largest
// one, or with mse what makes the squared error of 8-bit integers least.
std::vector<float> filter_ranges(std::span<const float> weights, std::int64_t filters, RangeMethod);

}  // namespace darknet
