// The convolutions that stand in where a library has none: in parts of the batch, and by plain
// launches. Both against the CPU's plan of the whole, in all three directions.
#include <gtest/gtest.h>

#include "core/ops.h"
#include "core/rng.h"
#include "core/split_conv.h"
#include "kernels/direct_conv.h"
#include "train/device_check.h"

namespace darknet {
namespace {

constexpr Device kChecked{.checked = true};
constexpr PlanOptions kTraining{.mode = Mode::training, .exact = true};

std::vector<ConvSpec> specs() {
  return {{.in = {5, 9, 7, 4}, .filters = 6, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1},
          {.in = {3, 8, 9, 6},
           .filters = 4,
           .groups = 2,
           .size_y = 3,
           .size_x = 2,
           .stride_y = 2,
           .stride_x = 3,
           .pad_y = 1},
          {.in = {4, 11, 11, 3},
           .filters = 5,
           .size_y = 3,
           .size_x = 3,
           .dilation = 2,
           .pad_y = 2,
           .pad_x = 2},
          {.in = {2, 4, 5, 8}, .filters = 3}};
}

Tensor random_tensor(const Shape& shape, std::uint64_t stream) {
  Tensor t(kChecked, shape);
  for (std::int64_t i = 0; i < t.size(); ++i)
    t.data()[i] = random_uniform(23, stream, static_cast<std::uint64_t>(i)) - .5f;
  return t;
}

// What a plan makes of the same numbers.
std::vector<std::vector<float>> results(ConvPlan& plan, const ConvSpec& spec) {
  const Tensor in = random_tensor(spec.in, 1), gradient = random_tensor(spec.out(), 2);
  const Tensor weights = random_tensor(vector_shape(spec.weights()), 3);
  const Tensor out(kChecked, spec.out()), in_gradient = random_tensor(spec.in, 4);
  const Tensor weight_gradient = random_tensor(vector_shape(spec.weights()), 5);
  const Buffer workspace(kChecked, plan.workspace());
  plan.set_weights({}, weights.data(), workspace.data());
  plan.forward({}, in.view(), nullptr, out.view(), workspace.data());
  std::vector<std::vector<float>> all{out.to_host({})};
  for (const bool add : {true, false}) {
    plan.backward_data({}, gradient.view(), in_gradient.view(), add, workspace.data());
    plan.backward_weights({}, in.view(), gradient.view(), weight_gradient.data(), workspace.data());
    all.push_back(in_gradient.to_host({}));
    all.push_back(weight_gradient.to_host({}));
  }
  for (const Tensor* t : {&out, &in_gradient, &weight_gradient})
    EXPECT_TRUE(t->buffer().guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  return all;
}

std::shared_ptr<ConvPlan> whole(const ConvSpec& spec) {
  return ops(DeviceType::cpu).conv(spec, {}, kTraining);
}

void expect_equal(ConvPlan& plan, const ConvSpec& spec) {
  const auto expected = results(*whole(spec), spec), got = results(plan, spec);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LE(difference(got[i], expected[i]).relative, 1e-5)
        << to_string(spec.in) << ", result " << i;
}

TEST(SplitConv, IsTheWholeConvolutionHoweverManyImagesItTakes) {
  for (const ConvSpec& spec : specs()) {
    const std::int64_t image = std::max(spec.in.features(), spec.out().features());
    for (std::int64_t images = 1; images <= spec.in.n; ++images) {
      std::vector<std::int64_t> planned;
      const auto plan =
          split_along_batch(spec, {}, images * image, [&](const ConvSpec& s, const Epilogue&) {
            planned.push_back(s.in.n);
            return whole(s);
          });
      EXPECT_EQ(planned.front(), images);
      expect_equal(*plan, spec);
    }
  }
}

TEST(SplitConv, RefusesAnImageThatIsTooLarge) {
  const ConvSpec spec = specs().front();
  const auto make = [](const ConvSpec& s, const Epilogue&) { return whole(s); };
  EXPECT_THROW(split_along_batch(spec, {}, 9 * 7 * 6 - 1, make), Error);
}

TEST(SplitConv, FusesNothingInParts) {
  const ConvSpec spec = specs().front();
  const std::int64_t elements = spec.out().size();
  const Epilogue wanted{.bias = true, .activation = activations::Relu{}};
  std::vector<bool> asked;
  const auto make = [&](const ConvSpec& s, const Epilogue& e) {
    asked.push_back(e.bias);
    return whole(s);
  };
  split_along_batch(spec, wanted, elements, make);
  split_along_batch(spec, wanted, elements - 1, make);
  EXPECT_EQ(asked, (std::vector<bool>{true, false, false}));
}

TEST(LaunchedConv, IsTheLibrarysConvolution) {
  for (const ConvSpec& spec : specs()) expect_equal(*make_launched_conv(spec), spec);
}

}  // namespace
}  // namespace darknet
