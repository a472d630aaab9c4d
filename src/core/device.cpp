#include "core/device.h"

#include <charconv>
#include <chrono>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/out_of_memory.h"

namespace darknet {
namespace {

constexpr std::align_val_t kAlignment{64};

// Where work is done at once, what was asked for is what is done.
class HostEvent final : public Event {
 public:
  void record(const Stream&) override { at_ = std::chrono::steady_clock::now(); }
  void make_wait(const Stream&) override {}
  void wait() override {}
  double seconds_since(const Event& earlier) const override {
    return std::chrono::duration<double>(at_ - dynamic_cast<const HostEvent&>(earlier).at_).count();
  }

 private:
  std::chrono::steady_clock::time_point at_;
};

}  // namespace

void* Memory::allocate_pinned(std::size_t bytes) {
  void* const p = ::operator new(bytes + 1, kAlignment, std::nothrow);
  if (!p)
    throw HostOutOfMemory(cat("out of memory: ", (bytes >> 20) + 1, " MiB more are not given"));
  return p;
}

void Memory::release_pinned(void* p) noexcept { ::operator delete(p, kAlignment); }

std::unique_ptr<Event> Streams::event(const Device&) { return std::make_unique<HostEvent>(); }

std::string to_string(const Device& d) {
  return d.type == DeviceType::cpu ? std::string("cpu") : cat("cuda:", d.index);
}

Device device_of(const std::string& name) {
  if (name == "cpu") return {};
  Device device{.type = DeviceType::cuda};
  const std::string prefix = "cuda:";
  if (name == "cuda") return device;
  const char* const end = name.data() + name.size();
  if (name.starts_with(prefix)) {
    const auto [at, error] = std::from_chars(name.data() + prefix.size(), end, device.index);
    if (error == std::errc{} && at == end && device.index >= 0) return device;
  }
  fail("'", name, "' is not a device; expected cpu, cuda or cuda:N");
}

// Defined in cpu/ and in cuda/ (or cuda/absent.cpp): the two ends that core knows by name only.
Memory& cpu_memory();
Ops& cpu_ops();
Memory& cuda_memory();
Streams& cuda_streams();
Ops& cuda_ops();
int cuda_device_count();

Memory& memory(DeviceType t) { return t == DeviceType::cpu ? cpu_memory() : cuda_memory(); }
Ops& ops(DeviceType t) { return t == DeviceType::cpu ? cpu_ops() : cuda_ops(); }
int device_count(DeviceType t) { return t == DeviceType::cpu ? 1 : cuda_device_count(); }

Streams& streams(DeviceType t) {
  static Streams of_cpu;
  return t == DeviceType::cpu ? of_cpu : cuda_streams();
}

OwnedStream::OwnedStream(Stream stream) : stream_(stream) {
  stream_.native = streams(stream.device.type).open(stream.device);
}

OwnedStream::OwnedStream(OwnedStream&& other) noexcept
    : stream_(std::exchange(other.stream_, Stream{})) {}

OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept {
  if (this == &other) return *this;
  close();
  stream_ = std::exchange(other.stream_, Stream{});
  return *this;
}

OwnedStream::~OwnedStream() { close(); }

void OwnedStream::close() noexcept {
  if (stream_.native) streams(stream_.device.type).close(stream_.device, stream_.native);
  stream_.native = nullptr;
}

}  // namespace darknet
