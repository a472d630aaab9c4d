// One iteration of what `darknet bench` measures: a forward pass, or a whole training step.
#pragma once
#include <memory>
#include <optional>

#include "train/bench.h"
#include "train/memory_report.h"

namespace darknet {

struct IterationTimes {
  double total = 0, load = 0;
  StepTimes phases;  // training
};

class Workload {
 public:
  virtual ~Workload() = default;
  virtual Network& network() = 0;
  virtual std::int64_t images() const = 0;  // per iteration
  virtual IterationTimes run() = 0;
  // Of several ranks: collectives, before the first iteration and after the last.
  virtual void join_ranks() {}
  virtual void leave_ranks() {}
  virtual std::optional<MemoryReport> device_memory() { return memory_report(network()); }
};

std::unique_ptr<Workload> make_workload(const BenchOptions&);

}  // namespace darknet
