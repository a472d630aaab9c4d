// Convolution plans of a CUDA device against the reference implementation: what follows them at
// inference, f32 outputs of 16 bits, and which engines of cuDNN are taken.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "core/copy.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/tuning.h"
#include "kernels/activate.h"
#include "train/device_check.h"

namespace darknet {
namespace {

constexpr Device kCuda{.type = DeviceType::cuda};
constexpr ConvDirection kDirections[] = {ConvDirection::forward, ConvDirection::backward_data,
                                         ConvDirection::backward_weights};
constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

const ConvSpec kPlain{
    .in = {2, 9, 7, 6}, .filters = 8, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
const ConvSpec kOdd{.in = {2, 6, 5, 3},
                    .filters = 7,
                    .size_y = 3,
                    .size_x = 2,
                    .stride_y = 2,
                    .stride_x = 1,
                    .pad_x = 1};
const ConvSpec kGroups{.in = {1, 8, 8, 8},
                       .filters = 12,
                       .groups = 4,
                       .size_y = 3,
                       .size_x = 3,
                       .dilation = 2,
                       .pad_y = 2,
                       .pad_x = 2};
const ConvSpec kDepthwise{.in = {1, 6, 6, 4}, .filters = 4, .groups = 4, .size_y = 3, .size_x = 3};

const Activation kActivations[] = {
    activations::Linear{}, activations::Leaky{}, activations::Relu{}, activations::Logistic{},
    activations::Tanh{},   activations::Mish{},  activations::Swish{}};

// Numbers that every element type holds; their products have too many digits.
std::vector<float> short_numbers(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::round(random_uniform(5, stream, i) * 256 - 128) / 128;
  return v;
}

Tensor tensor_of(const Stream& s, const Shape& shape, DType type, std::uint64_t numbers) {
  Tensor t(s.device, shape, type);
  t.copy_from(s, short_numbers(shape.size(), numbers));
  return t;
}

double rounding_of(DType t) {
  if (t == DType::f32) return 1e-5;
  return t == DType::f16 ? 1. / 1024 : 1. / 128;
}

class ConvDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
    stream_ = OwnedStream(Stream{.device = kCuda});
  }
  // Of the plan and of what it leaves to the caller, as the layer does it.
  std::vector<float> forward(ConvPlan& plan, const ConvSpec& s, const Epilogue& e,
                             const PlanOptions& o) {
    const Stream& stream = stream_.get();
    const Tensor x = tensor_of(stream, s.in, o.precision, 1),
                 out(stream.device, s.out(), o.output());
    const Tensor weights = tensor_of(stream, vector_shape(s.weights()), DType::f32, 4),
                 bias = tensor_of(stream, vector_shape(s.filters), DType::f32, 6);
    const Buffer workspace(stream.device, plan.workspace());
    plan.set_weights(stream, weights.data(), workspace.data());
    plan.forward(stream, x.view(), bias.data(), out.view(), workspace.data());
    activate_rest(stream, e, plan.fused(), out.view(), bias.data());
    return out.to_host(stream);
  }
  // The same in f32 by plain loops.
  static std::vector<float> expected(const ConvSpec& s, const Epilogue& e) {
    const auto plan = reference_ops().conv(s, {}, {});
    const Tensor x = tensor_of({}, s.in, DType::f32, 1), out({}, s.out());
    const std::vector<float> weights = short_numbers(s.weights(), 4);
    const Tensor bias = tensor_of({}, vector_shape(s.filters), DType::f32, 6);
    plan->set_weights({}, weights.data(), nullptr);
    plan->forward({}, x.view(), nullptr, out.view(), nullptr);
    activate({}, e.activation, out.view(), bias.data(), out.view());
    return out.to_host({});
  }
  void by_every_engine(const ConvSpec& s, const Epilogue& e, PlanOptions o) {
    const std::vector<float> right = expected(s, e);
    std::vector<std::string> words =
        ops(DeviceType::cuda).conv(s, e, o)->algorithms(ConvDirection::forward);
    if (words.empty()) words.push_back("none");
    for (const std::string& word : words) {
      Tuning tuning(ops(DeviceType::cuda).name(kCuda));
      tuning.put(conv_use(ConvDirection::forward, s, o), {word, 1});
      o.tuning = &tuning;
      const auto plan = ops(DeviceType::cuda).conv(s, e, o);
      if (all_engines_known() && word != "none") {
        EXPECT_EQ(plan->algorithm(ConvDirection::forward), word);
      }
      EXPECT_LE(difference(forward(*plan, s, e, o), right).relative, 2 * rounding_of(o.precision))
          << plan->description() << ", " << to_string(s.in) << ", activation "
          << e.activation.index();
    }
  }
  static std::string taken(const ConvSpec& s, const PlanOptions& o, const Activation& a,
                           ConvDirection d = ConvDirection::forward) {
    return ops(DeviceType::cuda).conv(s, {.bias = true, .activation = a}, o)->algorithm(d);
  }
  // Whether cuDNN is the emulated one, with nothing left out, whose engines are known.
  static bool all_engines_known() {
    return ops(DeviceType::cuda).name(kCuda).find("emulated") != std::string::npos &&
           !std::getenv("EMULATED_GPU_REFUSE");
  }

