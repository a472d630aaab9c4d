#include "train/memory_report.h"

#include <fmt/core.h>

namespace darknet {

std::string mib(std::int64_t bytes) {
  const double value = static_cast<double>(bytes) / (1 << 20);
  return value < .1 ? fmt::format("{:.2g}", value) : fmt::format("{:.1f}", value);
}

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
  const struct {
    const char* name;
    std::int64_t bytes;
  } parts[] = {
      {"parameters", r.network.parameters}, {"their gradients", r.network.parameter_gradients},
      {"optimizer", r.optimizer},           {"activations", r.network.activations},
      {"workspace", r.network.workspace},   {"upload buffers", r.inputs},
      {"all-reduce", r.all_reduce},         {"evaluation", r.evaluation}};
  std::string text = "memory of " + to_string(r.device) + ", MiB: ";
  std::int64_t rest = r.in_use.used;
  for (const auto& part : parts) {
    rest -= part.bytes;
    if (part.bytes > 0) text += cat(part.name, ' ', mib(part.bytes), ", ");
  }
  return cat(text, "others (copies of weights for convolutions, heads) ", mib(rest), "; ",
             mib(r.in_use.used), " in all, ", mib(r.in_use.free), " free");
}

}  // namespace darknet
