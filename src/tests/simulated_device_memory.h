// The memory of the simulated devices: addresses that nothing can touch but the work of the device
// they belong to, and nothing at all once they were released. Not thread-safe.
#pragma once
#include <array>
#include <cstddef>
#include <map>

#include "core/index.h"

namespace darknet::simulated {

inline constexpr int kDevices = 2;
inline constexpr int kNoDevice = -1;

class DeviceMemory {
 public:
  DeviceMemory();  // also explains, on stderr, an error at its addresses; the error stays one
  void* allocate(int device, std::size_t bytes);       // an address that never was given before
  void release(int device, void*, std::size_t bytes);  // throws where it was not allocated
  // Throws unless the bytes lie within the device's addresses.
  void require(int device, const void*, std::size_t bytes) const;
  // From now on these devices' memory can be touched, each may be kNoDevice.
  void open(int device, int other);

 private:
  struct Region {
    char* base = nullptr;
    std::size_t top = 0;
    std::map<std::size_t, std::size_t> live;  // offset, size
    bool open = false;
  };
  static void protect(const Region&, int protection);
  Region& region(int device) { return regions_[to_size(device)]; }

  std::array<Region, kDevices> regions_;
};

}  // namespace darknet::simulated
