// Launches around the sum over several devices that train on micro-batches of one batch: what each
// brings to it apart from its gradients, and what it takes from it.
#pragma once
#include <cstdint>

#include "core/array_table.h"
#include "core/device.h"
#include "core/step.h"

namespace darknet {

// to += from, over n elements.
void add_array(const Stream&, const float* from, float* to, std::int64_t n);

// Rolling statistics r = keep^s r0 + u after s micro-batches on one device. Device d of n brings
// weight u, weight = keep^(s (n - 1 - d)); the sum of all with keep^(s n) r0 is what one device
// would have after the micro-batches of all, device after device.
struct RollingArrays {
  float* value = nullptr;   // r
  float* kept = nullptr;    // r0, from before the step
  float* shared = nullptr;  // what is summed
  std::int64_t n = 0;
  std::int64_t frozen = 0;  // iterations in which it stays, and is equal everywhere
};
using RollingTable = ArrayTable<RollingArrays>;
void keep_rolling(const Stream&, const RollingTable&);  // before the step
void share_rolling(const Stream&, const RollingTable&, float keep, float weight);
void take_rolling(const Stream&, const RollingTable&, float keep, const StepState*);

// Integers of 0 to 2^62 as four floats of 16 bits each, whose sums over at most kMaxIntegerSummands
// devices are exact: n of them into 4 n `shared`, and the sums back.
inline constexpr std::int64_t kFloatsPerInteger = 4;
inline constexpr std::int64_t kMaxIntegerSummands = 256;
void share_integers(const Stream&, const std::int64_t* values, float* shared, std::int64_t n);
void take_integers(const Stream&, const float* shared, std::int64_t* values, std::int64_t n);

// An error of one device is an error of all: 1 or 0 into *shared; a sum above 0 means that one
// failed.
void share_error(const Stream&, const StepState*, float* shared);
void take_error(const Stream&, const float* shared, StepState*);

}  // namespace darknet
