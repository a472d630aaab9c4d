// Host memory as a device: aligned allocation and plain copies.
#include <unistd.h>

#include <cstring>

#include "core/device.h"
#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

class CpuMemory final : public Memory {
 public:
  std::int64_t capacity(const Device&) override {
    return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGE_SIZE);
  }
  void* allocate(const Device&, std::size_t bytes) override {
    if (bytes >= to_size(capacity({}))) fail("out of memory: ", bytes, " bytes");
    return allocate_pinned(bytes);
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
