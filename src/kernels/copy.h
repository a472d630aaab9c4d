// Where a launch puts a gradient; and the copies of core/copy.h.
#pragma once
#include "core/copy.h"
#include "core/elementwise.h"
#include "core/hd.h"
#include "core/tensor.h"

namespace darknet {

// Adds to, or overwrites, what a GradientSlot points to. Overwriting never uses the old value,
// which may be NaN.
template <class T>
struct Sink {
  View<T> to;
  bool add = true;
  DN_HD void put(std::int64_t pixel, std::int64_t channel, float value) const {
    T& at = to.at(pixel, channel);
    at = add ? at + value : value;
  }
};

// The same of N channels from `channel` on, in a launch of for_each_vec.
template <int N, class T>
DN_HD void put_vec(const Sink<T>& sink, std::int64_t pixel, std::int64_t channel,
                   const Vec<float, N>& values) {
  Vec<T, N> stored;
  if (sink.add) stored = load_vec<N>(sink.to, pixel, channel);
  for (int k = 0; k < N; ++k) stored[k] = sink.add ? stored[k] + values[k] : values[k];
  store_vec<N>(sink.to, pixel, channel, stored);
}

}  // namespace darknet
