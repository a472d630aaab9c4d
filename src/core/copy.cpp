#include "core/copy.h"

#include "core/elementwise.h"

namespace darknet {
namespace {

struct Same {
  DN_HD float operator()(float x) const { return x; }
};

// f(from element, to element) with the element types of both.
template <class F>
void with_types(const TensorView& from, const TensorView& to, F f) {
  with_element(from.dtype, [&](auto source) {
    with_element(to.dtype, [&](auto target) { f(source, target); });
  });
}

}  // namespace

void copy_pixels(const Stream& s, const TensorView& from, const TensorView& to) {
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
