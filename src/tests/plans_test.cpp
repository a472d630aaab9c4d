// Every plan of the CPU against obvious loops in double, on checked buffers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "core/ops.h"
#include "cpu/instruction_set.h"
#include "kernels/pool.h"
#include "tests/conv_loops.h"

namespace darknet {
namespace {

// The variable names the level of these objects in a build for several (DARKNET_LEVELS).
TEST(InstructionSet, IsThatOfTheBuild) {
  const std::string set = instruction_set();
  if (const char* const level = std::getenv("DARKNET_LEVEL")) {
    EXPECT_EQ(set, level);
    return;
  }
  EXPECT_TRUE(set.starts_with("x86-64") || set == "this architecture") << set;
}

TEST(BaselineConv, IsTheConvolutionOfThePlan) {
  for (const std::int64_t images : {1, 8}) {
    const ConvSpec spec{.in = {images, 12, 12, 32},
                        .filters = 32,
                        .size_y = 3,
                        .size_x = 3,
                        .pad_y = 1,
                        .pad_x = 1};
    const PlanOptions options{.mode = Mode::training};
    Ops& cpu = ops(DeviceType::cpu);
    const auto baseline = cpu.baseline_conv(spec, {}, options, true);
    EXPECT_EQ(baseline->description(), cpu.conv(spec, {}, options)->description());
    const Buffer workspace(kChecked, baseline->workspace());
    for (const ConvDirection d :
         {ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_weights}) {
      ASSERT_TRUE(baseline->runs(d));
      baseline->run(d, workspace.data());
    }
    EXPECT_TRUE(workspace.guards_intact());
    const auto inference = cpu.baseline_conv(spec, {}, {}, false);
    EXPECT_FALSE(inference->runs(ConvDirection::backward_data));
    EXPECT_THROW(inference->run(ConvDirection::backward_data, workspace.data()), Error);
  }
}

struct Directions {
  std::string description;
  std::vector<float> out, dx, dw;
};

Directions all_directions(const ConvSpec& spec, bool exact) {
  const auto plan = ops(DeviceType::cpu).conv(spec, {}, {.mode = Mode::training, .exact = exact});
  const Shape weight_shape{spec.filters, spec.size_y, spec.size_x, spec.in.c};
  const Tensor in = random_tensor(spec.in, 1), dy = random_tensor(spec.out(), 3),
               weights = random_tensor(weight_shape, 2);
  const Tensor out(kChecked, spec.out()), dx(kChecked, spec.in);
  Tensor dw(kChecked, weight_shape);
  dw.zero(kStream);
  const Buffer workspace(kChecked, plan->workspace());
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), nullptr, out.view(), workspace.data());
  plan->backward_data(kStream, dy.view(), dx.view(), false, workspace.data());
  plan->backward_weights(kStream, in.view(), dy.view(), dw.data(), workspace.data());
  return {plan->description(), out.to_host(kStream), dx.to_host(kStream), dw.to_host(kStream)};
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - b[i], 2);
    length += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / length);
}

