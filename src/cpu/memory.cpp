// Host memory as a device: aligned allocation and plain copies.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/device.h"
#include "core/error.h"
#include "core/index.h"
#include "core/out_of_memory.h"

namespace darknet {
namespace {

#ifdef __linux__
// The pages that lie in a piece of memory as a whole, and the bytes before them.
struct WholePages {
  char* begin = nullptr;
  std::size_t head = 0, bytes = 0;
  WholePages(void* p, std::size_t size) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGE_SIZE));
    head = std::min(size, (page - reinterpret_cast<std::uintptr_t>(p) % page) % page);
    begin = static_cast<char*>(p) + head;
    bytes = (size - head) / page * page;
  }
};
#endif

// Asks for huge pages, where the system gives them to those who ask: packed weights are read from
// end to end for every image, and the processor prefetches only within a page.
void advise_huge_pages(void* p, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr std::size_t kWorthIt = 4 << 20;
  if (bytes < kWorthIt) return;
  const WholePages pages(p, bytes);
  ::madvise(pages.begin, pages.bytes, MADV_HUGEPAGE);
#endif
}

// Gives the pages back to the system, which maps zero-filled ones at the first access. So
// parameters that are never read, as in `darknet net info`, take no memory. False where it cannot.
bool zero_when_touched(void* p, std::size_t bytes) {
#ifdef __linux__
  constexpr std::size_t kAlwaysPages = std::size_t{1} << 30;  // of whole mappings of the allocator
  if (bytes < kAlwaysPages) return false;
  const WholePages pages(p, bytes);
  if (::madvise(pages.begin, pages.bytes, MADV_DONTNEED) != 0) return false;
  std::memset(p, 0, pages.head);
  std::memset(pages.begin + pages.bytes, 0, bytes - pages.head - pages.bytes);
  return true;
#else
  return false;
#endif
}

class CpuMemory final : public Memory {
 public:
  std::int64_t capacity(const Device&) override {
    return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGE_SIZE);
  }
  void* allocate(const Device&, std::size_t bytes) override {
    if (const std::size_t there = to_size(capacity({})); bytes >= there)
      throw HostOutOfMemory(
          cat("out of memory: ", (bytes >> 20) + 1, " MiB are needed, there are ", there >> 20));
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
    if (bytes > 0 && !zero_when_touched(at, bytes)) std::memset(at, 0, bytes);
  }
  void synchronize(const Stream&) override {}
};

}  // namespace

Memory& cpu_memory() {
  static CpuMemory memory;
  return memory;
}

}  // namespace darknet
