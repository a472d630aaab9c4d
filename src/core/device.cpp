#include "core/device.h"

#include "core/error.h"

namespace darknet {

std::string to_string(const Device& d) {
  return d.type == DeviceType::cpu ? std::string("cpu") : cat("cuda:", d.index);
}

// Defined in cpu/ and in cuda/ (or cuda/absent.cpp): the two ends that core knows by name only.
Memory& cpu_memory();
Ops& cpu_ops();
Memory& cuda_memory();
Ops& cuda_ops();
int cuda_device_count();

Memory& memory(DeviceType t) { return t == DeviceType::cpu ? cpu_memory() : cuda_memory(); }
Ops& ops(DeviceType t) { return t == DeviceType::cpu ? cpu_ops() : cuda_ops(); }
int device_count(DeviceType t) { return t == DeviceType::cpu ? 1 : cuda_device_count(); }

}  // namespace darknet
