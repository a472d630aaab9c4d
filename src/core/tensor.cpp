#include "core/tensor.h"

#include <cstring>
#include <limits>
#include <utility>

#include "core/index.h"
#include "core/out_of_memory.h"

namespace darknet {
namespace {

constexpr std::int64_t kGuard = 256;  // bytes on either side, a multiple of the alignment
constexpr unsigned char kGuardByte = 0xA5;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

Stream plain_stream(const Device& d) { return {.device = d}; }

void fill_host(const Device& d, void* at, unsigned char byte, std::int64_t bytes) {
  const std::vector<unsigned char> pattern(to_size(bytes), byte);
  memory(d.type).copy_in(plain_stream(d), at, pattern.data(), pattern.size());
}

bool filled_with(const Device& d, const void* at, unsigned char byte, std::int64_t bytes) {
  std::vector<unsigned char> seen(to_size(bytes));
  memory(d.type).copy_out(plain_stream(d), seen.data(), at, seen.size());
  for (const unsigned char b : seen)
    if (b != byte) return false;
  return true;
}

std::vector<float> floats_of(Memory& device, const Stream& s, const TensorView& v) {
  const auto size = to_size(v.shape.size());
  return with_element(v.dtype, [&](auto element) {
    std::vector<decltype(element)> stored(size);
    device.copy_out(s, stored.data(), v.data, size * sizeof(element));
    device.synchronize(s);
    return std::vector<float>(stored.begin(), stored.end());
  });
}

}  // namespace

std::string to_string(const Shape& s) { return cat(s.n, 'x', s.h, 'x', s.w, 'x', s.c); }

std::int64_t checked_size(const Shape& s) {
  std::int64_t size = 1;
  for (const std::int64_t d : {s.n, s.h, s.w, s.c}) {
    if (d <= 0) fail("shape ", to_string(s), " has a dimension that is not positive");
    if (d > kMaxElements / size)
      throw HostOutOfMemory(cat("shape ", to_string(s), " is too large"));
    size *= d;
  }
  return size;
}

TensorView TensorView::channels(std::int64_t first, std::int64_t count) const {
  if (first < 0 || count <= 0 || first + count > shape.c)
    fail("channels ", first, "..", first + count, " of ", shape.c);
  TensorView v = *this;
  v.data = static_cast<char*>(data) + first * size_of(dtype);
  v.shape.c = count;
  return v;
}

TensorView TensorView::reshaped(const Shape& s) const {
  if (!contiguous() || s.size() != shape.size())
    fail("cannot see ", to_string(shape), " as ", to_string(s));
  return {data, dtype, s, s.c};
}

TensorView TensorView::images(std::int64_t first, std::int64_t count) const {
  if (first < 0 || count <= 0 || first + count > shape.n)
    fail("images ", first, "..", first + count, " of ", shape.n);
  TensorView v = *this;
  v.data = static_cast<char*>(data) + first * shape.h * shape.w * pixel_stride * size_of(dtype);
  v.shape.n = count;
  return v;
}

Buffer::Buffer(const Device& device, std::int64_t bytes, MemoryAccess access)
    : device_(device), access_(access), bytes_(bytes) {
  if (bytes < 0) fail("a buffer of ", bytes, " bytes");
  const std::int64_t guard = device.checked ? kGuard : 0;
  const auto all = to_size(bytes + 2 * guard);
  Memory& there = memory(device.type);
  block_ = access == MemoryAccess::peer ? there.allocate_for_peers(device, all)
                                        : there.allocate(device, all);
  data_ = static_cast<char*>(block_) + guard;
  if (!device.checked) return;
  fill_host(device, block_, kGuardByte, kGuard);
  fill_host(device, data_, 0xFF, bytes);  // four such bytes are a NaN
  fill_host(device, static_cast<char*>(data_) + bytes, kGuardByte, kGuard);
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  device_ = other.device_;
  access_ = other.access_;
  block_ = std::exchange(other.block_, nullptr);
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

Buffer::~Buffer() { release(); }

void Buffer::release() noexcept {
  if (!block_) return;
  const std::int64_t guard = device_.checked ? kGuard : 0;
  const auto all = to_size(bytes_ + 2 * guard);
  Memory& there = memory(device_.type);
  access_ == MemoryAccess::peer ? there.release_for_peers(device_, block_, all)
                                : there.release(device_, block_, all);
  block_ = data_ = nullptr;
}

bool Buffer::guards_intact() const {
  if (!device_.checked || !block_) return true;
  return filled_with(device_, block_, kGuardByte, kGuard) &&
         filled_with(device_, static_cast<char*>(data_) + bytes_, kGuardByte, kGuard);
}

PinnedBuffer::PinnedBuffer(DeviceType type, std::int64_t bytes)
    : type_(type),
      data_(static_cast<char*>(memory(type).allocate_pinned(to_size(bytes)))),
      bytes_(bytes) {}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept { *this = std::move(other); }

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  type_ = other.type_;
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

PinnedBuffer::~PinnedBuffer() { release(); }

void PinnedBuffer::release() noexcept {
  if (data_) memory(type_).release_pinned(data_);
  data_ = nullptr;
}

Tensor::Tensor(const Device& device, const Shape& shape, DType dtype)
    : buffer_(device, checked_size(shape) * size_of(dtype)), shape_(shape), dtype_(dtype) {
  if (!device.checked) zero(plain_stream(device));
}

void Tensor::zero(const Stream& s) {
  if (!empty()) memory(device().type).zero(s, buffer_.data(), to_size(bytes()));
}

void Tensor::copy_from(const Stream& s, std::span<const float> host) {
  if (std::ssize(host) != size())
    fail("copy of ", host.size(), " floats into a tensor ", to_string(shape_));
  with_element(dtype_, [&](auto element) {
    std::vector<decltype(element)> stored(host.size());
    for (std::size_t i = 0; i < host.size(); ++i) stored[i] = host[i];
    memory(device().type)
        .copy_in(s, buffer_.data(), stored.data(), stored.size() * sizeof(element));
  });
}

std::vector<float> Tensor::to_host(const Stream& s) const {
  return empty() ? std::vector<float>() : floats_of(memory(device().type), s, view());
}

std::vector<float> to_host(const Stream& s, const TensorView& v) {
  if (!v) return {};
  if (!v.contiguous()) fail("a copy to the host of a slice of channels");
  return floats_of(memory(s.device.type), s, v);
}

}  // namespace darknet
