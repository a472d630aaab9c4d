// Convolutions in 8-bit integers against integer loops, bit for bit: scales are powers of two and
// sums stay below 2^24, so that floats hold every intermediate value.
#include "cpu/int8_conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/index.h"
#include "kernels/activate.h"
#include "tests/conv_loops.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {

constexpr float kScale = 1.f / 32, kWeightScale = 1.f / 128;  // of an integer's step

struct Int8Operands {
  std::vector<std::int64_t> inputs, weights, bias;  // bias: in units of kScale * kWeightScale
};

std::int64_t draw(std::uint64_t stream, std::int64_t i, std::int64_t low, std::int64_t high) {
  const float u = random_uniform(3, stream, static_cast<std::uint64_t>(i));
  return std::min(high, low + static_cast<std::int64_t>(u * static_cast<float>(high - low + 1)));
}

Int8Operands random_integers(const ConvSpec& s) {
  const std::int64_t limit = int8_weight_limit();
  Int8Operands all;
  for (std::int64_t i = 0; i < s.in.size(); ++i) all.inputs.push_back(draw(1, i, 0, 255));
  for (std::int64_t i = 0; i < s.weights(); ++i) all.weights.push_back(draw(2, i, -limit, limit));
  for (std::int64_t i = 0; i < s.filters; ++i) all.bias.push_back(draw(3, i, -9000, 9000));
  return all;
}

ConvQuantization quantization(const ConvSpec& s, std::int32_t zero_point) {
  const float range = static_cast<float>(int8_weight_limit()) * kWeightScale;
  return {.scale = kScale,
          .zero_point = zero_point,
          .ranges = std::vector<float>(to_size(s.filters), range)};
}

// What the plan makes of the values that stand for these integers.
std::vector<float> computed(const ConvSpec& s, const Int8Operands& of, const ConvQuantization& q,
                            const Activation& activation) {
  const auto plan =
      ops(DeviceType::cpu).conv(s, {.bias = true, .activation = activation}, {.int8 = &q});
  EXPECT_NE(plan->description().find("int8"), std::string::npos) << plan->description();
  const Tensor in(kChecked, s.in), out(kChecked, s.out());
  for (std::size_t i = 0; i < of.inputs.size(); ++i)
    in.data()[i] = static_cast<float>(of.inputs[i] - q.zero_point) * kScale;
  std::vector<float> weights, bias;
  for (const std::int64_t w : of.weights) weights.push_back(static_cast<float>(w) * kWeightScale);
  for (const std::int64_t b : of.bias)
    bias.push_back(static_cast<float>(b) * kScale * kWeightScale);
  const Buffer workspace(kChecked, plan->workspace());
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), bias.data(), out.view(), workspace.data());
  activate_rest(kStream, {.bias = true, .activation = activation}, plan->fused(), out.view(),
                bias.data());
  EXPECT_TRUE(in.buffer().guards_intact() && out.buffer().guards_intact() &&
              workspace.guards_intact());
  return out.to_host(kStream);
}

std::vector<float> expected(const ConvSpec& s, const Int8Operands& of, std::int32_t zero_point) {
  std::vector<std::int64_t> sums(to_size(s.out().size()));
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = of.bias[i % to_size(s.filters)];
  Conv{s}.visit([&](std::int64_t o, std::int64_t i, std::int64_t w) {
    sums[to_size(o)] += (of.inputs[to_size(i)] - zero_point) * of.weights[to_size(w)];
  });
  std::vector<float> values;
  for (const std::int64_t sum : sums)
    values.push_back(static_cast<float>(sum) * kScale * kWeightScale);
  return values;
}

std::vector<ConvSpec> specs() {
  ConvSpec uneven = spec({2, 7, 10, 5}, 9, 3, 1);
  uneven.stride_x = 2, uneven.pad_y = 0;
  return {spec({1, 9, 11, 3}, 8, 3, 2),
          spec({2, 6, 5, 16}, 24, 1, 1),
          spec({1, 8, 7, 12}, 12, 3, 1, 12),
          spec({1, 9, 9, 24}, 24, 3, 2, 24),
          spec({1, 6, 6, 8}, 16, 3, 1, 2),
          spec({1, 12, 9, 4}, 6, 3, 1, 1, 2),
          spec({3, 5, 7, 32}, 32, 3, 1),
          spec({1, 7, 7, 1}, 3, 5, 1),
          uneven};
}

TEST(Int8Conv, SumsAreThoseOfIntegers) {
  for (const ConvSpec& s : specs())
    for (const std::int32_t zero_point : {0, 37, 255}) {
      const Int8Operands integers = random_integers(s);
      EXPECT_EQ(computed(s, integers, quantization(s, zero_point), activations::Linear{}),
                expected(s, integers, zero_point))
          << to_string(s.in) << " filters " << s.filters << " size " << s.size_y << " groups "
          << s.groups << " zero point " << zero_point;
    }
}

