// Divides one buffer into parts that are aligned for any element type and library, whatever the
// sizes of the parts before.
#pragma once
#include <cstdint>
#include "core/error.h"

namespace darknet {

inline constexpr std::int64_t kPartAlignment = 256;  // bytes, as cuBLAS asks of its workspace

// Bytes of a part, with what keeps the next one aligned.
constexpr std::int64_t part_bytes(std::int64_t bytes) {
  return (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
}

// The part of a buffer `offset` bytes behind its start. Throws Error where a part cannot begin.
template <class T = void>
T* part(void* buffer, std::int64_t offset) {
  if (offset % kPartAlignment != 0) fail("a part of a buffer begins at byte ", offset);
  return static_cast<T*>(static_cast<void*>(static_cast<char*>(buffer) + offset));
}

// Hands out the parts of one buffer, one after the other.
class Parts {
 public:
  // The offset of the next part.
  std::int64_t take(std::int64_t bytes) {
    const std::int64_t at = total_;
    total_ += part_bytes(bytes);
    return at;
  }
  std::int64_t total() const { return total_; }

 private:
  std::int64_t total_ = 0;
};

}  // namespace darknet
