// Wall time that has passed.
#pragma once
#include <chrono>

namespace darknet {

// Seconds.
inline double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

}  // namespace darknet
