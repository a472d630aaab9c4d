// The memory of the emulated devices, which the host cannot touch at the addresses that a program
// gets, and page-locked memory, which it can; with the bounds and the owner of every allocation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace emulator {

using Address = std::uint64_t;

enum class MemoryKind : std::uint8_t {
  device,       // cudaMalloc: NCCL may reach it from another device
  pool,         // cudaMallocAsync: of its own device only
  page_locked,  // cudaHostAlloc
  module,       // variables of a PTX module
};

struct Allocation {
  Address begin = 0, end = 0;
  Address view = 0;  // where the emulator reads and writes what is at `begin`
  int device = 0;
  MemoryKind kind = MemoryKind::device;
  bool holds(Address at, std::size_t bytes) const {
    return at >= begin && at <= end && bytes <= end - at;
  }
  unsigned char* at(Address p) const { return reinterpret_cast<unsigned char*>(p - begin + view); }
};

class Memory {
 public:
  // `bytes`: of all devices together.
  explicit Memory(std::size_t bytes);
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  // Filled with kPoison. Aligned as cudaMalloc aligns. Null where no room is left.
  void* allocate(std::size_t bytes, MemoryKind, int device);
  // Throws Fault unless `p` begins a live allocation of that kind.
  void release(void* p, MemoryKind);
  // The live allocation that holds this byte, or null.
  const Allocation* find(Address) const;
  // The live allocation of these bytes that a kernel or copy of `device` may touch; throws Fault.
  const Allocation& require(Address, std::size_t bytes, int device) const;
  // The same; where the emulator reads and writes them.
  unsigned char* view(const void* p, std::size_t bytes, int device) const;
  // Of device memory.
  std::size_t in_use(int device) const;

  // A NaN as a float, -1 as an integer: what reads memory that nothing wrote shows it.
  static constexpr unsigned char kPoison = 0xFF;
  static constexpr std::size_t kAlignment = 512;

 private:
  Address room_for(std::size_t bytes);

  std::size_t bytes_;
  Address arena_, view_;  // the same pages: without any access, and for the emulator
  Address cursor_;        // behind the latest allocation: what was freed is used again late
  std::map<Address, Allocation> live_;  // by begin
};

}  // namespace emulator
