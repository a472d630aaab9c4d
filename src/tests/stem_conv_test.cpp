// kernels/stem_conv.h against the reference implementation, on the CPU and on a GPU: forward with
// and without what may follow, and the gradient of the weights.
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
// Widths that are multiples of 4 with a padding of 1 are read 4 elements at a time. Rows of more
// than 64 outputs are cut into segments.
const ConvSpec kSpecs[] = {
    stem({2, 6, 20, 3}, 16, 1, 1), stem({1, 3, 136, 3}, 8, 1, 1),   stem({2, 9, 20, 3}, 8, 2, 1),
    stem({1, 5, 264, 3}, 4, 2, 1), stem({2, 9, 7, 3}, 16, 1, 1),    stem({2, 5, 150, 3}, 8, 1, 1),
    stem({1, 6, 16, 3}, 4, 1, 0),  stem({2, 10, 141, 3}, 32, 2, 1), stem({1, 7, 9, 3}, 8, 2, 0),
    stem({1, 1, 2, 3}, 64, 1, 2),  stem({1, 6, 12, 3}, 4, 2, 2)};

Tensor random_tensor(const Stream& stream, const Shape& shape, DType type, std::uint64_t numbers) {
  Tensor t(stream.device, shape, type);
  std::vector<float> v(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(31, numbers, i) - .5f;
  t.copy_from(stream, v);
  return t;
}

std::vector<float> forward(const Stream& to, ConvPlan& plan, const ConvSpec& s, const Epilogue& e,
                           DType type) {
  const Tensor in = random_tensor(to, s.in, type, 1), out(to.device, s.out(), type);
  const Tensor weights = random_tensor(to, vector_shape(s.weights()), DType::f32, 2),
               bias = random_tensor(to, vector_shape(s.filters), DType::f32, 3);
  const Buffer workspace(to.device, plan.workspace());
  plan.set_weights(to, weights.data(), workspace.data());
  plan.forward(to, in.view(), e.bias ? bias.data() : nullptr, out.view(), workspace.data());
  activate_rest(to, e, plan.fused(), out.view(), bias.data());
  EXPECT_TRUE(out.buffer().guards_intact());
  return out.to_host(to);
}

std::vector<float> weight_gradient(const Stream& to, ConvPlan& plan, const ConvSpec& s,
                                   DType type) {
  const Tensor in = random_tensor(to, s.in, type, 1),
               out_gradient = random_tensor(to, s.out(), type, 4);
  const Tensor gradient =
      random_tensor(to, vector_shape(s.weights()), DType::f32, 5);  // what it adds to
  const Buffer workspace(to.device, plan.workspace());
  plan.backward_weights(to, in.view(), out_gradient.view(), gradient.data(), workspace.data());
  EXPECT_TRUE(gradient.buffer().guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  return gradient.to_host(to);
}

double rounding_of(DType t) {
  if (t == DType::f32) return 1e-6;
  return t == DType::f16 ? 1. / 1024 : 1. / 128;
}

void expect_forward_as_reference(const Stream& stream) {
  for (const DType type : kTypes)
    for (const ConvSpec& s : kSpecs)
      for (const Epilogue& e :
           {Epilogue{}, Epilogue{.bias = true}, Epilogue{true, activations::Leaky{}},
            Epilogue{true, activations::Relu{}}, Epilogue{true, activations::Mish{}}}) {
        const PlanOptions o{.precision = type};
        ASSERT_TRUE(is_stem_conv(s, o));
        const auto plan = make_stem_conv(s, e, o, stream.device);
        const auto reference = reference_ops().conv(s, e, o);
        EXPECT_LE(difference(forward(stream, *plan, s, e, type),
                             forward({.device = kChecked}, *reference, s, e, type))
                      .relative,
                  2 * rounding_of(type))
            << to_string(s.in) << ", activation " << e.activation.index();
      }
}

void expect_weight_gradient_as_reference(const Stream& stream) {
  for (const DType type : kTypes)
    for (const ConvSpec& s : kSpecs) {
      const PlanOptions o{.mode = Mode::training, .input_gradient = false, .precision = type};
      ASSERT_TRUE(is_stem_conv(s, o));
      const auto plan = make_stem_conv(s, {}, o, stream.device),
                 reference = reference_ops().conv(s, {}, o);
      EXPECT_LE(difference(weight_gradient(stream, *plan, s, type),
                           weight_gradient({.device = kChecked}, *reference, s, type))
                    .relative,
                1e-5)
          << to_string(s.in) << ", " << name_of(type);
    }
}

TEST(StemConv, ForwardIsTheReferences) { expect_forward_as_reference({.device = kChecked}); }

TEST(StemConv, WeightGradientIsTheReferences) {
  expect_weight_gradient_as_reference({.device = kChecked});
}

class StemConvDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
    stream_ = OwnedStream(Stream{.device = {.type = DeviceType::cuda}});
  }
  OwnedStream stream_;
};

TEST_F(StemConvDeviceTest, ForwardIsTheReferences) { expect_forward_as_reference(stream_.get()); }

TEST_F(StemConvDeviceTest, WeightGradientIsTheReferences) {
  expect_weight_gradient_as_reference(stream_.get());
}

TEST(StemConv, RefusesWhatItWasNotMadeFor) {
  const ConvSpec& s = kSpecs[0];
  const auto plan = make_stem_conv(s, {}, {}, kChecked);
  const Tensor in(kChecked, s.in), wide(kChecked, {s.in.n, s.in.h, s.in.w, 6}),
      out(kChecked, s.out()), gradient(kChecked, vector_shape(s.weights()));
  EXPECT_THROW(plan->forward({}, wide.view().channels(0, 3), nullptr, out.view(), nullptr), Error);
  EXPECT_THROW(plan->backward_weights({}, in.view(), out.view(), gradient.data(), nullptr), Error);
  EXPECT_THROW(plan->backward_data({}, out.view(), in.view(), false, nullptr), Error);
}

TEST(StemConv, LeavesToTheCallerWhatHasNoSlope) {
  const auto fused = [](const Activation& a) {
    return make_stem_conv(kSpecs[0], {.bias = true, .activation = a}, {}, kChecked)->fused();
  };
  EXPECT_TRUE(fused(activations::Leaky{}).bias);
  EXPECT_EQ(fused(activations::Leaky{}).activation, Activation{activations::Leaky{}});
  EXPECT_FALSE(fused(activations::Swish{}).bias);
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
