#include "core/device.h"

#include <charconv>
#include <utility>

#include "core/error.h"

namespace darknet {

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
  fail("'", name, "' is no device; expected cpu, cuda or cuda:N");
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
