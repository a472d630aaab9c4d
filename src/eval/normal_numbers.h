// Normally distributed numbers of simulated experiments: a sequence that depends on (seed, stream)
// alone, by Marsaglia's polar method (Marsaglia and Bray, SIAM Review 6, 1964).
#pragma once
#include <cmath>
#include <cstdint>

#include "core/rng.h"

namespace darknet {

class NormalNumbers {
 public:
  explicit NormalNumbers(std::uint64_t seed, std::uint64_t stream = 0) : rng_(seed, stream) {}
  double next() {
    if (left_) return left_ = false, second_;
    double x = 0, y = 0, square = 0;
    do {
      x = uniform(), y = uniform(), square = x * x + y * y;
    } while (square >= 1 || square == 0);
    const double scale = std::sqrt(-2 * std::log(square) / square);
    second_ = y * scale, left_ = true;
    return x * scale;
  }

 private:
  double uniform() { return static_cast<double>(rng_.bits() >> 11) * 0x1p-52 - 1; }  // -1 to 1
  Rng rng_;
  double second_ = 0;
  bool left_ = false;
};

}  // namespace darknet
