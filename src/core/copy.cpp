#include "core/copy.h"

#include "core/for_each.h"

namespace darknet {
namespace {

template <class From, class To>
struct CopyPixels {
  View<const From> from;
  View<To> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const { to.at(p, c) = from.at(p, c); }
};

template <class From, class To>
struct AddPixels {
  View<const From> from;
  View<To> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    to.at(p, c) = to.at(p, c) + from.at(p, c);
  }
};

template <template <class, class> class Functor>
void each_pixel(const Stream& s, const TensorView& from, const TensorView& to) {
  with_element(from.dtype, [&](auto source) {
    with_element(to.dtype, [&](auto target) {
      using From = decltype(source);
      using To = decltype(target);
      for_each_pixel(s, to.shape, Functor<From, To>{from.as<From>(), to.as<To>()});
    });
  });
}

}  // namespace

void copy_pixels(const Stream& s, const TensorView& from, const TensorView& to) {
  each_pixel<CopyPixels>(s, from, to);
}

void put_pixels(const Stream& s, const TensorView& from, const TensorView& to, bool add) {
  if (add)
    each_pixel<AddPixels>(s, from, to);
  else
    copy_pixels(s, from, to);
}

}  // namespace darknet
