// What crosses from the program's code into the library's callers when something goes wrong.
#pragma once
#include <utility>

#include "darknet/error.h"

namespace darknet::api {

// In a catch block: throws what is being handled as an Exception with the same words.
[[noreturn]] void rethrow_as_exception();

// f(); whatever it throws becomes an Exception.
template <class F>
auto translated(F&& f) -> decltype(f()) {
  try {
    return std::forward<F>(f)();
  } catch (...) {
    rethrow_as_exception();
  }
}

}  // namespace darknet::api