// What -exact avoids: at the sizes of real layers Winograd's error stays near that of float.
TEST(ConvPlan, WinogradErrsLittleAgainstDirectConvolution) {
  const ConvSpec spec{
      .in = {16, 26, 26, 128}, .filters = 256, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
  const Directions fast = all_directions(spec, false), exact = all_directions(spec, true);
  EXPECT_EQ(exact.description.find("wino"), std::string::npos) << exact.description;
  EXPECT_EQ(fast.description,
            "forward winograd4, backward_data winograd4, backward_weights winograd4");
  const double out = relative_error(fast.out, exact.out), dx = relative_error(fast.dx, exact.dx),
               dw = relative_error(fast.dw, exact.dw);
  std::printf("  forward %.1e, data %.1e, weights %.1e\n", out, dx, dw);
  EXPECT_GT(out, 0);  // it is another algorithm
  EXPECT_LT(out, 3e-6);
  EXPECT_LT(dx, 3e-6);
  EXPECT_LT(dw, 1e-5);
}

class ConvPlanTest : public testing::TestWithParam<ConvSpec> {};

TEST_P(ConvPlanTest, EqualsTheLoopsInEveryDirection) {
  const Conv c{GetParam()};
  const auto plan = ops(DeviceType::cpu).conv(c.s, {}, {.mode = Mode::training});
  const Tensor in = random_tensor(c.s.in, 1), dy = random_tensor(c.out, 3);
  const Shape weight_shape{c.s.filters, c.s.size_y, c.s.size_x, c.in_group};
  const Tensor weights = random_tensor(weight_shape, 2);
  Tensor out(kChecked, c.out), dx(kChecked, c.s.in), dw = random_tensor(weight_shape, 4);
  const Buffer workspace(kChecked, plan->workspace());
  std::vector<double> y(out.size()), gx(in.size()), gw(dw.data(), dw.data() + dw.size());
  c.visit([&](auto o, auto i, auto w) {
    y[o] += double{in.data()[i]} * weights.data()[w];
    gx[i] += double{dy.data()[o]} * weights.data()[w];
    gw[w] += double{dy.data()[o]} * in.data()[i];
  });
  const std::string what = plan->description();
  EXPECT_EQ(what.find(" ref"), std::string::npos) << what;
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), nullptr, out.view(), workspace.data());
  expect_close(y, out.data(), "forward " + what);
  plan->backward_data(kStream, dy.view(), dx.view(), false, workspace.data());
  expect_close(gx, dx.data(), what);
  plan->backward_data(kStream, dy.view(), dx.view(), true, workspace.data());
  for (double& g : gx) g *= 2;
  expect_close(gx, dx.data(), "add " + what);
  plan->backward_weights(kStream, in.view(), dy.view(), dw.data(), workspace.data());
  expect_close(gw, dw.data(), "weights " + what);
  Tensor both_dx(kChecked, c.s.in), both_dw = random_tensor(weight_shape, 4);
  plan->backward(kStream, in.view(), dy.view(), both_dw.data(), both_dx.view(), false,
                 workspace.data());
  plan->backward(kStream, in.view(), dy.view(), both_dw.data(), both_dx.view(), true,
                 workspace.data());
  plan->backward_weights(kStream, in.view(), dy.view(), dw.data(), workspace.data());
  EXPECT_EQ(both_dx.to_host(kStream), dx.to_host(kStream)) << what;
  EXPECT_EQ(both_dw.to_host(kStream), dw.to_host(kStream)) << what;
  for (const Buffer* b : {&in.buffer(), &dy.buffer(), &weights.buffer(), &out.buffer(),
                          &dx.buffer(), &dw.buffer(), &workspace})
    EXPECT_TRUE(b->guards_intact()) << what;
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ConvPlanTest,
    testing::Values(spec({2, 13, 11, 3}, 16, 3, 1), spec({1, 12, 12, 1}, 8, 3, 2),
                    spec({2, 9, 7, 16}, 24, 1, 1), spec({2, 9, 9, 64}, 32, 3, 1),
                    spec({1, 13, 13, 32}, 255, 1, 1), spec({2, 10, 10, 12}, 18, 5, 2),
                    spec({2, 8, 8, 16}, 16, 3, 1, 16), spec({2, 9, 9, 24}, 24, 5, 2, 24),
                    spec({2, 8, 8, 12}, 20, 3, 1, 4), spec({1, 8, 8, 32}, 64, 3, 1, 2),
                    spec({1, 14, 14, 16}, 16, 3, 1, 1, 2), spec({2, 6, 6, 5}, 7, 3, 1),
                    spec({1, 11, 11, 6}, 6, 3, 1, 6, 2), spec({1, 26, 26, 128}, 64, 3, 1),
                    ConvSpec{{1, 9, 12, 8}, 8, 1, 3, 3, 2, 1, 1, 0, 0},
                    ConvSpec{{8, 14, 14, 32}, 32, 1, 3, 3, 1, 1, 1, 1, 1}));

