// Launches that are wrong on purpose: what the check of their order must find.
#include <gtest/gtest.h>

#include "core/elementwise.h"
#include "tests/order_check.h"

namespace darknet {
namespace {

using testing_order::append;
using testing_order::Bytes;
using testing_order::bytes_of;
using testing_order::kShape;
using testing_order::noise;
using testing_order::random_tensor;
using testing_order::same_in_any_order;

struct ReadsItsNeighbour {
  float* y;
  void operator()(std::int64_t i) const { y[i] += i > 0 ? y[i - 1] : 0; }
};
struct ScattersSums {
  const float* x;
  float* y;
  void operator()(std::int64_t i) const { y[i % 3] += x[i]; }
};
struct ScattersValues {
  const float* x;
  float* y;
  void operator()(std::int64_t i) const { y[i / 2] = x[i]; }
};
struct ReadsTheNextChannel {
  View<float> y;
  void operator()(std::int64_t p, std::int64_t c) const {
    y.at(p, c) += y.at(p, (c + 1) % y.shape.c);
  }
};
struct MovesItsOwn {  // nothing is wrong with this one
  const float* x;
  float* y;
  void operator()(std::int64_t i) const { y[i] += 2 * x[i]; }
};

template <class Make>
bool launch_is_sound(Make make) {
  constexpr std::int64_t kCount = 1000;
  const std::vector<float> x = noise(kCount, 1);
  return same_in_any_order([&](const Stream& s) {
    std::vector<float> y = noise(kCount, 2);
    for_each(s, kCount, make(x.data(), y.data()));
    Bytes all;
    append(all, y);
    return all;
  });
}

TEST(OrderCheck, FindsWhatScattersOrReadsAnothersResult) {
  EXPECT_TRUE(launch_is_sound([](const float* x, float* y) { return MovesItsOwn{x, y}; }));
  EXPECT_FALSE(launch_is_sound([](const float*, float* y) { return ReadsItsNeighbour{y}; }));
  EXPECT_FALSE(launch_is_sound([](const float* x, float* y) { return ScattersSums{x, y}; }));
  EXPECT_FALSE(launch_is_sound([](const float* x, float* y) { return ScattersValues{x, y}; }));
  EXPECT_FALSE(same_in_any_order([](const Stream& s) {
    const Tensor y = random_tensor(kShape, 1);
    for_each_pixel(s, kShape, ReadsTheNextChannel{y.view().as<>()});
    return bytes_of({&y});
  }));
}

struct Plain {
  const float* x;
  float operator()(std::int64_t i) const { return x[i]; }
};
struct DependsOnWhatWasSeen {
  const float* x;
  std::int64_t* seen;
  float operator()(std::int64_t i) const { return x[i] * static_cast<float>(++*seen); }
};

template <class Make>
bool reduction_is_sound(Make make) {
  constexpr std::int64_t kCount = 3 * kReduceChunk + 17;
  const std::vector<float> x = noise(kCount, 1);
  return same_in_any_order([&](const Stream& s) {
    std::int64_t seen = 0;
    float sum = 0;
    const Buffer scratch({}, reduce_scratch<float>(kCount));
    reduce(s, kCount, make(x.data(), &seen), &sum, scratch.data());
    Bytes all;
    append(all, std::span(&sum, 1));
    return all;
  });
}

struct Store {
  double* to;
  void operator()(std::int64_t c, const double* sums) const { to[c] = sums[0]; }
};
struct AddsAcrossChannels {
  double* to;
  void operator()(std::int64_t c, const double* sums) const { to[c] = to[0] += sums[0] / 3; }
};

template <class Finish>
bool finish_is_sound() {
  const Tensor x = random_tensor(kShape, 1);
  return same_in_any_order([&](const Stream& s) {
    std::vector<double> found(to_size(kShape.c));
    const Buffer scratch({}, reduce_channels_scratch(kShape, 1));
    reduce_channels<1>(s, kShape, SumOfValues{}, Finish{found.data()}, scratch.data(),
                       input<float>(x.view()));
    Bytes all;
    append(all, found);
    return all;
  });
}

TEST(OrderCheck, FindsReductionsThatDependOnTheOrder) {
  EXPECT_TRUE(reduction_is_sound([](const float* x, std::int64_t*) { return Plain{x}; }));
  EXPECT_FALSE(reduction_is_sound([](const float* x, std::int64_t* seen) {
    return DependsOnWhatWasSeen{x, seen};
  }));
  EXPECT_TRUE(finish_is_sound<Store>());
  EXPECT_FALSE(finish_is_sound<AddsAcrossChannels>());
}

}  // namespace
}  // namespace darknet
