// Activations of 16 bits: the conversions, every layer against itself in f32, and how networks put
// element types together.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/half.h"
#include "core/log.h"
#include "tests/layer_harness.h"

namespace darknet {
namespace {

template <class T>
T half_of(float x) {
  T h{};
  h = x;
  return h;
}

// The value of a pattern with `fraction` bits of fraction below its exponent, by the definition.
double value_of_bits(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1,
            exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const double fraction = std::ldexp(bits & ((1u << fraction_bits) - 1), -fraction_bits);
  const double sign = bits & 0x8000u ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias)
                               : std::ldexp(1 + fraction, exponent - bias));
}

template <class T>
void expect_every_value(int exponent_bits, int fraction_bits) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const T h{static_cast<std::uint16_t>(bits)};
    const double expected = value_of_bits(bits, exponent_bits, fraction_bits);
    const float x = h;
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(x) && std::isnan(float{half_of<T>(x)})) << bits;
      continue;
    }
    ASSERT_EQ(x, expected) << bits;
    ASSERT_EQ(std::signbit(x), bits >= 0x8000u) << bits;
    ASSERT_EQ(half_of<T>(x).bits, bits);
  }
}

// Between two neighbours: what lies nearer, and the even one from the middle.
template <class T>
void expect_nearest_even(std::uint32_t largest) {
  for (std::uint32_t bits = 0; bits < largest; ++bits) {
    const float low = T{static_cast<std::uint16_t>(bits)};
    const float high = T{static_cast<std::uint16_t>(bits + 1)};
    const float middle = low + (high - low) / 2;
    const std::uint32_t even = bits + bits % 2;
    for (const float sign : {1.f, -1.f}) {
      const std::uint32_t negative = sign < 0 ? 0x8000u : 0;
      ASSERT_EQ(half_of<T>(sign * middle).bits, even | negative) << bits;
      ASSERT_EQ(half_of<T>(sign * std::nextafter(middle, 0.f)).bits, bits | negative) << bits;
      ASSERT_EQ(half_of<T>(sign * std::nextafter(middle, high)).bits, (bits + 1) | negative)
          << bits;
    }
  }
}

TEST(HalfTypes, EveryValueIsReadByItsDefinitionAndStoredBack) {
  expect_every_value<BF16>(8, 7);
  expect_every_value<F16>(5, 10);
}

TEST(HalfTypes, RoundToTheNearestAndHalfwayToEven) {
  expect_nearest_even<BF16>(0x7F7F);
  expect_nearest_even<F16>(0x7BFF);
}

template <class T>
void expect_pairs_in_order() {
  const float values[] = {0, -0.f, 1, -1.003f, 3e-6f, 70000, INFINITY};
  for (const float first : values)
    for (const float second : values) {
      const T both[] = {half_of<T>(first), half_of<T>(second)};
      ASSERT_EQ(T::pair(first, second), std::bit_cast<std::uint32_t>(both)) << first;
    }
}

TEST(HalfTypes, TwoLieInAWordAsInMemory) {
  expect_pairs_in_order<F16>();
  expect_pairs_in_order<BF16>();
}

TEST(HalfTypes, WhatIsTooLargeBecomesInfinity) {
  EXPECT_EQ(half_of<F16>(65519.996f).bits, 0x7BFF);
  EXPECT_EQ(half_of<F16>(65520).bits, 0x7C00);
  EXPECT_EQ(half_of<F16>(-1e30f).bits, 0xFC00);
  EXPECT_EQ(half_of<F16>(INFINITY).bits, 0x7C00);
  EXPECT_EQ(half_of<BF16>(3.4e38f).bits, 0x7F80);
  EXPECT_EQ(half_of<BF16>(-INFINITY).bits, 0xFF80);
  EXPECT_EQ(half_of<F16>(1e-30f).bits, 0);
  for (const std::uint32_t nan : {0x7F800001u, 0xFFFFFFFFu, 0x7FC00000u}) {
    EXPECT_TRUE(std::isnan(float{half_of<BF16>(std::bit_cast<float>(nan))}));
    EXPECT_TRUE(std::isnan(float{half_of<F16>(std::bit_cast<float>(nan))}));
  }
}

