// What [yolo] and [Gaussian_yolo] make of their logits.
#pragma once
#include "core/elementwise.h"
#include "core/math.h"

namespace darknet {

// Darknet's output: x, y, objectness and classes through the sigmoid, w and h raw. First all
// through the sigmoid, in one loop that vectorises, then what is left to do to the boxes.
struct SigmoidOutput {
  DN_HD float operator()(float x) const { return math::fast_sigmoid(x); }
};

// A dense tensor as the rows of its images: a loop over a row is longer than one over a pixel.
template <class T>
View<T> by_rows(const View<T>& v) {
  const std::int64_t row = v.shape.w * v.shape.c;
  return {v.data, {v.shape.n, v.shape.h, 1, row}, row};
}

inline void sigmoid_outputs(const Stream& s, View<const float> logits, View<float> out) {
  const bool dense = logits.pixel_stride == logits.shape.c && out.pixel_stride == logits.shape.c;
  if (dense)
    map_pixels(s, SigmoidOutput{}, by_rows(out), by_rows(logits));
  else
    map_pixels(s, SigmoidOutput{}, out, logits);
}

}  // namespace darknet
