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

}  // namespace darknet
