// Numbers in the bytes of a file, by place and byte order. Where the file ends before them: 0.
#pragma once
#include <cstdint>
#include <string_view>

namespace darknet {

inline std::uint64_t little_endian(std::string_view s, std::size_t at, std::size_t bytes) {
  if (at > s.size() || s.size() - at < bytes) return 0;
  std::uint64_t v = 0;
  for (std::size_t i = bytes; i-- > 0;) v = v << 8 | static_cast<unsigned char>(s[at + i]);
  return v;
}

inline std::uint64_t big_endian(std::string_view s, std::size_t at, std::size_t bytes) {
  if (at > s.size() || s.size() - at < bytes) return 0;
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < bytes; ++i) v = v << 8 | static_cast<unsigned char>(s[at + i]);
  return v;
}

}  // namespace darknet