struct EpilogueCase {
  Activation activation;
  std::int64_t filters;  // 48: by Winograd's algorithm
};
class EpilogueTest : public testing::TestWithParam<EpilogueCase> {};

TEST_P(EpilogueTest, FusedBiasAndActivationEqualOurFormulas) {
  const auto& [activation, filters] = GetParam();
  const Conv c{spec({1, 13, 13, 16}, filters, 3, 1)};
  const auto plan = ops(DeviceType::cpu).conv(c.s, {true, activation}, {});
  ASSERT_EQ(plan->algorithm(ConvDirection::forward).starts_with("winograd"), filters == 48);
  ASSERT_TRUE(plan->fused().bias);
  const Activation fused = plan->fused().activation;  // one that the plan lacks is not
  ASSERT_TRUE(fused == activation || is_linear(fused));
  const Tensor in = random_tensor(c.s.in, 1), weights = random_tensor({filters, 3, 3, 16}, 2),
               bias = random_tensor(vector_shape(filters), 5);
  Tensor out(kChecked, c.out);
  const Buffer workspace(kChecked, plan->workspace());
  std::vector<double> y(out.size());
  c.visit([&](auto o, auto i, auto w) { y[o] += double{in.data()[i]} * weights.data()[w]; });
  for (std::size_t o = 0; o < y.size(); ++o)
    y[o] = std::visit([x = y[o] + bias.data()[o % filters]](const auto& f) { return f.value(x); },
                      fused);
  plan->set_weights(kStream, weights.data(), workspace.data());
  plan->forward(kStream, in.view(), bias.data(), out.view(), workspace.data());
  expect_close(y, out.data(), std::string(name_of(activation)));
}

std::vector<EpilogueCase> epilogues() {
  std::vector<EpilogueCase> all;
  for (const Activation& a : all_of<Activation>())
    for (const std::int64_t filters : {40, 48}) all.push_back({a, filters});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Activations, EpilogueTest, testing::ValuesIn(epilogues()));

Activation fused_with(const Activation& a, std::int64_t filters) {
  return ops(DeviceType::cpu)
      .conv(spec({1, 13, 13, 16}, filters, 3, 1), {true, a}, {})
      ->fused()
      .activation;
}

TEST(ConvPlan, FusesTheActivationsThatOneDnnKnows) {
  for (const Activation& a : {Activation(activations::Leaky{}), Activation(activations::Relu{}),
                              Activation(activations::Logistic{}), Activation(activations::Tanh{}),
                              Activation(activations::Mish{}), Activation(activations::Swish{})})
    EXPECT_EQ(fused_with(a, 40), a) << name_of(a);
}

TEST(ConvPlan, WinogradFusesActivationsThatAreLinearOnBothSidesOfZero) {
  const Activation linear = activations::Linear{}, leaky = activations::Leaky{},
                   relu = activations::Relu{}, relie = activations::Relie{};
  for (const Activation& a : all_of<Activation>())
    EXPECT_EQ(fused_with(a, 48), a == leaky || a == relu || a == relie ? a : linear) << name_of(a);
}

// Layers of the networks people train: none of them may fall to the library's reference code.
TEST(ConvPlan, NoLayerOfTheKnownNetworksRunsReferenceCode) {
  for (const std::int64_t batch : {1, 16}) {
    for (const ConvSpec& s :
         {spec({batch, 52, 52, 3}, 16, 3, 1), spec({batch, 52, 52, 3}, 32, 3, 2),
          spec({batch, 13, 13, 512}, 1024, 3, 1), spec({batch, 13, 13, 1024}, 125, 1, 1),
          spec({batch, 13, 13, 512}, 24, 1, 1), spec({batch, 26, 26, 384}, 256, 3, 1),
          spec({batch, 40, 40, 8}, 8, 3, 1, 8), spec({batch, 20, 20, 96}, 96, 5, 1, 96),
          spec({batch, 80, 80, 24}, 24, 3, 2, 24), spec({batch, 40, 40, 8}, 4, 1, 1)}) {
      const std::string chosen =
          ops(DeviceType::cpu).conv(s, {}, {.mode = Mode::training})->description();
      EXPECT_EQ(chosen.find(" ref"), std::string::npos) << to_string(s.in) << ": " << chosen;
    }
  }
}

