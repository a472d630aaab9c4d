#include "detect/running_values.h"

#include <utility>

#include "core/index.h"

namespace darknet {
namespace {

Buffer zeros(const Device& device, std::int64_t bytes) {
  Buffer buffer(device, bytes);
  memory(device.type).zero({.device = device}, buffer.data(), to_size(bytes));
  return buffer;
}

}  // namespace

RunningValues::RunningValues(std::string name, const Device& device, std::int64_t values,
                             std::int64_t sums)
    : name_(std::move(name)),
      values_(zeros(device, values * std::int64_t{sizeof(double)})),
      sums_(zeros(device, sums * std::int64_t{sizeof(std::int64_t)})) {}

void RunningValues::begin_step(const Stream& stream) {
  memory(stream.device.type).zero(stream, sums_.data(), to_size(sums_.bytes()));
}

std::vector<double> RunningValues::to_host(const Stream& stream) const {
  std::vector<double> host(to_size(values()));
  memory(stream.device.type)
      .copy_out(stream, host.data(), values_.data(), to_size(values_.bytes()));
  memory(stream.device.type).synchronize(stream);
  return host;
}

void RunningValues::copy_from(const Stream& stream, std::span<const double> values) {
  if (std::ssize(values) != this->values())
    fail(name_, ": ", values.size(), " values where there are ", this->values());
  memory(stream.device.type).copy_in(stream, values_.data(), values.data(), values.size_bytes());
}

}  // namespace darknet