TEST(HalfTypes, ATensorIsNotSeenAsAnotherType) {
  const Tensor t({}, {1, 1, 1, 4}, DType::bf16);
  EXPECT_NO_THROW(t.view().as<BF16>());
  EXPECT_THROW(t.view().as<F16>(), Error);
  EXPECT_THROW(t.view().as<float>(), Error);
  for (const DType type : {DType::f32, DType::bf16, DType::f16})
    EXPECT_EQ(value_of<DType>(name_of(type)), type);
  EXPECT_FALSE(value_of<DType>("f64"));
}

}  // namespace

namespace testing_layers {
namespace {

double rounding_of(DType t) { return t == DType::bf16 ? 1. / 256 : 1. / 2048; }

struct HalfSample {
  LayerSample sample;
  DType type;
  bool reference;  // plain loops in place of the CPU's library
};

std::ostream& operator<<(std::ostream& to, const HalfSample& s) {
  return to << s.sample << ' ' << name_of(s.type) << (s.reference ? ", reference" : "");
}

bool cpu_computes(DType type) {
  try {
    ops(DeviceType::cpu).accept_precision(type, {});
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Every layer in both types by plain loops, and in bf16 by oneDNN where the processor has AVX-512.
// Heads and losses are always f32.
std::vector<HalfSample> half_samples() {
  const log::WithoutWarnings quiet;  // each listing of the tests makes these
  std::vector<HalfSample> all;
  const auto types = layer_types();
  for (const LayerSample& s : layer_samples()) {
    if (std::ranges::find(types, s.type) == types.end()) continue;  // LayerTypes reports it
    if (layer_of("[" + s.type + "]\n" + s.keys, 9, Mode::inference)->works_in_f32()) continue;
    for (const DType type : {DType::bf16, DType::f16}) {
      all.push_back({s, type, true});
      if (cpu_computes(type)) all.push_back({s, type, false});
    }
  }
  return all;
}

// The largest difference of two tensors in roundings of `type` at the largest magnitude (or 1).
double roundings(const TensorView& half, const TensorView& wide, DType type) {
  const auto got = to_host(Stream{}, half), expected = to_host(Stream{}, wide);
  EXPECT_EQ(got.size(), expected.size());
  double largest = 1, apart = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    largest = std::max(largest, std::fabs(double{expected[i]}));
    apart = std::max(apart, std::fabs(double{got[i]} - expected[i]));
  }
  return apart / (rounding_of(type) * largest);
}

class HalfLayerTest : public testing::TestWithParam<HalfSample> {
 protected:
  Trial trial(Mode mode = Mode::training, Order order = Order::parallel) const {
    return {GetParam().sample, mode, order, GetParam().type,
            GetParam().reference ? reference_ops() : ops(DeviceType::cpu)};
  }
  // The same layer in f32 on the same, rounded, numbers.
  Trial wide_twin(const Trial& half) const {
    Trial wide(GetParam().sample, half.mode);
    for (std::size_t i = 0; i < half.in.size(); ++i)
      wide.in[i].copy_from({}, half.in[i].to_host({}));
    Tensor rounded({}, half.needs.output, GetParam().type);
    rounded.copy_from({}, half.loss_weights.to_host({}));
    wide.loss_weights.copy_from({}, rounded.to_host({}));
    return wide;
  }
  // Every stored number is rounded once; sums of several such may be off by a few roundings.
  void expect_near(const TensorView& half, const TensorView& wide, const std::string& what) const {
    EXPECT_LT(roundings(half, wide, GetParam().type), 4) << what;
  }
};

std::string half_name(const testing::TestParamInfo<HalfSample>& info) {
  return info.param.sample.type + "_" + std::string(name_of(info.param.type)) + "_" +
         (info.param.reference ? "reference_" : "") + std::to_string(info.index);
}

TEST_P(HalfLayerTest, ComputesWhatItDoesInF32) {
  for (const Mode mode : {Mode::training, Mode::inference}) {
    Trial half = trial(mode), wide = wide_twin(half);
    half.forward(), wide.forward();
    half.expect_guards();
    expect_near(half.out.view(), wide.out.view(), "output");
    if (mode == Mode::inference) continue;
    half.backward(false, NAN), wide.backward(false, NAN);
    half.expect_guards();
    for (std::size_t i = 0; i < half.in.size(); ++i)
      expect_near(half.in_gradient[i].view(), wide.in_gradient[i].view(),
                  cat("gradient of input ", i));
    const auto ph = half.layer->parameters(), pw = wide.layer->parameters();
    for (std::size_t i = 0; i < ph.size(); ++i) {
      EXPECT_EQ(ph[i]->value.dtype(), DType::f32);
      expect_near(ph[i]->value.view(), pw[i]->value.view(), cat("parameter ", i));
      if (ph[i]->gradient)
        expect_near(ph[i]->gradient, pw[i]->gradient, cat("gradient of parameter ", i));
    }
  }
}

TEST_P(HalfLayerTest, AnyOrderGivesTheSameBytesAndGradientsAdd) {
  Trial a = trial(), b = trial(Mode::training, Order::scattered), c = trial();
  for (Trial* t : {&a, &b, &c}) t->forward();
  EXPECT_EQ(a.out.to_host({}), b.out.to_host({}));
  a.backward(false, NAN), b.backward(false, NAN), c.backward(true, 2.5f);
  for (std::size_t i = 0; i < a.in.size(); ++i) {
    const auto fresh = a.in_gradient[i].to_host({});
    EXPECT_EQ(fresh, b.in_gradient[i].to_host({})) << "input " << i;
    const auto added = c.in_gradient[i].to_host({});
    for (std::size_t k = 0; k < fresh.size(); ++k)
      ASSERT_NEAR(added[k], fresh[k] + 2.5f,
                  rounding_of(a.type) * 2 * std::max(1.f, std::fabs(added[k])));
  }
  const auto pa = a.layer->parameters(), pb = b.layer->parameters();
  for (std::size_t i = 0; i < pa.size(); ++i)
    EXPECT_EQ(to_host(Stream{}, pa[i]->gradient), to_host(Stream{}, pb[i]->gradient))
        << "parameter " << i;
}

// Negative control: what bf16 makes of a convolution is not within the tolerance of f16.
TEST(HalfTolerance, ReportsTheTypesApart) {
  const auto& samples = layer_samples();
  // Whose outputs are as large as this needs; which sample is the first depends on the linker.
  const std::string keys = "filters=3\nsize=3\npad=1\nactivation=leaky\nbatch_normalize=1\n";
  const auto sample = std::ranges::find_if(
      samples, [&](const auto& s) { return s.type == "convolutional" && s.keys == keys; });
  ASSERT_NE(sample, samples.end());
  Trial wide(*sample, Mode::inference, Order::parallel, DType::f32, reference_ops());
  Trial half(*sample, Mode::inference, Order::parallel, DType::bf16, reference_ops());
  wide.forward(), half.forward();
  EXPECT_LT(roundings(half.out.view(), wide.out.view(), DType::bf16), 4);
  EXPECT_GT(roundings(half.out.view(), wide.out.view(), DType::f16), 4);
  Tensor spoilt({}, wide.out.shape());
  std::vector<float> values = wide.out.to_host({});
  values.back() += .02f;
  spoilt.copy_from({}, values);
  EXPECT_GT(roundings(spoilt.view(), wide.out.view(), DType::f16), 4)
      << "one element in many is noticed";
}

INSTANTIATE_TEST_SUITE_P(Samples, HalfLayerTest, testing::ValuesIn(half_samples()), half_name);

}  // namespace
}  // namespace testing_layers
}  // namespace darknet
