// What uses the memory of a device in a training run or a benchmark, and how much is free, as one
// line.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/device_memory.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/step.h"

namespace darknet {

// In MiB: one digit behind the point, and two digits of what is below 0.1, so that only nothing is
// 0.
std::string mib(std::int64_t bytes);

struct MemoryReport {  // bytes
  Device device;
  MemoryUse network;
  std::int64_t optimizer = 0;   // its states and the running average of the weights
  std::int64_t inputs = 0;      // upload buffers
  std::int64_t all_reduce = 0;  // what several devices exchange
  std::int64_t evaluation = 0;  // the network of -map
  MemoryInUse in_use;           // all of it, with what the parts do not count
};

// None for the CPU, whose memory is not its own. The optimizer and the step are those of a training
// network, which is the `place`-th of the step's.
std::optional<MemoryReport> memory_report(const Network&);
std::optional<MemoryReport> memory_report(const Network&, Optimizer&, const TrainingStep&,
                                          std::size_t place);

// "memory of cuda:0, MiB: parameters 3.0, ...; 20.1 in all, 4075.9 free", without parts of 0.
std::string to_string(const MemoryReport&);

}  // namespace darknet
