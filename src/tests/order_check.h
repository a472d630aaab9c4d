// Whether launches depend on the order in which they visit their elements: what would be a race on
// a GPU differs between the ordinary and another order.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ranges>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/rng.h"
#include "core/tensor.h"

namespace darknet::testing_order {

// Several chunks of pixels, and enough elements for a team of threads.
inline constexpr Shape kShape{2, 33, 29, 7};

inline std::vector<float> noise(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(3, stream, i) - .5f;
  return v;
}

inline Tensor random_tensor(const Shape& shape, std::uint64_t stream, DType type = DType::f32) {
  Tensor t({}, shape, type);
  t.copy_from({}, noise(t.size(), stream));
  return t;
}

using Bytes = std::vector<std::byte>;

template <std::ranges::contiguous_range Values>
void append(Bytes& to, const Values& values) {
  const auto bytes = std::as_bytes(std::span(values));
  const std::size_t at = to.size();
  to.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
}

// The bytes of tensors in host memory, one after the other.
inline Bytes bytes_of(std::initializer_list<const Tensor*> tensors) {
  Bytes all;
  for (const Tensor* t : tensors)
    append(all, std::span(static_cast<const std::byte*>(t->buffer().data()), to_size(t->bytes())));
  return all;
}

// work(stream) does its launches on the stream, from the same data every time, and returns the
// Bytes that they leave.
template <class Work>
bool same_in_any_order(Work work) {
  const Bytes expected = work(Stream{.threads = 1});
  return work(Stream{.order = Order::scattered}) == expected && work(Stream{}) == expected;
}

}  // namespace darknet::testing_order
