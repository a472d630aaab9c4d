#include "core/device_guard.h"

#include "core/error.h"

namespace darknet {
namespace {
thread_local const DeviceGuard* innermost = nullptr;  // NOLINT: the nesting of a thread's guards
}

DeviceGuard::DeviceGuard(const Device& device) : device_(device), around_(innermost) {
  streams(device.type).use(device);
  innermost = this;
}

DeviceGuard::~DeviceGuard() {
  innermost = around_;
  if (!around_ || around_->device_ == device_) return;
  try {
    streams(around_->device_.type).use(around_->device_);
  } catch (const Error&) {  // that device fails, and the next call to it says so
  }
}

}  // namespace darknet
