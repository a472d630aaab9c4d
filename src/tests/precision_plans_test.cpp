// Convolutions of 16-bit activations out of plans for f32 ones, and the reference's, against each
// other and by the rounding of their type.
#include <gtest/gtest.h>

#include <cmath>

#include "core/copy.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/wide_conv.h"
#include "cpu/widened_weight_gradient.h"

namespace darknet {
namespace {

constexpr Device kChecked{.checked = true};

// Numbers that every element type holds; their products have too many digits.
std::vector<float> short_numbers(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::round(random_uniform(5, stream, i) * 256 - 128) / 128;
  return v;
}

Tensor tensor_of(const Shape& shape, DType type, std::uint64_t stream) {
  Tensor t(kChecked, shape, type);
  t.copy_from({}, short_numbers(shape.size(), stream));
  return t;
}

struct Results {
  std::vector<float> out, dx, added, dw;
  Epilogue fused;
};

// Every direction of a plan, on checked buffers.
Results run(ConvPlan& plan, const ConvSpec& s, const PlanOptions& o) {
  const Tensor x = tensor_of(s.in, o.precision, 1), dy = tensor_of(s.out(), o.output(), 2);
  const Tensor out(kChecked, s.out(), o.output()), dx(kChecked, s.in, o.precision);
  const Tensor added = tensor_of(s.in, o.precision, 3);
  const Buffer workspace(kChecked, plan.workspace());
  const std::vector<float> weights = short_numbers(s.weights(), 4);
  std::vector<float> dw(weights.size(), 1);
  plan.set_weights({}, weights.data(), workspace.data());
  plan.forward({}, x.view(), nullptr, out.view(), workspace.data());
  plan.backward({}, x.view(), dy.view(), dw.data(), dx.view(), false, workspace.data());
  plan.backward_data({}, dy.view(), added.view(), true, workspace.data());
  for (const Tensor* t : {&x, &dy, &out, &dx, &added}) EXPECT_TRUE(t->buffer().guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  return {out.to_host({}), dx.to_host({}), added.to_host({}), dw, plan.fused()};
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double apart = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) return INFINITY;
    apart = std::max(apart, std::fabs(double{a[i]} - b[i]));
    largest = std::max(largest, std::fabs(double{b[i]}));
  }
  return largest > 0 ? apart / largest : INFINITY;
}

const ConvSpec kSpecs[] = {
    {.in = {2, 9, 7, 6}, .filters = 8, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1},
    {.in = {2, 8, 8, 8},
     .filters = 12,
     .groups = 4,
     .size_y = 3,
     .size_x = 3,
     .stride_y = 2,
     .stride_x = 2,
     .pad_y = 1,
     .pad_x = 1},
    {.in = {1, 5, 6, 16}, .filters = 21}};

class HalfConvTest : public testing::TestWithParam<DType> {
 protected:
  double rounding() const { return GetParam() == DType::bf16 ? 1. / 256 : 1. / 2048; }
  PlanOptions options(bool f32_output) const {
    return {.mode = Mode::training, .precision = GetParam(), .f32_output = f32_output};
  }
};

TEST_P(HalfConvTest, ReferenceIsF32RoundedWhenStored) {
  for (const ConvSpec& s : kSpecs)
    for (const bool f32_output : {false, true}) {
      const PlanOptions o = options(f32_output), wide{.mode = Mode::training};
      const Results half = run(*reference_ops().conv(s, {}, o), s, o),
                    exact = run(*reference_ops().conv(s, {}, wide), s, wide);
      EXPECT_LE(worst(half.out, exact.out), f32_output ? 0 : rounding());
      EXPECT_LE(worst(half.dx, exact.dx), rounding());
      EXPECT_LE(worst(half.added, exact.added), rounding());
      EXPECT_EQ(half.dw, exact.dw);  // f32 of the same numbers
      EXPECT_NE(half.dx, exact.dx) << "nothing was rounded";
    }
}

TEST_P(HalfConvTest, WidenedPlansOfTheLibraryAgreeWithTheReference) {
  for (const ConvSpec& s : kSpecs)
    for (const bool f32_output : {false, true}) {
      const PlanOptions o = options(f32_output);
      const auto plan = widened(ops(DeviceType::cpu).conv(s, {}, {.mode = Mode::training}), s, o);
      const Results got = run(*plan, s, o), expected = run(*reference_ops().conv(s, {}, o), s, o);
      EXPECT_LE(worst(got.out, expected.out), f32_output ? 1e-5 : rounding()) << to_string(s.in);
      EXPECT_LE(worst(got.dx, expected.dx), rounding());
      EXPECT_LE(worst(got.added, expected.added), rounding());
      EXPECT_LE(worst(got.dw, expected.dw), 1e-5);
    }
}

// What the plan fuses it does to the f32 values, before they are rounded.
TEST_P(HalfConvTest, WidenedPlansKeepTheirEpilogue) {
  const ConvSpec s = kSpecs[0];
  const PlanOptions o{.precision = GetParam()};
  const Epilogue epilogue{.bias = true, .activation = activations::Relu{}};
  auto inner = ops(DeviceType::cpu).conv(s, epilogue, {});
  const auto plan = widened(std::move(inner), s, o);
  ASSERT_TRUE(plan->fused().bias);
  const auto reference = reference_ops().conv(s, {}, {});
  const Tensor x = tensor_of(s.in, GetParam(), 1), out(kChecked, s.out(), GetParam());
  const Tensor wide_x = tensor_of(s.in, DType::f32, 1), sums(kChecked, s.out());
  const Buffer workspace(kChecked, plan->workspace());
  const std::vector<float> weights = short_numbers(s.weights(), 4),
                           bias = short_numbers(s.filters, 6);
  plan->set_weights({}, weights.data(), workspace.data());
  plan->forward({}, x.view(), bias.data(), out.view(), workspace.data());
  reference->set_weights({}, weights.data(), nullptr);
  reference->forward({}, wide_x.view(), nullptr, sums.view(), nullptr);
  std::vector<float> expected = sums.to_host({});
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = std::max(0.f, expected[i] + bias[i % bias.size()]);
  EXPECT_LE(worst(out.to_host({}), expected), rounding());
  EXPECT_TRUE(workspace.guards_intact());
}

TEST_P(HalfConvTest, WeightsAreRoundedToTheType) {
  const ConvSpec s{.in = {1, 1, 1, 1}, .filters = 1};
  const PlanOptions o{.precision = GetParam(), .f32_output = true};
  const auto plan = reference_ops().conv(s, {}, o);
  Tensor x({}, s.in, GetParam());
  const Tensor out({}, s.out());
  x.copy_from({}, std::vector<float>{1});
  const auto weight = static_cast<float>(1 + rounding() / 4);  // halfway to nothing that it holds
  plan->set_weights({}, &weight, nullptr);
  plan->forward({}, x.view(), nullptr, out.view(), nullptr);
  EXPECT_EQ(out.to_host({})[0], 1);
}

TEST_P(HalfConvTest, ASlicesElementsAreCopiedAndAddedInAnyType) {
  const DType type = GetParam();
  const Tensor wide = tensor_of({1, 3, 5, 7}, DType::f32, 1), half({}, {1, 3, 5, 7}, type);
  const Tensor slice = tensor_of({1, 3, 5, 4}, type, 2);
  copy_pixels({}, wide.view(), half.view());
  EXPECT_EQ(half.to_host({}), wide.to_host({}));
  put_pixels({}, slice.view(), half.view().channels(2, 4), true);
  std::vector<float> expected = wide.to_host({});
  const std::vector<float> added = slice.to_host({});
  for (std::size_t i = 0; i < added.size(); ++i) expected[i / 4 * 7 + 2 + i % 4] += added[i];
  EXPECT_EQ(half.to_host({}), expected);
}

// Wide images as well: oneDNN's gradient of weights by AMX is wrong there.
TEST(Bf16Conv, OfTheLibraryAgreesWithTheReferenceAtEveryWidth) {
  Ops& cpu = ops(DeviceType::cpu);
  try {
    cpu.accept_precision(DType::bf16, {});
  } catch (const Error& e) {
    GTEST_SKIP() << e.what();
  }
  for (const std::int64_t width : {24, 224, 225, 250, 336, 416}) {
    const ConvSpec s{
        .in = {1, 12, width, 3}, .filters = 16, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
    const PlanOptions o{.mode = Mode::training, .precision = DType::bf16};
    const auto plan = cpu.conv(s, {}, o);
    const Results got = run(*plan, s, o), expected = run(*reference_ops().conv(s, {}, o), s, o);
    EXPECT_LE(worst(got.out, expected.out), 1. / 128) << width << ": " << plan->description();
    EXPECT_LE(worst(got.dx, expected.dx), 1. / 128) << width << ": " << plan->description();
    EXPECT_LE(worst(got.dw, expected.dw), 1e-4) << width << ": " << plan->description();
  }
}

// 11 images: one at a time is converted, and their gradients add up.
TEST(WidenedWeightGradient, IsThatOfTheReference) {
  const ConvSpec s{
      .in = {11, 256, 256, 8}, .filters = 8, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
  const PlanOptions o{.mode = Mode::training, .precision = DType::bf16};
  const WidenedWeightGradient widened(s, o);
  const std::int64_t all = s.in.size() + s.out().size();
  ASSERT_LT(widened.workspace(), all * std::int64_t{sizeof(float)});
  const auto gradient = [&](auto& plan, const auto& run) {
    const Tensor x = tensor_of(s.in, o.precision, 1), dy = tensor_of(s.out(), o.output(), 2);
    const Buffer workspace(kChecked, plan.workspace());
    std::vector<float> dw(to_size(s.weights()), 1);
    run(x.view(), dy.view(), dw.data(), workspace.data());
    EXPECT_TRUE(workspace.guards_intact());
    return dw;
  };
  const auto reference = reference_ops().conv(s, {}, o);
  const auto expected =
      gradient(*reference, [&](auto... a) { reference->backward_weights({}, a...); });
  const auto got = gradient(widened, [&](auto... a) { widened.run({}, a...); });
  EXPECT_LE(worst(got, expected), 1e-4) << widened.description();
}

INSTANTIATE_TEST_SUITE_P(Types, HalfConvTest, testing::Values(DType::bf16, DType::f16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace darknet
