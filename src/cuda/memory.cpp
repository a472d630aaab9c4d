// Device memory from the driver's own pool, which keeps what is given back for the next request,
// and copies in the order of a stream.
#include <array>
#include <atomic>
#include <iomanip>
#include <limits>
#include <map>
#include <mutex>

#include "core/device_memory.h"
#include "core/index.h"
#include "core/out_of_memory.h"
#include "cuda/calls.h"

namespace darknet {
namespace {

constexpr std::size_t kMaxDevices = 64;

using cuda::check;
using cuda::native;

class CudaMemory final : public Memory {
 public:
  std::int64_t capacity(const Device& device) override {
    streams(DeviceType::cuda).use(device);
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo", to_string(device));
    return static_cast<std::int64_t>(total);
  }
  void* allocate(const Device& device, std::size_t bytes) override {
    streams(DeviceType::cuda).use(device);
    void* p = nullptr;
    const bool pool = traits(device).has_pool;
    const cudaError_t status =
        pool ? cudaMallocAsync(&p, bytes + 1, nullptr) : cudaMalloc(&p, bytes + 1);
    require(status, pool ? "cudaMallocAsync" : "cudaMalloc", device, bytes);
    return p;
  }
  void release(const Device& device, void* p, std::size_t bytes) noexcept override {
    count(device) -= bytes;
    on_device(device, [&] { traits(device).has_pool ? cudaFreeAsync(p, nullptr) : cudaFree(p); });
  }
  // Not from the pool, whose memory only its own device may touch: NCCL reaches into its peers'.
  void* allocate_for_peers(const Device& device, std::size_t bytes) override {
    streams(DeviceType::cuda).use(device);
    void* p = nullptr;
    require(cudaMalloc(&p, bytes + 1), "cudaMalloc", device, bytes);
    return p;
  }
  void release_for_peers(const Device& device, void* p, std::size_t bytes) noexcept override {
    count(device) -= bytes;
    on_device(device, [p] { cudaFree(p); });
  }
  void copy_in(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    copy(s, to, from, bytes, cudaMemcpyHostToDevice);
  }
  void copy_out(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    copy(s, to, from, bytes, cudaMemcpyDeviceToHost);
  }
  void copy(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    copy(s, to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void* allocate_pinned(std::size_t bytes) override {
    void* p = nullptr;
    check(cudaHostAlloc(&p, bytes + 1, cudaHostAllocPortable), "cudaHostAlloc",
          cat(bytes, " bytes"));
    return p;
  }
  void release_pinned(void* p) noexcept override { cudaFreeHost(p); }
  void send(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    begin_copy(s, to, from, bytes, cudaMemcpyHostToDevice);
  }
  void fetch(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    begin_copy(s, to, from, bytes, cudaMemcpyDeviceToHost);
  }
  void copy_from(const Stream& s, void* to, const Device& there, const void* from,
                 std::size_t bytes) override {
    if (bytes == 0) return;
    streams(DeviceType::cuda).use(s.device);
    check(cudaMemcpyPeerAsync(to, s.device.index, from, there.index, bytes, native(s)),
          "cudaMemcpyPeerAsync", cat(to_string(there), " to ", to_string(s.device)));
  }
  void zero(const Stream& s, void* at, std::size_t bytes) override {
    if (bytes == 0) return;
    streams(DeviceType::cuda).use(s.device);
    check(cudaMemsetAsync(at, 0, bytes, native(s)), "cudaMemsetAsync", cat(bytes, " bytes"));
  }
  void synchronize(const Stream& s) override {
    streams(DeviceType::cuda).use(s.device);
    cuda::wait_for(s);
  }
  // What the pool keeps for the next request is free.
  MemoryInUse in_use(const Device& device) {
    streams(DeviceType::cuda).use(device);
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo", to_string(device));
    std::uint64_t reserved = 0, used = 0;
    if (cudaMemPool_t pool = nullptr; traits(device).has_pool) {
      check(cudaDeviceGetDefaultMemPool(&pool, device.index), "cudaDeviceGetDefaultMemPool");
      check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved),
            "cudaMemPoolGetAttribute");
      check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used),
            "cudaMemPoolGetAttribute");
    }
    return {static_cast<std::int64_t>(count(device).load()),
            static_cast<std::int64_t>(free + (reserved - used))};
  }