// What the plan makes of these integers in integers of `scale`.
std::vector<int> integers_of(const ConvSpec& s, const Int8Operands& of, const ConvQuantization& q,
                             const Activation& activation, const IntegerScale& scale) {
  const Epilogue epilogue{.bias = true, .activation = activation};
  EXPECT_TRUE(ops(DeviceType::cpu).writes_int8(s, epilogue));
  const auto plan =
      ops(DeviceType::cpu)
          .conv(s, epilogue, {.precision = DType::u8, .int8 = &q, .integer_output = &scale});
  EXPECT_TRUE(plan->fused().activation == activation);
  const Tensor in(kChecked, s.in, DType::u8), out(kChecked, s.out(), DType::u8);
  std::copy(of.inputs.begin(), of.inputs.end(), in.data<std::uint8_t>());
  std::vector<float> weights, bias;
  for (const std::int64_t w : of.weights) weights.push_back(static_cast<float>(w) * kWeightScale);
  for (const std::int64_t b : of.bias)
    bias.push_back(static_cast<float>(b) * kScale * kWeightScale);
  const Buffer workspace(kChecked, plan->workspace());
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), bias.data(), out.view(), workspace.data());
  EXPECT_TRUE(in.buffer().guards_intact() && out.buffer().guards_intact() &&
              workspace.guards_intact());
  return {out.data<std::uint8_t>(), out.data<std::uint8_t>() + out.size()};
}

int rounded(float value, const IntegerScale& scale) {
  const float q = std::nearbyint(value / scale.scale + static_cast<float>(scale.zero_point));
  return static_cast<int>(std::clamp(q, 0.f, 255.f));
}

TEST(Int8Conv, IntegersBecomeIntegers) {
  const IntegerScale scale{.scale = kScale * kWeightScale * 2048, .zero_point = 90};
  for (const ConvSpec& s : specs())
    for (const std::int32_t zero_point : {0, 37}) {
      const Int8Operands operands = random_integers(s);
      std::vector<int> wanted;
      for (const float v : expected(s, operands, zero_point)) wanted.push_back(rounded(v, scale));
      EXPECT_EQ(integers_of(s, operands, quantization(s, zero_point), activations::Linear{}, scale),
                wanted)
          << to_string(s.in) << " filters " << s.filters << " size " << s.size_y << " groups "
          << s.groups << " zero point " << zero_point;
    }
}

// Leaky in f32 is not that of exact numbers, and the library's other functions are polynomials: at
// the middle between two integers the next one comes out.
TEST(Int8Conv, IntegersAreRoundedAfterTheActivation) {
  const ConvSpec s = spec({1, 6, 7, 16}, 8, 3, 1);
  const Int8Operands operands = random_integers(s);
  const std::vector<float> sums = expected(s, operands, 100);
  for (const IntegerScale& scale : {IntegerScale{.03f, 60}, IntegerScale{.05f, 0}})
    for (const Activation& a :
         {Activation(activations::Leaky{}), Activation(activations::Relu{}),
          Activation(activations::Mish{}), Activation(activations::Swish{})}) {
      const std::vector<int> out = integers_of(s, operands, quantization(s, 100), a, scale);
      std::int64_t same = 0, inside = 0;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const int wanted =
            std::visit([&](const auto& f) { return rounded(f.value(sums[i]), scale); }, a);
        EXPECT_NEAR(out[i], wanted, 1) << name_of(a);
        same += out[i] == wanted;
        inside += wanted > 0 && wanted < 255;
      }
      EXPECT_GE(same * 100, std::ssize(sums) * 99) << name_of(a);
      EXPECT_GT(inside, 20) << name_of(a);
    }
}

TEST(Int8Conv, AnActivationThatIsNotFusedMakesNoIntegers) {
  const ConvSpec s = spec({1, 3, 3, 4}, 2, 1, 1);
  const Epilogue epilogue{.bias = true, .activation = activations::Elu{}};
  EXPECT_FALSE(ops(DeviceType::cpu).writes_int8(s, epilogue));
  EXPECT_FALSE(reference_ops().writes_int8(s, {}));
  EXPECT_FALSE(reference_ops().reads_int8(s, {}));
  const ConvQuantization q = quantization(s, 0);
  const IntegerScale scale;
  EXPECT_NE(testing_files::error_of([&] {
              ops(DeviceType::cpu).conv(s, epilogue, {.int8 = &q, .integer_output = &scale});
            }),
            "");
}

