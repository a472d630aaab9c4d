#include "core/device_memory.h"

namespace darknet {

MemoryInUse cuda_memory_in_use(const Device&);  // defined where core/device.cpp's others are

std::optional<MemoryInUse> memory_in_use(const Device& device) {
  if (device.type == DeviceType::cpu) return std::nullopt;
  return cuda_memory_in_use(device);
}

}  // namespace darknet
