// How a training computes: what its .state remembers, and what must be the same for it to go on.
#pragma once
#include <cstdint>
#include <string>

#include "core/device.h"
#include "nn/checkpoint.h"

namespace darknet {

struct NumericsConfig {
  DeviceType processor = DeviceType::cpu;
  std::int64_t devices = 1;  // that share a batch
  bool exact = false, deterministic = false;
  std::string precision;
  std::int64_t threads = 0;   // of the CPU that compute; 0: it does not
  bool scaled_decode = true;  // of JPEGs, which gives other pixels than decoding in full
};

// How a warning of such a run ends.
inline constexpr const char* kNotBitwise =
    ": it resumes, but its results will not be bitwise equal to those of an uninterrupted run";

void record(const NumericsConfig&, TrainingState&);
// Throws where the training of `weights` ran otherwise; warns where it only cannot give the same
// bits. What a state of an earlier version does not hold is not checked.
void check_compatible(const NumericsConfig&, const TrainingState&, const std::string& weights);
// Warns where a network that was given these algorithms has others: a library of the same version
// that another version of this program asks in other words.
void check_algorithms(const Tuning& remembered, const Tuning& taken);

}  // namespace darknet
