#include "eval/value_range.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

constexpr int kSteps = 64;       // of the search for the least squared error
constexpr double kLevels = 255;  // steps between the integers of an input

double centre(const ValueHistogram& h, std::int64_t bin) {
  return (static_cast<double>(bin - ValueHistogram::kBins / 2) + .5) * h.width();
}

// Count, sum and sum of squares of the values.
struct Moments {
  double count = 0, sum = 0, squares = 0;
  void add(double n, double x) { count += n, sum += n * x, squares += n * x * x; }
  // Sum of (x - a)^2.
  double around(double a) const { return squares - 2 * a * sum + a * a * count; }
};

// Of the bins below and from `bin` on.
struct SplitMoments {
  std::vector<Moments> below, from;
  explicit SplitMoments(const ValueHistogram& h) {
    const auto bins = to_size(ValueHistogram::kBins);
    below.resize(bins + 1), from.resize(bins + 1);
    for (std::size_t i = 0; i < bins; ++i) {
      below[i + 1] = below[i];
      below[i + 1].add(static_cast<double>(h.bins()[i]), centre(h, static_cast<std::int64_t>(i)));
    }
    for (std::size_t i = bins; i-- > 0;) {
      from[i] = from[i + 1];
      from[i].add(static_cast<double>(h.bins()[i]), centre(h, static_cast<std::int64_t>(i)));
    }
  }
};

std::size_t bin_at(const ValueHistogram& h, double x) {
  const double bin = std::floor(x / h.width()) + static_cast<double>(ValueHistogram::kBins / 2);
  return static_cast<std::size_t>(std::clamp(bin, 0., static_cast<double>(ValueHistogram::kBins)));
}

// Values inside are rounded, with a squared error of step^2 / 12 on average; those outside get the
// nearer end.
double squared_error(const ValueHistogram& h, const SplitMoments& m, const ValueRange& r) {
  const Moments& low = m.below[bin_at(h, r.low)];
  const Moments& high = m.from[std::min(bin_at(h, r.high) + 1, m.from.size() - 1)];
  const double step = (r.high - r.low) / kLevels;
  const double inside = static_cast<double>(h.count()) - low.count - high.count;
  return low.around(r.low) + high.around(r.high) + inside * step * step / 12;
}

ValueRange least_squares(const ValueHistogram& h) {
  const SplitMoments moments(h);
  const ValueRange all{h.min(), h.max()};
  ValueRange best = all;
  double least = squared_error(h, moments, all);
  for (int i = h.min() < 0 ? 1 : kSteps; i <= kSteps; ++i)
    for (int k = h.max() > 0 ? 1 : kSteps; k <= kSteps; ++k) {
      const ValueRange r{all.low * i / kSteps, all.high * k / kSteps};
      const double error = squared_error(h, moments, r);
      if (error < least) least = error, best = r;
    }
  return best;
}

ValueRange central(const ValueHistogram& h, double percentile) {
  const double outside = static_cast<double>(h.count()) * (1 - percentile / 100) / 2;
  const auto bins = ValueHistogram::kBins;
  std::int64_t low = 0, high = bins - 1;
  double below = static_cast<double>(h.bins()[0]), above = static_cast<double>(h.bins().back());
  while (low < bins - 1 && below <= outside) below += static_cast<double>(h.bins()[to_size(++low)]);
  while (high > 0 && above <= outside) above += static_cast<double>(h.bins()[to_size(--high)]);
  const double half = h.width() / 2;
  return {std::clamp(centre(h, low) - half, h.min(), 0.),
          std::clamp(centre(h, high) + half, 0., h.max())};
}

double squared_error(std::span<const float> weights, double range) {
  constexpr double kLimit = 127;
  const double step = range / kLimit;
  double sum = 0;
  for (const float w : weights) {
    const double e = std::clamp(std::round(w / step), -kLimit, kLimit) * step - w;
    sum += e * e;
  }
  return sum;
}

}  // namespace

void ValueHistogram::widen() {
  std::vector<std::int64_t> wider(to_size(kBins));
  for (std::int64_t i = 0; i < kBins; ++i) wider[to_size(kBins / 4 + i / 2)] += bins_[to_size(i)];
  bins_ = std::move(wider);
  width_ *= 2;
}

void ValueHistogram::add(std::span<const float> values) {
  float low = 0, high = 0;
  bool finite = true;
  for (const float v : values) {
    low = std::min(low, v), high = std::max(high, v);
    finite &= std::isfinite(v);
  }
  if (!finite) fail("a value is not finite");
  min_ = std::min(min_, double{low}), max_ = std::max(max_, double{high});
  const double half = static_cast<double>(kBins / 2);
  while (max_ >= half * width_ || min_ < -half * width_) widen();
  const double per_width = 1 / width_;
  for (const float v : values) ++bins_[static_cast<std::size_t>(std::floor(v * per_width) + half)];
  count_ += std::ssize(values);
}

ValueRange range_of(const ValueHistogram& h, const RangeRule& rule) {
  if (rule.method == RangeMethod::mse) return least_squares(h);
  if (rule.method == RangeMethod::percentile) return central(h, rule.percentile);
  return {h.min(), h.max()};
}

ConvQuantization input_quantization(const ValueRange& r) {
  ConvQuantization q;
  q.scale = static_cast<float>((r.high - r.low) / kLevels);
  if (!std::isnormal(q.scale)) return {};  // nothing but 0
  q.zero_point = static_cast<std::int32_t>(std::lround(-r.low / double{q.scale}));
  return q;
}

std::vector<float> filter_ranges(std::span<const float> weights, std::int64_t filters,
                                 RangeMethod method) {
  const std::size_t of_filter = weights.size() / to_size(filters);
  std::vector<float> ranges;
  for (std::int64_t f = 0; f < filters; ++f) {
    const auto own = weights.subspan(to_size(f) * of_filter, of_filter);
    float largest = 0;
    for (const float w : own) largest = std::max(largest, std::fabs(w));
    double best = largest, least = largest > 0 ? squared_error(own, largest) : 0;
    for (int k = kSteps / 2; method == RangeMethod::mse && least > 0 && k < kSteps; ++k) {
      const double range = double{largest} * k / kSteps, error = squared_error(own, range);
      if (error < least) least = error, best = range;
    }
    ranges.push_back(static_cast<float>(best));
  }
  return ranges;
}

}  // namespace darknet