struct PoolCase {
  PoolSpec s;
};

class PoolPlanTest : public testing::TestWithParam<PoolCase> {};

void expect_equal_to_loops(PoolPlan& plan, const PoolSpec& s) {
  const Shape out_shape = s.out();
  const Tensor in = random_tensor(s.in, 1), dy = random_tensor(out_shape, 2);
  Tensor out(kChecked, out_shape), dx(kChecked, s.in);
  std::vector<double> y(out.size()), gx(in.size());
  for (std::int64_t o = 0; o < out.size(); ++o) {
    const std::int64_t c = o % s.in.c, x = o / s.in.c % out_shape.w,
                       yy = o / s.in.c / out_shape.w % out_shape.h,
                       n = o / s.in.c / out_shape.w / out_shape.h;
    std::vector<std::int64_t> window;
    for (std::int64_t k = 0; k < s.size * s.size; ++k) {
      const std::int64_t iy = yy * s.stride_y - s.padding / 2 + k / s.size,
                         ix = x * s.stride_x - s.padding / 2 + k % s.size;
      if (iy >= 0 && ix >= 0 && iy < s.in.h && ix < s.in.w)
        window.push_back(((n * s.in.h + iy) * s.in.w + ix) * s.in.c + c);
    }
    if (s.kind == PoolKind::max) {
      std::int64_t best = window[0];
      for (const auto i : window)
        if (in.data()[i] > in.data()[best]) best = i;
      y[o] = in.data()[best];
      gx[best] += dy.data()[o];
    } else {
      for (const auto i : window) y[o] += in.data()[i] / double(window.size());
      for (const auto i : window) gx[i] += dy.data()[o] / double(window.size());
    }
  }
  const Buffer workspace(kChecked, plan.workspace()), saved(kChecked, plan.saved());
  plan.forward(kStream, in.view(), out.view(), saved.data(), workspace.data());
  expect_close(y, out.data(), "forward");
  plan.backward(kStream, dy.view(), dx.view(), false, saved.data(), workspace.data());
  expect_close(gx, dx.data(), "backward");
  plan.backward(kStream, dy.view(), dx.view(), true, saved.data(), workspace.data());
  for (double& g : gx) g *= 2;
  expect_close(gx, dx.data(), "add");
  EXPECT_TRUE(workspace.guards_intact() && saved.guards_intact() && out.buffer().guards_intact());
}

TEST_P(PoolPlanTest, EqualsTheLoops) {
  const PlanOptions training{.mode = Mode::training};
  const auto plan = ops(DeviceType::cpu).pool(GetParam().s, training);
  EXPECT_EQ(plan->description().find("ref"), std::string::npos) << plan->description();
  expect_equal_to_loops(*plan, GetParam().s);
  PoolSpec of_many = GetParam().s;
  of_many.in.n = 8;  // adds image by image
  EXPECT_LT(ops(DeviceType::cpu).pool(of_many, training)->workspace(),
            of_many.in.size() * std::int64_t{sizeof(float)} / 2);
  expect_equal_to_loops(*make_launched_pool(GetParam().s, training), GetParam().s);
}

