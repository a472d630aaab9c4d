// An error after which what devices computed since is not to be used.
#pragma once
#include "core/error.h"

namespace darknet {

class DeviceFailure : public Error {
 public:
  using Error::Error;
};

}  // namespace darknet
