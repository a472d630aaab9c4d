#include "core/joined_devices.h"

namespace darknet {

const DeviceJoiner* cuda_joiner();  // defined where core/device.cpp's others are

const DeviceJoiner* device_joiner(DeviceType type) {
  return type == DeviceType::cpu ? nullptr : cuda_joiner();
}

}  // namespace darknet
