#include "nn/memory_use.h"

#include <fmt/core.h>

namespace darknet {

std::vector<MemoryPart> MemoryUse::parts() const {
  return {{"parameters", parameters},
          {"their gradients", parameter_gradients},
          {"packed weights", packed_weights},
          {"activations", activations}};
}

std::int64_t MemoryUse::total() const {
  std::int64_t sum = 0;
  for (const MemoryPart& p : parts()) sum += p.bytes;
  return sum;
}

std::string mebibytes(std::int64_t bytes) {
  const double value = static_cast<double>(bytes) / (1 << 20);
  return value < .1 ? fmt::format("{:.2g}", value) : fmt::format("{:.1f}", value);
}

std::string to_string(const MemoryUse& use) {
  std::string text;
  for (const MemoryPart& p : use.parts())
    if (p.bytes > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", p.name, mebibytes(p.bytes));
  return fmt::format("{} MiB ({})", mebibytes(use.total()), text);
}

}  // namespace darknet
