#include "tests/simulated_device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "core/error.h"
#include "core/index.h"

namespace darknet::simulated {
namespace {

constexpr std::size_t kRegion = std::size_t{256} << 30;  // of addresses; pages come when touched
constexpr std::size_t kPage = 4096;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage) / kPage * kPage; }

// What the handler of an error may look at.
std::uintptr_t first_address = 0;
struct sigaction earlier_handler;

void explain_error(int, siginfo_t* info, void*) {
  static constexpr char kSaid[] =
      "simulated device: its memory was touched by the host, by work of another device or after "
      "its release\n";
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (at >= first_address && at - first_address < kRegion * kDevices)
    static_cast<void>(!::write(STDERR_FILENO, kSaid, sizeof kSaid - 1));
  ::sigaction(SIGSEGV, &earlier_handler, nullptr);  // which the same access reaches now
}

}  // namespace

DeviceMemory::DeviceMemory() {
  void* const all = ::mmap(nullptr, kRegion * kDevices, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) fail("simulated device: no addresses");
  first_address = reinterpret_cast<std::uintptr_t>(all);
  for (int d = 0; d < kDevices; ++d)
    region(d).base = static_cast<char*>(all) + to_size(d) * kRegion;
  struct sigaction action = {};
  action.sa_sigaction = explain_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &action, &earlier_handler);
}

void* DeviceMemory::allocate(int device, std::size_t bytes) {
  Region& r = region(device);
  const std::size_t size = whole_pages(bytes);
  if (size < bytes || size > kRegion - r.top) fail("simulated device: out of memory");
  r.live.emplace(r.top, size);
  r.top += size;
  return r.base + r.top - size;
}

void DeviceMemory::release(int device, void* p, std::size_t bytes) {
  Region& r = region(device);
  const auto found = r.live.find(to_size(static_cast<char*>(p) - r.base));
  if (found == r.live.end() || found->second != whole_pages(bytes))
    fail("simulated device: a release of what was not allocated");
  ::madvise(p, found->second, MADV_DONTNEED);
  ::mprotect(p, found->second, PROT_NONE);
  r.live.erase(found);
}

void DeviceMemory::require(int device, const void* p, std::size_t bytes) const {
  const Region& r = regions_[to_size(device)];
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto base = reinterpret_cast<std::uintptr_t>(r.base);
  if (at < base || at - base > r.top || bytes > r.top - (at - base))
    fail("simulated device: memory that is not of cuda:", device);
}

void DeviceMemory::open(int device, int other) {
  for (int d = 0; d < kDevices; ++d) {
    Region& r = region(d);
    const bool wanted = d == device || d == other;
    if (wanted != r.open) protect(r, wanted ? PROT_READ | PROT_WRITE : PROT_NONE);
    r.open = wanted;
  }
}

void DeviceMemory::protect(const Region& r, int protection) {
  for (auto it = r.live.begin(); it != r.live.end();) {
    const std::size_t begin = it->first;
    std::size_t end = begin;
    for (; it != r.live.end() && it->first == end; ++it) end += it->second;
    if (::mprotect(r.base + begin, end - begin, protection) != 0)
      fail("simulated device: mprotect");
  }
}

}  // namespace darknet::simulated
