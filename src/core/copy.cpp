#include "core/copy.h"

#include <cstring>

#include "core/elementwise.h"

namespace darknet {
namespace {

struct Same {
  DN_HD float operator()(float x) const { return x; }
};

// The bytes of a pixel, or of all pixels of dense tensors.
struct CopyRow {
  const std::uint8_t* from;
  std::uint8_t* to;
  std::int64_t from_step, to_step, bytes;
  void operator()(std::int64_t row) const {
    std::memcpy(to + row * to_step, from + row * from_step, static_cast<std::size_t>(bytes));
  }
};

void copy_integers(const Stream& s, const View<const std::uint8_t>& from,
                   const View<std::uint8_t>& to) {
  const Shape& shape = to.shape;
  const bool dense = from.pixel_stride == shape.c && to.pixel_stride == shape.c;
  const std::int64_t pixels = dense ? shape.w : 1;  // of a row
  const CopyRow row{from.data, to.data, pixels * from.pixel_stride, pixels * to.pixel_stride,
                    pixels * shape.c};
  run_on_host(s, {.rows = shape.pixels() / pixels, .grain = row.bytes}, row,
              IndexLoop<CopyRow>::run);
}

// f(from element, to element) with the element types of both.
template <class F>
void with_types(const TensorView& from, const TensorView& to, F f) {
  with_element(from.dtype, [&](auto source) {
    with_element(to.dtype, [&](auto target) { f(source, target); });
  });
}

}  // namespace

void copy_pixels(const Stream& s, const TensorView& from, const TensorView& to) {
  if (to.dtype == DType::u8)
    return copy_integers(s, from.as<std::uint8_t>(), to.as<std::uint8_t>());
  with_types(from, to, [&](auto source, auto target) {
    map_pixels(s, Same{}, to.as<decltype(target)>(), input<decltype(source)>(from));
  });
}

void put_pixels(const Stream& s, const TensorView& from, const TensorView& to, bool add) {
  if (!add) return copy_pixels(s, from, to);
  with_types(from, to, [&](auto source, auto target) {
    using To = decltype(target);
    map_pixels(s, Plus{}, to.as<To>(), input<To>(to), input<decltype(source)>(from));
  });
}

}  // namespace darknet
