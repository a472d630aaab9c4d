#include "core/checksum.h"

#include "core/rng.h"

namespace darknet {

void Checksum::add(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < bytes; ++i) value_ = (value_ ^ at[i]) * 0x100000001B3ull;
}

std::uint64_t checksum_of(std::string_view bytes) {
  Checksum sum;
  sum.add(bytes.data(), bytes.size());
  return sum.value();
}

std::uint64_t hash_of(std::string_view text) { return mix(checksum_of(text)); }

}  // namespace darknet
