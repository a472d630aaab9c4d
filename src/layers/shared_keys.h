// Keys that the sections of several convolutions have: [convolutional], [deconvolutional], [local].
#pragma once
#include <cstdint>

#include "cfg/section.h"

namespace darknet {

template <class V>
void filters_field(V&& v, std::int64_t& filters) {
  v("filters", filters, Integers{1, 1 << 20}, "output channels");
}

template <class V>
void kernel_size_field(V&& v, std::int64_t& size) {
  v("size", size, Integers{1, 255}, "kernel width and height");
}

// Not for [deconvolutional], whose stride is that of the outputs.
template <class V>
void kernel_stride_field(V&& v, std::int64_t& stride) {
  v("stride", stride, Integers{1, 255}, "step of the kernel");
}

template <class V>
void pad_field(V&& v, bool& pad) {
  v("pad", pad, Flag{}, "1: padding is size/2");
}

template <class V>
void batch_normalize_field(V&& v, bool& batch_normalize) {
  v("batch_normalize", batch_normalize, Flag{}, "normalise each channel over the batch");
}

}  // namespace darknet
