// Where blocks with known lifetimes lie in one arena, so that blocks which are never alive together
// share memory, a pure function of its input; and whether a device can hold what was planned.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/tensor.h"

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

// How to need less memory, as the end of an error message.
const char* how_to_need_less(const Device&, bool training);

// Throws, naming [net] at `where`, where the device cannot hold `bytes` and the f32 `input`. To be
// asked before anything is allocated: a system that promises more memory than it has would end the
// program, or others, once it is touched.
void require_memory(const Where& where, const Device&, const Shape& input, bool training,
                    double bytes);

}  // namespace darknet
