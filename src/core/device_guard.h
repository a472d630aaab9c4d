// The device of the calling thread, for as long as a guard lives: launches, copies and events in
// its scope go to that device.
#pragma once
#include "core/device.h"

namespace darknet {

// Guards nest: when one ends, the device is again that of the guard around it. The outermost leaves
// its own, since whoever needs a device makes a guard.
class DeviceGuard {
 public:
  explicit DeviceGuard(const Device&);
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  ~DeviceGuard();

 private:
  Device device_;
  const DeviceGuard* around_;
};

}  // namespace darknet
