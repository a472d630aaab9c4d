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

struct MemoryReport {  // bytes
  Device device;
  MemoryUse network;
  std::int64_t optimizer = 0;   // its states and the running average of the weights
  std::int64_t inputs = 0;      // upload buffers
  std::int64_t all_reduce = 0;  // what several devices exchange
  std::int64_t evaluation = 0;  // the network of -map
  MemoryInUse in_use;           // all of it, with what the parts do not count
};

// None for the CPU, which has no memory of its own. With an optimizer and a step: of a training
// run, whose replica at `place` the network is.
std::optional<MemoryReport> memory_report(const Network&);
std::optional<MemoryReport> memory_report(const Network&, Optimizer&, const TrainingStep&,
                                          std::size_t place);

// "memory of cuda:0, MiB: parameters 3.0, ...; 20.1 in all, 4075.9 free", without parts of 0.
std::string to_string(const MemoryReport&);

}  // namespace darknet
