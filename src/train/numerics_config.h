// How a training run computes: what its .state records, and what must be the same to resume it.
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
// Throws where the run of `weights` cannot be resumed with these settings; warns where only bitwise
// equality is lost. What a state of an earlier version does not record is not checked.
void check_compatible(const NumericsConfig&, const TrainingState&, const std::string& weights);
// Warns where a network that was given these algorithms took others: other versions of this program
// may name the algorithms of a library differently.
void check_algorithms(const Tuning& remembered, const Tuning& taken);

}  // namespace darknet
