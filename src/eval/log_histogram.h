// How many values, and how much of their sum, lie below any size: bins of equal width in the
// logarithm, whose edges are exact, in memory that does not grow with the number of values.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace darknet {

class LogHistogram {
 public:
  static constexpr int kPerDecade = 40;
  static constexpr int kLowestDecade = -40, kHighestDecade = 8;
  static constexpr std::size_t kBins =
      std::size_t{1} + std::size_t{kPerDecade} * (kHighestDecade - kLowestDecade);

  struct Bin {
    std::int64_t count = 0;
    double sum = 0;
  };

  // value >= 0; the first bin has those up to 10^kLowestDecade, the last all that are too large.
  void add(double value);
  LogHistogram& operator+=(const LogHistogram&);

  std::int64_t count() const { return count_; }
  double sum() const { return sum_; }
  const std::vector<Bin>& bins() const { return bins_; }
  static double upper_edge(std::size_t bin);  // of the values in it

  // The cumulative distribution of the sum: values sorted from the smallest, x the share of the
  // values so far, y the share of the sum that they make. From (0, 0) to (1, 1); empty where the
  // sum is 0.
  std::vector<std::pair<double, double>> cumulative() const;
  // The share of the sum that the largest `share` of the values make; 0 where the sum is 0.
  double share_of_largest(double share) const;

 private:
  std::vector<Bin> bins_ = std::vector<Bin>(kBins);
  std::int64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace darknet
