// Host memory as a device: aligned allocation and plain copies.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "core/device.h"
#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

// Asks for huge pages, where the system gives them to those who ask: packed weights are read from
// end to end for every image, and the processor prefetches only within a page.
void advise_huge_pages(void* p, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::size_t kWorthIt = 4 << 20;
  if (bytes < kWorthIt) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGE_SIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(p) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(p) + bytes) / page * page;
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

class CpuMemory final : public Memory {
 public:
  std::int64_t capacity(const Device&) override {
    return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGE_SIZE);
  }
  void* allocate(const Device&, std::size_t bytes) override {
    if (bytes >= to_size(capacity({}))) fail("out of memory: ", bytes, " bytes");
    void* const p = allocate_pinned(bytes);
    advise_huge_pages(p, bytes);
    return p;
  }
  void release(const Device&, void* p, std::size_t) noexcept override { release_pinned(p); }
  void copy_in(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    copy(s, to, from, bytes);
  }
  void copy_out(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    copy(s, to, from, bytes);
  }
  void copy(const Stream&, void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void zero(const Stream&, void* at, std::size_t bytes) override {
    if (bytes > 0) std::memset(at, 0, bytes);
  }
  void synchronize(const Stream&) override {}
};

}  // namespace

Memory& cpu_memory() {
  static CpuMemory memory;
  return memory;
}

}  // namespace darknet