TEST(PoolPlan, TheLargestIntegerIsTheLargestValue) {
  for (const PoolSpec& s : {PoolSpec{{2, 13, 12, 16}, PoolKind::max, 2, 2, 2, 1},
                            PoolSpec{{1, 13, 13, 64}, PoolKind::max, 13, 1, 1, 12},
                            PoolSpec{{2, 12, 10, 5}, PoolKind::max, 3, 2, 1, 2}}) {
    const auto real = ops(DeviceType::cpu).pool(s, {});
    const auto integers = ops(DeviceType::cpu).pool(s, {.precision = DType::u8});
    const Tensor in(kChecked, s.in), out(kChecked, s.out());
    const Tensor small(kChecked, s.in, DType::u8), most(kChecked, s.out(), DType::u8);
    for (std::int64_t i = 0; i < in.size(); ++i) {
      small.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 7919 % 251);
      in.data()[i] = small.data<std::uint8_t>()[i];
    }
    const Buffer workspace(kChecked, real->workspace());
    real->forward(kStream, in.view(), out.view(), nullptr, workspace.data());
    integers->forward(kStream, small.view(), most.view(), nullptr, nullptr);
    const std::uint8_t* const first = most.data<std::uint8_t>();
    EXPECT_EQ(std::vector<float>(first, first + most.size()), out.to_host(kStream))
        << to_string(s.in);
    EXPECT_TRUE(small.buffer().guards_intact() && most.buffer().guards_intact());
  }
}

// Windows of more places than a byte has numbers, and pixels in no window.
TEST(LaunchedPool, EqualsTheLoops) {
  for (const PoolSpec& s : {PoolSpec{{2, 19, 21, 3}, PoolKind::max, 17, 1, 1, 16},
                            PoolSpec{{1, 9, 8, 4}, PoolKind::max, 2, 3, 3, 0},
                            PoolSpec{{2, 7, 9, 4}, PoolKind::max, 3, 3, 3, 2},
                            PoolSpec{{2, 8, 7, 3}, PoolKind::max, 4, 4, 4, 3},
                            PoolSpec{{1, 9, 10, 5}, PoolKind::max, 2, 2, 1, 1}})
    expect_equal_to_loops(*make_launched_pool(s, {.mode = Mode::training}), s);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PoolPlanTest,
                         testing::Values(PoolCase{{{2, 13, 13, 16}, PoolKind::max, 2, 2, 2, 1}},
                                         PoolCase{{{1, 13, 13, 8}, PoolKind::max, 2, 1, 1, 1}},
                                         PoolCase{{{2, 12, 10, 5}, PoolKind::max, 3, 2, 1, 2}},
                                         PoolCase{{{1, 13, 13, 8}, PoolKind::max, 13, 1, 1, 12}},
                                         PoolCase{
                                             {{1, 13, 13, 8}, PoolKind::average, 3, 2, 2, 2}}));

TEST(GemmPlan, TransposesAndAccumulates) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const GemmSpec s{5, 7, 11, ta, tb, .5f};
      const Tensor a = random_tensor(vector_shape(55), 1), b = random_tensor(vector_shape(77), 2);
      Tensor c = random_tensor(vector_shape(35), 3);
      std::vector<double> expected(35);
      for (int i = 0; i < 5; ++i)
        for (int j = 0; j < 7; ++j) {
          expected[i * 7 + j] = .5 * c.data()[i * 7 + j];
          for (int k = 0; k < 11; ++k)
            expected[i * 7 + j] += double{a.data()[ta ? k * 5 + i : i * 11 + k]} *
                                   b.data()[tb ? j * 11 + k : k * 7 + j];
        }
      ops(DeviceType::cpu).gemm(s)->run(kStream, a.data(), b.data(), c.data(), nullptr);
      expect_close(expected, c.data(), "gemm");
    }
}

TEST(ConvPlan, GroupsThatDoNotDivideAndKernelsThatDoNotFitAreErrors) {
  const ConvSpec grouped = spec({1, 8, 8, 6}, 8, 3, 1, 4);
  EXPECT_THROW(ops(DeviceType::cpu).conv(grouped, {}, {}), Error);
  ConvSpec large = spec({1, 2, 2, 1}, 1, 5, 1);
  large.pad_x = large.pad_y = 0;
  EXPECT_THROW(large.out(), Error);
}

}  // namespace
}  // namespace darknet