 private:
  // Bytes of all buffers of a device.
  static std::atomic<std::size_t>& count(const Device& device) {
    static std::array<std::atomic<std::size_t>, kMaxDevices> bytes{};
    return bytes.at(to_size(std::int64_t{device.index}));
  }
  // That an allocation succeeded, which is then counted.
  void require(cudaError_t status, const char* call, const Device& device, std::size_t bytes) {
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // a failed allocation is not to be found by the next launch
      const MemoryInUse now = in_use(device);
      const auto mib = [](auto n) { return static_cast<double>(n) / (1 << 20); };
      throw DeviceOutOfMemory(cat("out of memory on ", to_string(device), ": ", std::fixed,
                                  std::setprecision(1), "cannot allocate ", mib(bytes),
                                  " MiB; this program uses ", mib(now.used), " MiB, ",
                                  mib(now.free), " MiB are free"));
    }
    check(status, call, cat(bytes, " bytes"));
    count(device) += bytes;
  }
  // And back to the device that was the thread's.
  template <class F>
  static void on_device(const Device& device, F f) noexcept {
    int before = 0;
    cudaGetDevice(&before);
    cudaSetDevice(device.index);
    f();
    cudaSetDevice(before);
  }
  static void begin_copy(const Stream& s, void* to, const void* from, std::size_t bytes,
                         cudaMemcpyKind kind) {
    if (bytes == 0) return;
    streams(DeviceType::cuda).use(s.device);
    check(cudaMemcpyAsync(to, from, bytes, kind, native(s)), "cudaMemcpyAsync",
          cat(bytes, " bytes"));
  }
  static void copy(const Stream& s, void* to, const void* from, std::size_t bytes,
                   cudaMemcpyKind kind) {
    if (bytes == 0) return;
    begin_copy(s, to, from, bytes, kind);
    // The host reads next what it fetched; of what it sends, ordinary memory was taken over when
    // the call returned, unless the device reads it itself.
    const bool waits = kind == cudaMemcpyDeviceToHost ||
                       (kind == cudaMemcpyHostToDevice && traits(s.device).reads_host_memory);
    if (waits) cuda::wait_for(s);
  }
  // What never changes of a device: asked for once.
  struct Traits {
    bool has_pool;           // else, as on parts of a virtual GPU, memory comes from cudaMalloc
    bool reads_host_memory;  // ordinary memory of the host, by itself
  };
  static const Traits& traits(const Device& device) {
    static std::mutex mutex;
    static std::map<int, Traits> known;
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(device.index); found != known.end()) return found->second;
    const Traits traits{attribute(cudaDevAttrMemoryPoolsSupported, device),
                        attribute(cudaDevAttrPageableMemoryAccess, device)};
    if (traits.has_pool) keep_freed_memory(device);
    return known.emplace(device.index, traits).first->second;
  }
  static bool attribute(cudaDeviceAttr which, const Device& device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device.index), "cudaDeviceGetAttribute",
          to_string(device));
    return value != 0;
  }
  // The pool gives nothing back to the driver before the program ends.
  static void keep_freed_memory(const Device& device) {
    cudaMemPool_t pool = nullptr;
    check(cudaDeviceGetDefaultMemPool(&pool, device.index), "cudaDeviceGetDefaultMemPool");
    std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &max),
          "cudaMemPoolSetAttribute");
  }
};

}  // namespace

namespace {
CudaMemory& the_memory() {
  static CudaMemory memory;
  return memory;
}
}  // namespace

Memory& cuda_memory() { return the_memory(); }
MemoryInUse cuda_memory_in_use(const Device& device) { return the_memory().in_use(device); }

}  // namespace darknet
