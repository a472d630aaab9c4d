// Sums over the pixels of each image, one for each channel: gradients of what has one value for a
// channel of an image.
#pragma once
#include "core/elementwise.h"
#include "kernels/copy.h"
#include "nn/layer.h"

namespace darknet {

template <class T>
struct PutSum {
  Sink<T> to;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    to.put(0, c, static_cast<float>(sums[0]));
  }
};

// Bytes of the workspace for inputs of this shape.
inline std::int64_t sum_by_image_scratch(const Shape& s) {
  return reduce_channels_scratch({1, s.h, s.w, s.c}, 1);
}

// `to`, of {n, 1, 1, c}, is given the sums of f over the inputs, which are of one shape {n, h, w,
// c}.
template <class T, class F, class... In>
void sum_by_image(const Pass& pass, const F& f, const Sink<T>& to, const TensorView& first,
                  const In&... others) {
  for (std::int64_t n = 0; n < first.shape.n; ++n) {
    Sink<T> one = to;
    one.to.data += n * to.to.pixel_stride;
    one.to.shape.n = 1;
    const TensorView image = first.images(n, 1);
    reduce_channels<1>(pass.stream, image.shape, f, PutSum<T>{one}, pass.workspace, input<T>(image),
                       input<T>(others.images(n, 1))...);
  }
}

}  // namespace darknet
