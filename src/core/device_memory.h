// How much of a device's memory is taken: by the buffers of this program, and what is left.
#pragma once
#include <cstdint>
#include <optional>

#include "core/device.h"

namespace darknet {

struct MemoryInUse {
  std::int64_t used = 0;  // bytes of this program's buffers, without what libraries take themselves
  std::int64_t free = 0;  // bytes that buffers can still get
};

// None for the CPU, whose memory all programs share and the system promises more than once.
std::optional<MemoryInUse> memory_in_use(const Device&);

}  // namespace darknet
