// kernels/stem_conv.h against the reference implementation: forward with and without what may
// follow, and the gradient of the weights. device_conv_test.cpp and the layers' tests run it on a
// GPU.
#include "kernels/stem_conv.h"

#include <gtest/gtest.h>

#include "core/copy.h"
#include "core/rng.h"
#include "kernels/activate.h"
#include "train/device_check.h"

namespace darknet {
namespace {

constexpr Device kChecked{.checked = true};
constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

// Images: wide and narrow, with rows that are cut into several parts, and of 4 pixels or not.
ConvSpec stem(const Shape& images, std::int64_t filters, std::int64_t stride, std::int64_t pad) {
  return {.in = images,
          .filters = filters,
          .size_y = 3,
          .size_x = 3,
          .stride_y = stride,
          .stride_x = stride,
          .pad_y = pad,
          .pad_x = pad};
}
const ConvSpec kSpecs[] = {stem({2, 9, 7, 3}, 16, 1, 1), stem({3, 5, 150, 3}, 8, 1, 1),
                           stem({1, 6, 16, 3}, 4, 1, 0), stem({2, 10, 141, 3}, 32, 2, 1),
                           stem({1, 7, 9, 3}, 8, 2, 0),  stem({1, 1, 2, 3}, 64, 1, 2)};

Tensor random_tensor(const Shape& shape, DType type, std::uint64_t numbers) {
  Tensor t(kChecked, shape, type);
  std::vector<float> v(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(31, numbers, i) - .5f;
  t.copy_from({}, v);
  return t;
}

std::vector<float> forward(ConvPlan& plan, const ConvSpec& s, const Epilogue& e, DType type) {
  const Tensor in = random_tensor(s.in, type, 1), out(kChecked, s.out(), type);
  const Tensor weights = random_tensor(vector_shape(s.weights()), DType::f32, 2),
               bias = random_tensor(vector_shape(s.filters), DType::f32, 3);
  const Buffer workspace(kChecked, plan.workspace());
  plan.set_weights({}, weights.data(), workspace.data());
  plan.forward({}, in.view(), e.bias ? bias.data() : nullptr, out.view(), workspace.data());
  activate_rest({}, e, plan.fused(), out.view(), bias.data());
  EXPECT_TRUE(out.buffer().guards_intact());
  return out.to_host({});
}

std::vector<float> weight_gradient(ConvPlan& plan, const ConvSpec& s, DType type) {
  const Tensor in = random_tensor(s.in, type, 1), out_gradient = random_tensor(s.out(), type, 4);
  const Tensor gradient = random_tensor(vector_shape(s.weights()), DType::f32, 5);  // it adds
  const Buffer workspace(kChecked, plan.workspace());
  plan.backward_weights({}, in.view(), out_gradient.view(), gradient.data(), workspace.data());
  EXPECT_TRUE(gradient.buffer().guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  return gradient.to_host({});
}

double rounding_of(DType t) {
  if (t == DType::f32) return 1e-6;
  return t == DType::f16 ? 1. / 1024 : 1. / 128;
}

TEST(StemConv, ForwardIsTheReferences) {
  for (const DType type : kTypes)
    for (const ConvSpec& s : kSpecs)
      for (const Epilogue& e :
           {Epilogue{}, Epilogue{.bias = true}, Epilogue{true, activations::Leaky{}},
            Epilogue{true, activations::Relu{}}, Epilogue{true, activations::Mish{}}}) {
        const PlanOptions o{.precision = type};
        ASSERT_TRUE(is_stem_conv(s, o));
        const auto plan = make_stem_conv(s, e, o, kChecked);
        EXPECT_LE(difference(forward(*plan, s, e, type),
                             forward(*reference_ops().conv(s, e, o), s, e, type))
                      .relative,
                  2 * rounding_of(type))
            << to_string(s.in) << ", activation " << e.activation.index();
      }
}

TEST(StemConv, LeavesToTheCallerWhatHasNoSlope) {
  const auto fused = [](const Activation& a) {
    return make_stem_conv(kSpecs[0], {.bias = true, .activation = a}, {}, kChecked)->fused();
  };
  EXPECT_TRUE(fused(activations::Leaky{}).bias);
  EXPECT_EQ(fused(activations::Leaky{}).activation, Activation{activations::Leaky{}});
  EXPECT_FALSE(fused(activations::Swish{}).bias);
}

TEST(StemConv, WeightGradientIsTheReferences) {
  for (const DType type : kTypes)
    for (const ConvSpec& s : kSpecs) {
      const PlanOptions o{.mode = Mode::training, .input_gradient = false, .precision = type};
      ASSERT_TRUE(is_stem_conv(s, o));
      const auto plan = make_stem_conv(s, {}, o, kChecked),
                 reference = reference_ops().conv(s, {}, o);
      EXPECT_LE(difference(weight_gradient(*plan, s, type), weight_gradient(*reference, s, type))
                    .relative,
                1e-5)
          << to_string(s.in) << ", " << name_of(type);
    }
}

TEST(StemConv, OtherConvolutionsAreLeftToTheLibrary) {
  const ConvSpec s = kSpecs[0];
  const auto takes = [&](auto change, const PlanOptions& o = {}) {
    ConvSpec other = s;
    change(other);
    return is_stem_conv(other, o);
  };
  EXPECT_TRUE(takes([](ConvSpec&) {}));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.in.c = 4; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.filters = 6; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.filters = 128; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.size_x = 1; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.stride_y = 2; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.stride_x = o.stride_y = 3; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.dilation = 2; }));
  EXPECT_FALSE(takes([](ConvSpec& o) { o.groups = 3; }));
  EXPECT_FALSE(takes([](ConvSpec&) {}, {.mode = Mode::training}));
  EXPECT_FALSE(takes([](ConvSpec&) {}, {.precision = DType::f16, .f32_output = true}));
}

}  // namespace
}  // namespace darknet