// What is asked before planning is true of the plans that are made, whatever scales they have.
TEST(Int8Conv, SaysWhereTheLibraryIsFast) {
  std::vector<ConvSpec> all = specs();
  all.push_back(spec({1, 6, 6, 6}, 9, 3, 1, 3));
  all.push_back(spec({1, 6, 6, 3}, 6, 3, 1, 3));
  Ops& library = ops(DeviceType::cpu);
  const IntegerScale scale{.scale = .03f, .zero_point = 60};
  for (const ConvSpec& s : all)
    for (const Activation& a : {Activation(activations::Linear{}), Activation(activations::Leaky{}),
                                Activation(activations::Mish{})}) {
      const ConvQuantization q = quantization(s, 37);
      const Epilogue epilogue{.bias = true, .activation = a};
      const auto is_fast = [&](const IntegerScale* output) {
        const PlanOptions options{.precision = DType::u8, .int8 = &q, .integer_output = output};
        return library.conv(s, epilogue, options)->description().find(" ref") == std::string::npos;
      };
      EXPECT_EQ(library.reads_int8(s, epilogue), is_fast(nullptr)) << to_string(s.in);
      EXPECT_EQ(library.writes_int8(s, epilogue), is_fast(&scale)) << to_string(s.in);
    }
}

// 16-bit sums of two products, as instructions before VNNI form them, hold these: 2 * 255 * 64.
TEST(Int8Conv, TheLargestProductsDoNotSaturate) {
  const ConvSpec s = spec({1, 5, 5, 16}, 16, 3, 1);
  for (const std::int64_t sign : {1, -1}) {
    Int8Operands all = random_integers(s);
    all.inputs.assign(all.inputs.size(), 255);
    all.weights.assign(all.weights.size(), sign * int8_weight_limit());
    EXPECT_EQ(computed(s, all, quantization(s, 0), activations::Linear{}), expected(s, all, 0));
  }
}

TEST(Int8Conv, ActivationsFollowTheSums) {
  const ConvSpec s = spec({1, 6, 7, 16}, 8, 3, 1);
  const Int8Operands integers = random_integers(s);
  const std::vector<float> sums = expected(s, integers, 100);
  for (const Activation& a : {Activation(activations::Leaky{}), Activation(activations::Relu{}),
                              Activation(activations::Mish{}), Activation(activations::Swish{}),
                              Activation(activations::Logistic{})}) {
    const std::vector<float> out = computed(s, integers, quantization(s, 100), a);
    std::visit(
        [&](const auto& f) {
          for (std::size_t i = 0; i < sums.size(); ++i)  // their polynomials differ from ours
            EXPECT_NEAR(out[i], f.value(sums[i]), 1e-5 * (1 + std::fabs(sums[i]))) << f.name;
        },
        a);
  }
}

// Inputs through a convolution that multiplies by 1: to the nearest integer, and no further than
// the integers go.
TEST(Int8Conv, InputsAreRoundedAndClamped) {
  const ConvSpec s = spec({1, 1, 8, 1}, 1, 1, 1);
  const ConvQuantization q{.scale = .5f, .zero_point = 10, .ranges = {1}};
  const auto plan = ops(DeviceType::cpu).conv(s, {.bias = true}, {.int8 = &q});
  Tensor in(kChecked, s.in), out(kChecked, s.out());
  in.copy_from(kStream, std::vector<float>{0, .2f, .3f, -.7f, 1000, -1000, NAN, 122.5f});
  const Buffer workspace(kChecked, plan->workspace());
  const float weight = 1, bias = 0;
  plan->set_weights(kStream, &weight, workspace.data());
  plan->forward(kStream, in.view(), &bias, out.view(), workspace.data());
  EXPECT_EQ(out.to_host(kStream), (std::vector<float>{0, 0, .5f, -.5f, 122.5f, -5, -5, 122.5f}));
}

TEST(Int8Conv, AFilterWithoutWeightsIsItsBias) {
  const ConvSpec s = spec({1, 3, 3, 4}, 2, 1, 1);
  const ConvQuantization q{.scale = 1, .zero_point = 0, .ranges = {0, 1e-35f}};
  const auto plan = ops(DeviceType::cpu).conv(s, {.bias = true}, {.int8 = &q});
  const Tensor in = random_tensor(s.in, 1), out(kChecked, s.out());
  const Buffer workspace(kChecked, plan->workspace());
  std::vector<float> weights(8);
  weights[4] = 1e-35f;
  const float bias[] = {3, -2};
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), bias, out.view(), workspace.data());
  const std::vector<float> got = out.to_host(kStream);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], bias[i % 2]);
}

TEST(Int8Conv, OthersThanInferenceInF32AreRefused) {
  const ConvSpec s = spec({1, 3, 3, 4}, 2, 1, 1);
  const ConvQuantization q = quantization(s, 0), wrong{.ranges = {1}};
  const auto refusal = [&](const PlanOptions& o) {
    return testing_files::error_of([&] { ops(DeviceType::cpu).conv(s, {}, o); });
  };
  EXPECT_NE(refusal({.mode = Mode::training, .int8 = &q}), "");
  EXPECT_NE(refusal({.precision = DType::bf16, .int8 = &q}), "");
  EXPECT_EQ(refusal({.int8 = &wrong}), "1 ranges for 2 filters");
  EXPECT_EQ(refusal({.int8 = &q}), "");
}

}  // namespace
}  // namespace darknet
