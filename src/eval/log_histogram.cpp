#include "eval/log_histogram.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

std::size_t bin_of(double value) {
  constexpr double kLast = static_cast<double>(LogHistogram::kBins) - 1;
  if (!(value > 0)) return 0;
  const double place =
      std::ceil((std::log10(value) - LogHistogram::kLowestDecade) * LogHistogram::kPerDecade);
  return static_cast<std::size_t>(std::clamp(place, 0., kLast));
}

}  // namespace

void LogHistogram::add(double value) {
  if (!(value >= 0) || !std::isfinite(value))
    fail("a histogram of sizes got ", value, ": expected a finite number from 0");
  Bin& bin = bins_[bin_of(value)];
  ++bin.count, ++count_;
  bin.sum += value, sum_ += value;
}

LogHistogram& LogHistogram::operator+=(const LogHistogram& other) {
  for (std::size_t i = 0; i < kBins; ++i)
    bins_[i].count += other.bins_[i].count, bins_[i].sum += other.bins_[i].sum;
  count_ += other.count_, sum_ += other.sum_;
  return *this;
}

double LogHistogram::upper_edge(std::size_t bin) {
  return std::pow(10., kLowestDecade + static_cast<double>(bin) / kPerDecade);
}

std::vector<std::pair<double, double>> LogHistogram::cumulative() const {
  std::vector<std::pair<double, double>> curve;
  if (!(sum_ > 0)) return curve;
  curve.emplace_back(0, 0);
  std::int64_t count = 0;
  double sum = 0;
  for (const Bin& bin : bins_) {
    if (bin.count == 0) continue;
    count += bin.count, sum += bin.sum;
    curve.emplace_back(static_cast<double>(count) / static_cast<double>(count_), sum / sum_);
  }
  curve.back() = {1, 1};
  return curve;
}

double LogHistogram::share_of_largest(double share) const {
  if (!(sum_ > 0)) return 0;
  double left = share * static_cast<double>(count_), sum = 0;
  for (auto bin = bins_.rbegin(); bin != bins_.rend() && left > 0; ++bin) {
    if (bin->count == 0) continue;
    const double count = static_cast<double>(bin->count), taken = std::min(left, count);
    sum += bin->sum * taken / count;
    left -= taken;
  }
  return sum / sum_;
}

}  // namespace darknet
