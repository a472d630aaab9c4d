// Measures the algorithms that a device has for every convolution of a network, and makes the table
// of the fastest: `darknet bench -tune`.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/network.h"

namespace darknet {

struct TimedAlgorithm {
  std::string algorithm;
  // Median of one call, with what of the epilogue the plan leaves to a launch and, where weights
  // change in every step, the call's share of packing them for the algorithm.
  double seconds = 0;
};

struct TunedConvolution {
  std::int64_t layer = 0;  // the first of this use
  ConvUse use;
  std::string heuristic, chosen;                          // the heuristic's choice, and the table's
  std::vector<TimedAlgorithm> timed;                      // those that ran, in the library's order
  double seconds_of(const std::string& algorithm) const;  // 0: it did not run
};

struct TuneReport {
  std::vector<TunedConvolution> convolutions;
  Tuning tuning;
};

// Measures with the network's device, mode and options; the table that the network was made with is
// ignored. The heuristic's choice stays unless another is clearly faster. `repeats`: times that
// each is measured, interleaved. `stop` is called before each convolution; once it returns true,
// the report holds the convolutions so far.
TuneReport tune(const Network&, int repeats, const std::function<bool()>& stop = nullptr);

}  // namespace darknet
