#include "nn/memory_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/parts.h"
#include "core/sentence_of.h"
#include "core/text.h"

namespace darknet {
namespace {

bool alive_together(const Block& a, const Block& b) { return a.begin <= b.end && b.begin <= a.end; }

}  // namespace

// Largest first, each at the lowest offset that is free throughout its life: within a few per cent
// of the peak of living bytes on the shipped networks.
MemoryPlan plan_memory(std::span<const Block> blocks) {
  MemoryPlan plan;
  plan.offsets.assign(blocks.size(), 0);
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t i : order) {
    if (blocks[i].bytes == 0) continue;
    std::int64_t at = 0;
    for (const std::size_t p : placed) {
      if (!alive_together(blocks[i], blocks[p])) continue;
      if (plan.offsets[p] >= at + blocks[i].bytes) break;
      at = std::max(at, plan.offsets[p] + part_bytes(blocks[p].bytes));
    }
    plan.offsets[i] = at;
    plan.bytes = std::max(plan.bytes, at + part_bytes(blocks[i].bytes));
    const auto after = std::upper_bound(placed.begin(), placed.end(), at, [&](auto offset, auto p) {
      return offset < plan.offsets[p];
    });
    placed.insert(after, i);
  }
  return plan;
}

const char* how_to_need_less(const Device& device, bool training) {
  if (device.type != DeviceType::cpu) return kLessDeviceMemory;
  return training ? "a smaller batch, more subdivisions or a smaller input need less"
                  : "a smaller input needs less";
}

void require_memory(const Where& where, const Device& device, const Shape& input, bool training,
                    double bytes) {
  const double needed = bytes + static_cast<double>(input.size()) * sizeof(float);
  const auto there = static_cast<double>(memory(device.type).capacity(device));
  const bool large = there >= 1 << 30;
  const double unit = large ? 1 << 30 : 1 << 20;
  if (needed > there)
    fail_at(where, "[net]: ", plural(input.n, "image"), " of ", input.w, 'x', input.h,
            " at a time need ", std::ceil(needed / unit), large ? " GiB" : " MiB",
            " of memory, there are ", std::floor(there / unit), "; ",
            how_to_need_less(device, training));
}

}  // namespace darknet
