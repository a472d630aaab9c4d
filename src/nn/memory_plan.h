// Where blocks with known lifetimes lie in one arena, so that blocks which are never alive together
// share memory. A pure function of its input.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace darknet {

struct Block {
  std::int64_t begin = 0, end = 0;  // first and last moment of its life, both included
  std::int64_t bytes = 0;           // 0: nobody needs it
};

struct MemoryPlan {
  std::vector<std::int64_t> offsets;  // of each block, multiples of 64
  std::int64_t bytes = 0;             // of the arena
};

MemoryPlan plan_memory(std::span<const Block>);

}  // namespace darknet
