#include "tests/emulator/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>

#include "tests/emulator/fault.h"

namespace emulator {
namespace {

std::string hexadecimal(Address at) {
  std::ostringstream out;
  out << "0x" << std::hex << at;
  return out.str();
}

}  // namespace

Memory::Memory(std::size_t bytes) : bytes_(bytes) {
  const int file = memfd_create("emulated GPU memory", MFD_CLOEXEC);
  const bool sized = file >= 0 && ftruncate(file, static_cast<off_t>(bytes)) == 0;
  void* const arena = mmap(nullptr, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, 0);
  void* const view =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  if (!sized || arena == MAP_FAILED || view == MAP_FAILED) throw std::bad_alloc();
  close(file);
  arena_ = reinterpret_cast<Address>(arena), view_ = reinterpret_cast<Address>(view);
  cursor_ = arena_;
}

Memory::~Memory() {
  munmap(reinterpret_cast<void*>(arena_), bytes_);
  munmap(reinterpret_cast<void*>(view_), bytes_);
}

// From the cursor on, then once more from the start.
Address Memory::room_for(std::size_t bytes) {
  for (const Address start : {cursor_, arena_}) {
    Address at = start;
    for (auto next = live_.lower_bound(at); at + bytes <= arena_ + bytes_; ++next) {
      const bool inside = next != live_.end() && next->first < arena_ + bytes_;
      if (at + bytes <= (inside ? next->first : arena_ + bytes_)) return cursor_ = at + bytes, at;
      if (!inside) break;
      at = (std::max(next->second.end, next->first + 1) + kAlignment - 1) / kAlignment * kAlignment;
    }
  }
  return 0;
}

void* Memory::allocate(std::size_t bytes, MemoryKind kind, int device) {
  const std::size_t rounded =
      (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  const bool on_host = kind == MemoryKind::page_locked;
  if (bytes > (on_host ? ~std::size_t{0} / 2 : bytes_)) return nullptr;
  const Address begin = on_host ? reinterpret_cast<Address>(std::aligned_alloc(kAlignment, rounded))
                                : room_for(rounded);
  if (!begin) return nullptr;
  const Address view = on_host ? begin : begin - arena_ + view_;
  std::memset(reinterpret_cast<void*>(view), kPoison, rounded);
  live_[begin] = {begin, begin + bytes, view, device, kind};
  return reinterpret_cast<void*>(begin);
}

void Memory::release(void* p, MemoryKind kind) {
  const auto found = live_.find(reinterpret_cast<Address>(p));
  if (found == live_.end() || found->second.kind != kind)
    throw Fault(FaultKind::illegal_address,
                hexadecimal(reinterpret_cast<Address>(p)) +
                    " is released, which is no live allocation of this kind");
  if (kind == MemoryKind::page_locked) std::free(p);
  live_.erase(found);
}

const Allocation* Memory::find(Address at) const {
  auto next = live_.upper_bound(at);
  if (next == live_.begin()) return nullptr;
  const Allocation& a = std::prev(next)->second;
  return a.holds(at, 1) ? &a : nullptr;
}

const Allocation& Memory::require(Address at, std::size_t bytes, int device) const {
  const auto refuse = [&](const std::string& why) {
    throw Fault(FaultKind::illegal_address,
                std::to_string(bytes) + " bytes at " + hexadecimal(at) + ": " + why);
  };
  const Allocation* const a = find(at);
  if (!a) {
    const auto next = live_.upper_bound(at);
    if (next != live_.begin()) {
      const Allocation& before = std::prev(next)->second;
      if (at - before.end < (1 << 20))
        refuse(std::to_string(at - before.end) + " bytes behind the end of an allocation of " +
               std::to_string(before.end - before.begin));
    }
    refuse("memory that was released, or none of a device");
  }
  if (!a->holds(at, bytes)) refuse("over the end of an allocation");
  if (a->kind != MemoryKind::page_locked && a->device != device)
    refuse("memory of device " + std::to_string(a->device) + " touched by device " +
           std::to_string(device));
  return *a;
}

unsigned char* Memory::view(const void* p, std::size_t bytes, int device) const {
  const auto at = reinterpret_cast<Address>(p);
  return require(at, bytes, device).at(at);
}

std::size_t Memory::in_use(int device) const {
  std::size_t sum = 0;
  for (const auto& [begin, a] : live_)
    if (a.device == device && (a.kind == MemoryKind::device || a.kind == MemoryKind::pool))
      sum += a.end - a.begin;
  return sum;
}

}  // namespace emulator
