// [dropout], of single values and of blocks, when training.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/index.h"
#include "tests/layer_harness.h"

namespace darknet {
namespace {
using namespace testing_layers;

TEST(Dropout, KeepsTheMeanAndDependsOnTheStep) {
  Trial t({.type = "dropout", .keys = "probability=.3\n", .in = {{1, 64, 64, 4}}, .random = true},
          Mode::training);
  std::fill_n(t.in[0].data(), t.in[0].size(), 1.f);
  t.forward();
  const auto first = t.out.to_host({});
  double sum = 0;
  for (const float v : first) {
    EXPECT_TRUE(v == 0 || v == 1 / .7f);
    sum += v;
  }
  EXPECT_NEAR(sum / static_cast<double>(first.size()), 1, .02);
  t.step.iteration++;
  t.forward();
  EXPECT_NE(first, t.out.to_host({}));
}

// Of a channel of an image: the side of the square of zeros, 0 where there are none.
std::int64_t block_of(const std::vector<float>& out, const Shape& s, std::int64_t n,
                      std::int64_t c) {
  std::int64_t zeros = 0, x0 = s.w, x1 = -1, y0 = s.h, y1 = -1;
  for (std::int64_t y = 0; y < s.h; ++y)
    for (std::int64_t x = 0; x < s.w; ++x) {
      if (out[to_size(((n * s.h + y) * s.w + x) * s.c + c)] != 0) continue;
      ++zeros;
      x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    }
  if (zeros == 0) return 0;
  EXPECT_EQ(x1 - x0, y1 - y0);
  EXPECT_EQ(zeros, (x1 - x0 + 1) * (y1 - y0 + 1));
  return x1 - x0 + 1;
}

TEST(Dropout, OfBlocksNeedsTheirSide) {
  EXPECT_THROW(Trial({.type = "dropout",
                      .keys = "probability=.1\ndropblock=1\n",
                      .in = {{1, 4, 4, 2}},
                      .random = true},
                     Mode::training),
               Error);
}

TEST(Dropout, OfBlocksKeepsTheMeanAndGrows) {
  const Shape shape{2, 10, 14, 800};
  struct Case {
    const char* size;
    std::int64_t iteration, side;
    double share;
  };
  for (const Case& at :
       {Case{"dropblock_size_abs=4\n", kMaxBatches, 4, .1},
        {"dropblock_size_rel=.4\n", kMaxBatches, 4, .1},
        {"dropblock_size_abs=4\n", kMaxBatches * 85 / 100 / 2 + 1, 2, 4 / 140.},  // one in each
        {"dropblock_size_abs=4\n", 1, 1, .1 / 850},
        {"dropblock_size_rel=1\n", kMaxBatches, 10, .1},
        {"dropblock_size_abs=1\n", kMaxBatches, 1,
         1 / 140.}}) {  // a block of a pixel in each channel
    SCOPED_TRACE(cat(at.size, at.iteration));
    Trial t({.type = "dropout",
             .keys = cat("probability=.1\ndropblock=1\n", at.size),
             .in = {shape},
             .random = true},
            Mode::training);
    std::fill_n(t.in[0].data(), t.in[0].size(), 1.f);
    t.step.iteration = at.iteration;
    t.forward();
    const auto out = t.out.to_host({});
    std::set<std::int64_t> sides;
    for (std::int64_t n = 0; n < shape.n; ++n)
      for (std::int64_t c = 0; c < shape.c; ++c) sides.insert(block_of(out, shape, n, c));
    EXPECT_EQ(*sides.rbegin(), at.side);
    EXPECT_LE(sides.size(), 2u);
    double sum = 0, zeros = 0;
    for (const float v : out) sum += v, zeros += v == 0;
    EXPECT_NEAR(zeros / static_cast<double>(out.size()), at.share, .02);
    EXPECT_NEAR(sum / static_cast<double>(out.size()), 1, .02);
    t.step.iteration++;
    t.forward();
    EXPECT_NE(out, t.out.to_host({}));
  }
}

}  // namespace
}  // namespace darknet