  OwnedStream stream_;
};

// Whose engines are known; a real cuDNN may refuse what it proposes, and proposes what it likes.
class EmulatedConvDeviceTest : public ConvDeviceTest {
 protected:
  void SetUp() override {
    ConvDeviceTest::SetUp();
    if (!IsSkipped() && !all_engines_known()) GTEST_SKIP() << "this cuDNN's engines are unknown";
  }
};

// Fused or not, by every engine that could be taken.
TEST_F(ConvDeviceTest, BiasAndActivationFollowWhoeverComputesThem) {
  for (const DType type : kTypes)
    for (const bool exact : {false, true})
      for (const ConvSpec& s : {kPlain, kOdd, kGroups, kDepthwise})
        for (const Activation& a : kActivations)
          by_every_engine(s, {.bias = true, .activation = a}, {.exact = exact, .precision = type});
}

TEST_F(ConvDeviceTest, OutputsInF32AreNotRounded) {
  const Epilogue e{.bias = true};
  for (const DType type : {DType::f16, DType::bf16})
    for (const bool exact : {false, true})
      for (const ConvSpec& s : {kPlain, kOdd, kGroups}) {
        const PlanOptions o{.exact = exact, .precision = type, .f32_output = true};
        const auto plan = ops(DeviceType::cuda).conv(s, e, o);
        EXPECT_LE(difference(forward(*plan, s, e, o), expected(s, e)).relative, 1e-5)
            << plan->description() << ", " << to_string(s.in);
      }
}

TEST_F(ConvDeviceTest, GradientsOfAnF32OutputKeepItsDigits) {
  const Stream& stream = stream_.get();
  for (const DType type : {DType::f16, DType::bf16})
    for (const ConvSpec& s : {kPlain, kOdd}) {
      const PlanOptions o{.mode = Mode::training, .precision = type, .f32_output = true};
      const auto gradients = [&](ConvPlan& plan, const Stream& to) {
        const Tensor x = tensor_of(to, s.in, type, 1), dx(to.device, s.in, type);
        Tensor dy(to.device, s.out());
        std::vector<float> g = short_numbers(s.out().size(), 2);
        for (float& v : g) v *= 1.0001f;  // more digits than 16 bits have
        dy.copy_from(to, g);
        const Tensor weights = tensor_of(to, vector_shape(s.weights()), DType::f32, 4),
                     dw = tensor_of(to, vector_shape(s.weights()), DType::f32, 7);
        const Buffer workspace(to.device, plan.workspace());
        plan.set_weights(to, weights.data(), workspace.data());
        plan.backward(to, x.view(), dy.view(), dw.data(), dx.view(), false, workspace.data());
        return std::pair{dx.to_host(to), dw.to_host(to)};
      };
      const auto plan = ops(DeviceType::cuda).conv(s, {}, o);
      const auto got = gradients(*plan, stream);
      const auto plain = gradients(*reference_ops().conv(s, {}, o), {});
      EXPECT_LE(difference(got.first, plain.first).relative, rounding_of(type));
      EXPECT_LE(difference(got.second, plain.second).relative, 1e-5) << plan->description();
    }
}

TEST_F(EmulatedConvDeviceTest, EveryWordOfADirectionCanBeAskedFor) {
  const Epilogue e{.bias = true, .activation = activations::Leaky{}};
  for (const Mode mode : {Mode::inference, Mode::training})
    for (const ConvDirection d : kDirections) {
      PlanOptions o{.mode = mode};
      const auto words = ops(DeviceType::cuda).conv(kPlain, e, o)->algorithms(d);
      EXPECT_EQ(std::set(words.begin(), words.end()).size(), words.size());
      for (const std::string& word : words) {
        Tuning tuning(ops(DeviceType::cuda).name(kCuda));
        tuning.put(conv_use(d, kPlain, o), {word, 1});
        o.tuning = &tuning;
        const auto plan = ops(DeviceType::cuda).conv(kPlain, e, o);
        EXPECT_EQ(plan->algorithm(d), word);
        EXPECT_NE(plan->description().find("(tuned)"), std::string::npos);
      }
    }
}

TEST_F(EmulatedConvDeviceTest, TheEnginesTakenAreThoseThatTheOptionsAllow) {
  const auto training = [](bool exact, bool deterministic, DType type = DType::f32) {
    return PlanOptions{
        .mode = Mode::training, .exact = exact, .deterministic = deterministic, .precision = type};
  };
  for (const ConvDirection d : kDirections) {
    const auto engine = [&](const PlanOptions& o) { return taken(kPlain, o, {}, d); };
    EXPECT_EQ(engine(training(false, false)), "engine 1 2=5 13=0");
    EXPECT_EQ(engine(training(true, false)), "engine 1 2=5 13=0");
    EXPECT_EQ(engine(training(false, true)), "engine 2");  // on tensor cores, in TF32
    EXPECT_EQ(engine(training(true, true)), "engine 0");
    EXPECT_EQ(engine(training(true, true, DType::f16)), "engine 2");
  }
  Tuning tuning(ops(DeviceType::cuda).name(kCuda));
  PlanOptions o = training(true, true);
  for (const char* word : {"engine 2", "engine 3", "1 fma", "nonsense"}) {
    tuning.put(conv_use(ConvDirection::forward, kPlain, o), {word, 1});
    o.tuning = &tuning;
    EXPECT_EQ(taken(kPlain, o, {}), "engine 0") << word;
  }
}

// A kernel is compiled only where it saves enough.
TEST_F(EmulatedConvDeviceTest, FusesWhereThatPays) {
  const auto large = [](ConvSpec s) {
    s.in.h = s.in.w = 600;
    return s;
  };
  const std::string alone = "engine 1 2=5 13=0";
  const PlanOptions f32{}, exact{.exact = true}, f16{.precision = DType::f16},
      training{.mode = Mode::training}, head{.precision = DType::f16, .f32_output = true};
  for (const Activation& a : {Activation{activations::Leaky{}}, Activation{activations::Mish{}},
                              Activation{activations::Swish{}}}) {
    EXPECT_EQ(taken(large(kPlain), f32, a), "fused engine 7");
    EXPECT_EQ(taken(large(kPlain), f16, a), "fused engine 7");
    EXPECT_EQ(taken(large(kGroups), f16, a), "fused engine 7");
    EXPECT_EQ(taken(kPlain, f32, a), alone);
    EXPECT_EQ(taken(large(kPlain), exact, a), alone);
    EXPECT_EQ(taken(large(kOdd), f16, a), alone);
    EXPECT_EQ(taken(large(kDepthwise), f32, a), alone);
    EXPECT_EQ(taken(large(kPlain), training, a), alone);
  }
  EXPECT_EQ(taken(kPlain, exact, activations::Relu{}), "fused engine 11");
  EXPECT_EQ(taken(kPlain, exact, activations::Linear{}), "fused engine 11");
  const auto plan = ops(DeviceType::cuda).conv(kPlain, {.bias = true}, head);
  EXPECT_EQ(plan->description(), "f16 forward cudnn:fused engine 7 with bias and activation");
}

}  // namespace
}  // namespace darknet
