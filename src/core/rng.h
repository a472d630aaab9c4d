// Counter-based random numbers: the value depends on (seed, stream, index) and on nothing else, so
// it is the same on every device, in any order and in any number of threads. Not for cryptography.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include "core/hd.h"

namespace darknet {

// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
DN_HD inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

DN_HD inline std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream,
                                       std::uint64_t index) {
  return mix(mix(mix(seed) ^ stream) ^ index);
}

// Uniform in [0, 1): 24 bits, exact in float.
DN_HD inline float random_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return static_cast<float>(random_bits(seed, stream, index) >> 40) * 0x1p-24f;
}

// A sequence of numbers for sequential host code: element k of stream (seed, stream).
class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  std::uint64_t bits() { return random_bits(seed_, stream_, index_++); }
  float uniform() { return random_uniform(seed_, stream_, index_++); }
  float uniform(float lo, float hi) { return lo + (hi - lo) * uniform(); }
  // Uniform in [0, n); n > 0. The bias of the remainder is below n / 2^64.
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n));
  }
  bool flip() { return bits() >> 63 != 0; }

 private:
  std::uint64_t seed_, stream_, index_ = 0;
};

// Into an order of which each is equally likely (Fisher and Yates).
template <class Values>
void shuffle(Values& values, Rng& rng) {
  for (std::size_t i = values.size(); i > 1; --i) {
    const std::int64_t other = rng.below(static_cast<std::int64_t>(i));
    std::swap(values[i - 1], values[static_cast<std::size_t>(other)]);
  }
}

}  // namespace darknet
