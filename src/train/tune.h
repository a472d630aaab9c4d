// Measures what algorithms a device's convolutions could take, for every convolution of a network,
// and makes the table of the quickest: `darknet bench -tune`.
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
  std::string rule, chosen;           // what the rule takes, what the table will
  std::vector<TimedAlgorithm> timed;  // those that ran, in the library's order
  double seconds_of(const std::string& algorithm) const;  // 0: it did not run
};

struct TuneReport {
  std::vector<TunedConvolution> convolutions;
  Tuning tuning;
};

// Measures with the network's device, mode and options; whatever table it was made with is not
// looked at. The rule's choice stays unless another is clearly quicker. `repeats`: times that each
// is measured, interleaved. `stop` is asked before each convolution; once it says yes, the report
// is of those so far.
TuneReport tune(const Network&, int repeats, const std::function<bool()>& stop = nullptr);

}  // namespace darknet
