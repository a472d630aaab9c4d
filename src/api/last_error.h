// The sentence that darknet_last_error() of darknet/c_api.h gives, of each thread.
#pragma once
#include <exception>

#include "api/errors.h"

namespace darknet::api {

const char* last_error() noexcept;
void set_last_error(const char* what) noexcept;

// In a catch block: keeps what is being handled.
void keep_last_error() noexcept;

}  // namespace darknet::api
