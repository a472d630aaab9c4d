#include "eval/sequential.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"
#include "core/index.h"
#include "eval/normal_numbers.h"

namespace darknet {
namespace {

constexpr std::int64_t kSimulations = 50'000;
constexpr std::int64_t kMaxPairs = 500;

void require_looks(const std::vector<std::int64_t>& looks) {
  if (looks.empty() || looks.front() < 2 || looks.back() > kMaxPairs ||
      std::adjacent_find(looks.begin(), looks.end(), std::greater_equal<>()) != looks.end())
    fail("planned looks: expected numbers of pairs from 2 to ", kMaxPairs, ", each above the last");
}

// Student's t of the first 1, 2, .. of a growing sample.
class RunningT {
 public:
  void add(double x) {
    ++size_;
    const double before = x - mean_;
    mean_ += before / size_;
    squares_ += before * (x - mean_);
  }
  double magnitude() const { return std::abs(mean_) * std::sqrt(size_ * (size_ - 1) / squares_); }

 private:
  double size_ = 0, mean_ = 0, squares_ = 0;
};

// The largest |t| / boundary of one experiment without a difference.
double largest_ratio(std::span<const std::int64_t> looks, std::span<const double> boundaries,
                     std::uint64_t number) {
  NormalNumbers normal(0x5E0, number);
  RunningT t;
  double largest = 0;
  std::int64_t size = 0;
  for (std::size_t look = 0; look < looks.size(); ++look) {
    for (; size < looks[look]; ++size) t.add(normal.next());
    largest = std::max(largest, t.magnitude() / boundaries[look]);
  }
  return largest;
}

}  // namespace

SequentialPlan::SequentialPlan(std::vector<std::int64_t> looks, double confidence)
    : looks_(std::move(looks)), confidence_(confidence) {
  require_looks(looks_);
  if (!(confidence >= .5 && confidence <= .999))
    fail("a confidence of ", confidence, ": expected .5 to .999");
  const double z = normal_z(confidence);
  for (const std::int64_t n : looks_) {
    const double share = static_cast<double>(n) / static_cast<double>(looks_.back());
    const double level =
        std::max(normal_two_sided(z / std::sqrt(share)), 2 * std::numeric_limits<double>::min());
    boundaries_.push_back(student_t_of_tail(level / 2, static_cast<double>(n - 1)));
  }
  ratios_.resize(to_size(kSimulations));
#pragma omp parallel for
  for (std::int64_t i = 0; i < kSimulations; ++i)
    ratios_[to_size(i)] = largest_ratio(looks_, boundaries_, static_cast<std::uint64_t>(i));
  std::sort(ratios_.begin(), ratios_.end());
  factor_ = *std::partition_point(ratios_.begin(), ratios_.end(),
                                  [&](double ratio) { return p_of_ratio(ratio) > 1 - confidence; });
}

SequentialPlan SequentialPlan::after_each(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> looks;
  for (std::int64_t n = first; n <= last; ++n) looks.push_back(n);
  return SequentialPlan(std::move(looks));
}

bool SequentialPlan::planned(std::int64_t pairs) const {
  return std::binary_search(looks_.begin(), looks_.end(), pairs);
}

std::int64_t SequentialPlan::next_look(std::int64_t pairs) const {
  const auto next = std::upper_bound(looks_.begin(), looks_.end(), pairs);
  return next == looks_.end() ? 0 : *next;
}

double SequentialPlan::boundary(std::int64_t pairs) const {
  const auto at = std::lower_bound(looks_.begin(), looks_.end(), pairs);
  if (at == looks_.end() || *at != pairs) fail("no look is planned at ", pairs, " pairs");
  return boundaries_[to_size(at - looks_.begin())];
}

// The share of the simulated experiments that go as far, with three of its standard errors.
double SequentialPlan::p_of_ratio(double ratio) const {
  const auto as_far =
      static_cast<double>(ratios_.end() - std::lower_bound(ratios_.begin(), ratios_.end(), ratio));
  return std::min(1., (as_far + 3 * std::sqrt(as_far) + 1) / static_cast<double>(kSimulations));
}

Interval SequentialPlan::confidence(const PairedStatistics& s) const {
  if (!planned(s.pairs)) return kUnbounded;
  const double margin = factor_ * boundary(s.pairs) * standard_error(s.deviation, s.pairs);
  return interval_around(s.mean, margin);
}

double SequentialPlan::p_value(const PairedStatistics& s, double expected) const {
  if (!planned(s.pairs)) return 1;
  if (s.all_equal) return s.mean == expected ? 1 : smallest_sign_flip_p(s.pairs);
  return p_of_ratio(std::abs(t_statistic(s, expected)) / boundary(s.pairs));
}

double SequentialPlan::widening(std::int64_t pairs) const {
  return factor_ * boundary(pairs) / student_t(confidence_, static_cast<double>(pairs - 1));
}

}  // namespace darknet
