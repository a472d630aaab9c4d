#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <thread>

#include "core/elementwise.h"
#include "core/index.h"
#include "core/log.h"
#include "core/log_capture.h"
#include "core/rng.h"

namespace darknet {
namespace {

struct Doubled {
  float* y;
  void operator()(std::int64_t i) const { y[i] *= 2; }
};
struct Running {  // wrong on purpose: reads its neighbour's result
  float* y;
  void operator()(std::int64_t i) const { y[i] += i ? y[i - 1] : 0; }
};

template <class F>
bool order_independent(std::int64_t n, F make) {
  std::vector<float> a(to_size(n), 1), b = a;
  for_each({.order = Order::parallel}, n, make(a.data()));
  for_each({.order = Order::scattered}, n, make(b.data()));
  return a == b;
}

TEST(ForEach, ScatteredOrderFindsADependence) {
  EXPECT_TRUE(order_independent(100, [](float* y) { return Doubled{y}; }));
  EXPECT_FALSE(order_independent(100, [](float* y) { return Running{y}; }));
}

struct Value {
  const float* x;
  double operator()(std::int64_t i) const { return x[i]; }
};
struct ValueAndSquare {
  Sums<2> operator()(float x) const { return {{x, x * x}}; }
};
struct Store {
  double* out;
  void operator()(std::int64_t c, const double* sums) const {
    out[2 * c] = sums[0], out[2 * c + 1] = sums[1];
  }
};

TEST(Reduce, SumsAreExactAndIndependentOfOrderAndThreads) {
  const std::int64_t n = 100001;
  std::vector<float> x(n);
  for (std::int64_t i = 0; i < n; ++i) x[i] = random_uniform(1, 2, i);
  double expected = 0;
  for (const float v : x) expected += v;
  std::vector<char> scratch(reduce_scratch<double>(n));
  std::vector<double> got;
  for (const Stream s : {Stream{}, Stream{.threads = 1}, Stream{.order = Order::scattered}}) {
    double sum = 0;
    reduce(s, n, Value{x.data()}, &sum, scratch.data());
    got.push_back(sum);
    EXPECT_NEAR(sum, expected, 1e-7 * expected);
  }
  EXPECT_EQ(got[0], got[1]);
  EXPECT_EQ(got[0], got[2]);
}

TEST(ReduceChannels, SumsEveryChannelInAnyOrder) {
  const Shape shape{2, 37, 19, 5};
  std::vector<float> x(shape.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = random_uniform(3, 4, i) - .5f;
  const View<const float> view{x.data(), shape, shape.c};
  std::vector<double> expected(10), a(10), b(10);
  for (std::int64_t p = 0; p < shape.pixels(); ++p)
    for (std::int64_t c = 0; c < shape.c; ++c)
      expected[2 * c] += view.at(p, c), expected[2 * c + 1] += view.at(p, c) * view.at(p, c);
  std::vector<char> scratch(reduce_channels_scratch(shape, 2));
  reduce_channels<2>({}, shape, ValueAndSquare{}, Store{a.data()}, scratch.data(), view);
  reduce_channels<2>({.order = Order::scattered}, shape, ValueAndSquare{}, Store{b.data()},
                     scratch.data(), view);
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(a[i], expected[i], 1e-4);
  EXPECT_EQ(a, b);
}

TEST(Buffer, GuardsNoticeAWriteBesideTheBuffer) {
  const Buffer buffer({.checked = true}, 64);
  EXPECT_TRUE(std::isnan(static_cast<float*>(buffer.data())[3]));
  EXPECT_TRUE(buffer.guards_intact());
  static_cast<char*>(buffer.data())[64] = 0;
  EXPECT_FALSE(buffer.guards_intact());
}

TEST(Shape, OverflowIsAnErrorBeforeAnythingIsAllocated) {
  EXPECT_THROW(checked_size({1 << 20, 1 << 20, 1 << 20, 1}), Error);
  EXPECT_THROW(checked_size({1, 0, 1, 1}), Error);
  EXPECT_EQ(checked_size({2, 3, 4, 5}), 120);
}

TEST(Rng, DependsOnSeedStreamAndIndexAlone) {
  EXPECT_EQ(random_bits(1, 2, 3), random_bits(1, 2, 3));
  EXPECT_NE(random_bits(1, 2, 3), random_bits(1, 3, 2));
  double sum = 0;
  for (int i = 0; i < 10000; ++i) sum += random_uniform(7, 0, i);
  EXPECT_NEAR(sum / 10000, .5, .01);
}

std::string printed_messages(const std::function<void()>& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WarningsAreDroppedUntilTheOutermostGuardEnds) {
  EXPECT_EQ(printed_messages([] {
              const log::WithoutWarnings outer;
              {
                const log::WithoutWarnings inner;
                log::warn("in both");
              }
              log::warn("in the outer one");
              std::thread([] { log::warn("in another thread"); }).join();
              log::error("it failed");
            }),
            "error: it failed\n");
  EXPECT_EQ(printed_messages([] { log::warn("after both"); }), "warning: after both\n");
}

TEST(Log, ACaptureLosesTheWarningsOfItsOwnThreadAlone) {
  std::string taken;
  const log::Capture::Take take = [&](log::Level, const std::string& text) {
    taken += text + '\n';
  };
  const log::WithoutWarnings quiet;
  std::thread([&] {
    const log::Capture capture(take);
    log::warn("of the other thread");
  }).join();
  const log::Capture capture(take);
  log::warn("of this thread");
  log::info("information");
  EXPECT_EQ(taken, "of the other thread\ninformation\n");
}

}  // namespace
}  // namespace darknet
