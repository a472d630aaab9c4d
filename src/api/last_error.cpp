#include "api/last_error.h"

#include <array>
#include <cstdio>

namespace darknet::api {
namespace {

thread_local std::array<char, 4096> kept{};  // no allocation: memory may be what has run out

}  // namespace

const char* last_error() noexcept { return kept.data(); }

void set_last_error(const char* what) noexcept {
  std::snprintf(kept.data(), kept.size(), "%s", what);
}

void keep_last_error() noexcept {
  try {
    rethrow_as_exception();
  } catch (const std::exception& e) {
    set_last_error(e.what());
  }
}

}  // namespace darknet::api
