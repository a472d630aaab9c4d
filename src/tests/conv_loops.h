// A convolution as obvious loops in double, and tensors to compare it on.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/ops.h"
#include "core/rng.h"

namespace darknet {

inline constexpr Device kChecked{.checked = true};
inline constexpr Stream kStream{};

inline Tensor random_tensor(const Shape& shape, std::uint64_t stream) {
  Tensor t(kChecked, shape);
  for (std::int64_t i = 0; i < t.size(); ++i)
    t.data()[i] = random_uniform(11, stream, static_cast<std::uint64_t>(i)) - .5f;
  return t;
}

struct Conv {
  ConvSpec s;
  Shape out = s.out();
  std::int64_t in_group = s.in.c / s.groups, out_group = s.filters / s.groups;

  // Calls f(out pixel, filter, in pixel, in channel, weight index) for every product.
  template <class F>
  void visit(F f) const {
    for (std::int64_t n = 0; n < out.n; ++n)
      for (std::int64_t y = 0; y < out.h; ++y)
        for (std::int64_t x = 0; x < out.w; ++x)
          for (std::int64_t ky = 0; ky < s.size_y; ++ky)
            for (std::int64_t kx = 0; kx < s.size_x; ++kx) {
              const std::int64_t iy = y * s.stride_y - s.pad_y + ky * s.dilation;
              const std::int64_t ix = x * s.stride_x - s.pad_x + kx * s.dilation;
              if (iy < 0 || ix < 0 || iy >= s.in.h || ix >= s.in.w) continue;
              const std::int64_t o = (n * out.h + y) * out.w + x,
                                 i = (n * s.in.h + iy) * s.in.w + ix;
              for (std::int64_t k = 0; k < s.filters; ++k)
                for (std::int64_t c = 0; c < in_group; ++c)
                  f(o * s.filters + k, i * s.in.c + k / out_group * in_group + c,
                    ((k * s.size_y + ky) * s.size_x + kx) * in_group + c);
            }
  }
};

// No difference is larger than `bound` times the largest value or 1.
inline void expect_close(const std::vector<double>& expected, const float* got,
                         const std::string& what, double bound = 2e-5) {
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::fabs(expected[i] - got[i]));
    largest = std::max(largest, std::fabs(expected[i]));
    ASSERT_TRUE(std::isfinite(got[i])) << what << " " << i;
  }
  EXPECT_LE(worst, bound * std::max(1., largest)) << what;
}

inline ConvSpec spec(const Shape& in, std::int64_t filters, std::int64_t size, std::int64_t stride,
                     std::int64_t groups = 1, std::int64_t dilation = 1) {
  return {in,
          filters,
          groups,
          size,
          size,
          stride,
          stride,
          dilation,
          size / 2 * dilation,
          size / 2 * dilation};
}

}  // namespace darknet
