// What a loss of a detection head keeps from step to step of a training run besides parameters:
// values on the device, which a checkpoint holds, and what the micro-batches of a step add to them:
// integers, so that neither the order of the sums nor the number of devices changes anything.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "core/tensor.h"

namespace darknet {

// As kernels see them, on the device; null where nothing is kept.
struct RunningArrays {
  double* values = nullptr;
  std::int64_t* sums = nullptr;  // of this step
};

class RunningValues {
 public:
  RunningValues() = default;
  // All 0. `name`: in a checkpoint, which another loss does not take from it.
  RunningValues(std::string name, const Device&, std::int64_t values, std::int64_t sums);

  bool empty() const { return values_.data() == nullptr; }
  const std::string& name() const { return name_; }
  RunningArrays arrays() const {
    return {static_cast<double*>(values_.data()), static_cast<std::int64_t*>(sums_.data())};
  }
  std::int64_t values() const { return values_.bytes() / std::int64_t{sizeof(double)}; }
  std::int64_t sums() const { return sums_.bytes() / std::int64_t{sizeof(std::int64_t)}; }

  void begin_step(const Stream&);                                 // the sums become 0
  std::vector<double> to_host(const Stream&) const;               // the values; synchronizes
  void copy_from(const Stream&, std::span<const double> values);  // throws where sizes differ

 private:
  std::string name_;
  Buffer values_, sums_;
};

}  // namespace darknet
