#include "train/memory_report.h"

namespace darknet {

std::optional<MemoryReport> memory_report(const Network& net) {
  const Device& device = net.options().device;
  const std::optional<MemoryInUse> in_use = memory_in_use(device);
  if (!in_use) return std::nullopt;
  return MemoryReport{.device = device, .network = net.memory(), .in_use = *in_use};
}

std::optional<MemoryReport> memory_report(const Network& net, Optimizer& optimizer,
                                          const TrainingStep& step, std::size_t place) {
  std::optional<MemoryReport> report = memory_report(net);
  if (!report) return report;
  for (const Optimizer::Array& a : optimizer.state()) report->optimizer += a.tensor->bytes();
  const StepMemory of_step = step.memory_use(place);
  report->inputs = of_step.inputs, report->all_reduce = of_step.all_reduce;
  return report;
}

std::string to_string(const MemoryReport& r) {
  std::vector<MemoryPart> parts = r.network.parts();
  for (const MemoryPart& p : {MemoryPart{"optimizer", r.optimizer},
                              {"upload buffers", r.inputs},
                              {"all-reduce", r.all_reduce},
                              {"evaluation", r.evaluation}})
    parts.push_back(p);
  std::string text = "memory of " + to_string(r.device) + ", MiB: ";
  std::int64_t rest = r.in_use.used;
  for (const MemoryPart& part : parts) {
    rest -= part.bytes;
    if (part.bytes > 0) text += cat(part.name, ' ', mebibytes(part.bytes), ", ");
  }
  return cat(text, "others ", mebibytes(rest), "; ", mebibytes(r.in_use.used), " in all, ",
             mebibytes(r.in_use.free), " free");
}

}  // namespace darknet
