// A failure of a device or of a sum over devices: what they computed since is invalid and must not
// be saved.
#pragma once
#include "core/error.h"

namespace darknet {

class DeviceFailure : public Error {
 public:
  using Error::Error;
};

}  // namespace darknet
