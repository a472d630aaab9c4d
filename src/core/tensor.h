// Shapes, owning buffers and tensors, and the views that launches take. Layout is NHWC everywhere:
// channels are contiguous, a pixel is `pixel_stride` elements.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>
#include "core/device.h"
#include "core/error.h"
#include "core/half.h"
#include "core/hd.h"
#include "core/named.h"

namespace darknet {

// u8: integers between two convolutions (IntegerScale in core/ops.h). It has no name, so precision=
// cannot ask for it, and no launch computes with it.
enum class DType : std::uint8_t { f32, bf16, f16, u8 };
constexpr auto choices(DType) {
  return std::to_array<Named<DType>>(
      {{"f32", DType::f32}, {"bf16", DType::bf16}, {"f16", DType::f16}});
}

constexpr std::int64_t size_of(DType t) { return t == DType::f32 ? 4 : t == DType::u8 ? 1 : 2; }

template <class T>
constexpr DType dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, BF16> || std::is_same_v<T, F16> ||
                std::is_same_v<T, std::uint8_t>);
  if (std::is_same_v<T, std::uint8_t>) return DType::u8;
  return std::is_same_v<T, float> ? DType::f32 : std::is_same_v<T, BF16> ? DType::bf16 : DType::f16;
}

// f(T{}) with the element type T that `t` names: the choice of a launch's instance, outside of the
// loop. Throws for u8.
template <class F>
decltype(auto) with_element(DType t, F f) {
  if (t == DType::bf16) return f(BF16{});
  if (t == DType::f16) return f(F16{});
  if (t == DType::u8) fail("a tensor of integers where f32, bf16 or f16 was expected");
  return f(float{});
}

struct Shape {
  std::int64_t n = 0, h = 0, w = 0, c = 0;
  DN_HD std::int64_t pixels() const { return n * h * w; }
  DN_HD std::int64_t size() const { return n * h * w * c; }
  DN_HD std::int64_t features() const { return h * w * c; }  // of one image
  friend bool operator==(const Shape&, const Shape&) = default;
};

// Of an image, and so of a network's input ([net] channels).
inline constexpr std::int64_t kMaxChannels = 1 << 10;

std::string to_string(const Shape&);  // "2x13x13x255": n h w c
// n*h*w*c; throws if a dimension is not positive or the product exceeds 2^40.
std::int64_t checked_size(const Shape&);

// A typed view for functors: copied by value, owns nothing. Element (pixel, channel) is
// data[pixel * pixel_stride + channel]; a stride above shape.c is a slice of a wider tensor.
template <class T>
struct View {
  T* data = nullptr;
  Shape shape;
  std::int64_t pixel_stride = 0;

  DN_HD T& at(std::int64_t pixel, std::int64_t channel) const {
    return data[pixel * pixel_stride + channel];
  }
  DN_HD std::int64_t pixel(std::int64_t n, std::int64_t y, std::int64_t x) const {
    return (n * shape.h + y) * shape.w + x;
  }
  // A template, or nvcc warns of View<const T> converting to itself.
  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor): as implicit as T* to const T*
  requires(!std::is_const_v<T> && std::is_same_v<U, const T>) DN_HD operator View<U>() const {
    return {data, shape, pixel_stride};
  }
};

// A view whose element type is known at run time: what the network hands to layers.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t pixel_stride = 0;

  explicit operator bool() const { return data != nullptr; }
  bool contiguous() const { return pixel_stride == shape.c; }
  template <class T = float>
  View<T> as() const {
    if (dtype_of<T>() != dtype)
      fail("a tensor of ", dtype == DType::u8 ? "integers" : name_of(dtype),
           " seen as another type");
    return {static_cast<T*>(data), shape, pixel_stride};
  }
  TensorView channels(std::int64_t first, std::int64_t count) const;  // a slice of every pixel
  TensorView reshaped(const Shape&) const;                            // same elements; contiguous
  TensorView images(std::int64_t first, std::int64_t count) const;    // a part of the batch
};

// The values of a dense view as floats in host memory; synchronizes.
std::vector<float> to_host(const Stream&, const TensorView&);

enum class MemoryAccess : std::uint8_t { local, peer };  // which devices use some memory

// Bytes on a device; move-only. On a `checked` device it is surrounded by guard bytes.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Device&, std::int64_t bytes, MemoryAccess = MemoryAccess::local);
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();

  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  const Device& device() const { return device_; }
  bool guards_intact() const;  // always true where the device is not `checked`

 private:
  void release() noexcept;
  Device device_;
  MemoryAccess access_ = MemoryAccess::local;
  void* block_ = nullptr;  // what was allocated; data_ lies inside it
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

// Pinned (page-locked) host memory for Memory::send and fetch of a device type; move-only.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  PinnedBuffer(DeviceType, std::int64_t bytes);
  PinnedBuffer(PinnedBuffer&&) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&&) noexcept;
  ~PinnedBuffer();

  char* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void release() noexcept;
  DeviceType type_ = DeviceType::cpu;
  char* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

// A Buffer with a shape and an element type; move-only, zero-filled when created.
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Device&, const Shape&, DType = DType::f32);

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  const Device& device() const { return buffer_.device(); }
  std::int64_t size() const { return shape_.size(); }
  std::int64_t bytes() const { return buffer_.bytes(); }
  bool empty() const { return buffer_.data() == nullptr; }
  const Buffer& buffer() const { return buffer_; }

  TensorView view() const { return {buffer_.data(), dtype_, shape_, shape_.c}; }
  template <class T = float>
  T* data() const {
    return static_cast<T*>(buffer_.data());
  }

  void zero(const Stream&);
  void copy_from(const Stream&, std::span<const float> host);  // sizes must agree
  std::vector<float> to_host(const Stream&) const;             // synchronizes

 private:
  Buffer buffer_;
  Shape shape_;
  DType dtype_ = DType::f32;
};

// A vector of n floats as a tensor of shape 1x1x1xn.
inline Shape vector_shape(std::int64_t n) { return {1, 1, 1, n}; }

}  // namespace darknet
