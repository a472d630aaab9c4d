// 64-bit FNV-1a, to detect whether two files belong together; not a guard against an adversary.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace darknet {

class Checksum {
 public:
  void add(const void* data, std::size_t bytes);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ull;
};

std::uint64_t checksum_of(std::string_view bytes);

// To tell many texts apart in 8 bytes each, and to order them as if at random. FNV-1a spreads the
// last characters over the low bits only; here they change all of them.
std::uint64_t hash_of(std::string_view text);

}  // namespace darknet
