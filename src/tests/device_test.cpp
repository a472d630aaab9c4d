// The same networks on the CPU and on every CUDA device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/layer.h"
#include "tests/device_networks.h"
#include "train/step.h"

namespace darknet {
namespace {

using namespace testing_devices;

// Everything a training run leaves: parameters, what the heads report, where the output stands.
struct Trained {
  std::vector<std::vector<float>> parameters;
  std::vector<double> losses;
  std::vector<std::int64_t> positives;
};

// reference: by plain loops, on the CPU.
Trained train(const std::string& cfg, const Device& device, int steps, bool reference = false) {
  Network net(sections(cfg), {.device = device,
                              .mode = Mode::training,
                              .exact = true,
                              .deterministic = true,
                              .reference = reference});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  TrainingStep step(net, optimizer, 3);
  // Where the search for a scale ends depends on the rounding of a device.
  if (optimizer.scales_loss()) step.set_loss_scale({.scale = 256});
  Trained result;
  const auto batch = to_size(net.settings().batch);
  for (int k = 0; k < steps; ++k) {
    const std::vector<float> pixels =
        noise(static_cast<std::int64_t>(batch) * net.input_shape().features(),
              static_cast<std::uint64_t>(k));
    std::vector<std::vector<Truth>> truths(batch);
    for (std::size_t i = 0; i < batch; ++i)
      truths[i] = {{{.3f + .1f * static_cast<float>(k), .4f, .2f, .3f}, 0},
                   {{.7f, .6f, .4f, .25f}, static_cast<std::int32_t>(i % 2)}};
    const StepResult r = step.run({pixels, truths}, {.iteration = k + 1, .learning_rate = .01f},
                                  k * static_cast<std::int64_t>(batch), true);
    EXPECT_TRUE(r.finite) << r.error;
    result.losses.push_back(r.loss);
    for (const HeadTelemetry& h : r.heads)
      result.positives.push_back(static_cast<std::int64_t>(h.positives));
  }
  optimizer.swap_average();
  for (const Parameter* p : net.parameters())
    result.parameters.push_back(p->value.to_host(net.stream()));
  return result;
}

class DeviceTest : public testing::TestWithParam<Sample> {};

TEST_P(DeviceTest, ATrainingIsTheSameOnEveryDevice) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  constexpr int kSteps = 4;  // as they stand, recorded, replayed twice
  const Trained expected = train(GetParam().cfg, {}, kSteps);
  for (const Device& device : cuda_devices()) {
    const Trained got = train(GetParam().cfg, device, kSteps);
    EXPECT_EQ(got.positives, expected.positives);
    for (std::size_t k = 0; k < expected.losses.size(); ++k)
      EXPECT_NEAR(got.losses[k], expected.losses[k], 1e-4 * std::fabs(expected.losses[k]));
    ASSERT_EQ(got.parameters.size(), expected.parameters.size());
    for (std::size_t i = 0; i < got.parameters.size(); ++i)
      EXPECT_LT(worst_difference(got.parameters[i], expected.parameters[i]), 1e-4)
          << to_string(device) << ", parameter " << i;
  }
}

TEST_P(DeviceTest, TwoTrainingsOnADeviceGiveTheSameBytes) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const Device device = cuda_devices().front();
  EXPECT_EQ(train(GetParam().cfg, device, 3).parameters,
            train(GetParam().cfg, device, 3).parameters);
}

// Gradients of every parameter after three passes: as they stand, recorded, replayed.
std::vector<std::vector<float>> classifier_gradients(const Device& device) {
  Network net(sections(kClassifier), {.device = device, .mode = Mode::training, .exact = true});
  net.initialise();
  net.parameters_changed();
  const std::vector<float> pixels = noise(net.input_shape().size(), 1);
  Tensor targets(device, {3, 1, 1, 5});
  targets.copy_from(net.stream(), noise(15, 2));
  for (int run = 0; run < 3; ++run) {
    memory(device.type)
        .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
    const Pass pass{.stream = net.stream(), .mode = Mode::training, .targets = targets.view()};
    net.forward(pass);
    net.backward(pass);
  }
  std::vector<std::vector<float>> all;
  for (const Parameter* p : net.parameters())
    if (p->gradient) all.push_back(to_host(net.stream(), p->gradient));
  return all;
}

TEST(DeviceTest, AClassifierLearnsTheSameOnEveryDevice) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const auto expected = classifier_gradients({});
  double size = 0;
  for (const auto& g : expected)
    for (const float v : g) size = std::max(size, std::fabs(double{v}));
  EXPECT_GT(size, .01);
  for (const Device& device : cuda_devices()) {
    const auto got = classifier_gradients(device);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_LT(worst_difference(got[i], expected[i]), 1e-5) << to_string(device);
  }
}

std::vector<std::vector<float>> outputs(const std::string& cfg, const Device& device,
                                        bool reference = false) {
  Network net(sections(cfg),
              {.device = device, .exact = true, .reference = reference, .keep_outputs = true});
  net.initialise();
  net.parameters_changed();
  std::vector<std::vector<float>> all;
  for (int run = 0; run < 3; ++run) {
    const std::vector<float> pixels =
        noise(net.input_shape().size(), static_cast<std::uint64_t>(run));
    memory(device.type)
        .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
    net.forward({.stream = net.stream()});
    for (std::int64_t i = 0; i < net.size(); ++i)
      all.push_back(to_host(net.stream(), net.output(i)));
  }
  return all;
}

TEST_P(DeviceTest, InferenceIsTheSameOnEveryDevice) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const auto expected = outputs(GetParam().cfg, {});
  for (const Device& device : cuda_devices()) {
    const auto got = outputs(GetParam().cfg, device);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_LT(worst_difference(got[i], expected[i]), 1e-5)
          << to_string(device) << ", output " << i;
  }
}

// In 16 bits the CPU's side is the reference's, which has both types. The simulated devices have
// its plans; a card rounds at other places, by as much as oneDNN's bf16 does here, and four times
// that is allowed.
struct Half {
  DType type;
  double output, parameter, loss;  // relative differences of a card
};
const Half kHalves[] = {{DType::f16, 4e-3, .1, 1e-3}, {DType::bf16, 3e-2, .4, 2e-3}};

std::string in_half(const std::string& cfg, DType type) {
  return cat("[net]\nprecision=", name_of(type), cfg.substr(5));
}

double half_tolerance(const Device& device, double of_others) {
  return built_with_cuda() || device.type == DeviceType::cpu ? of_others : 1e-5;
}

// One CUDA device, since all have the same plans.
std::vector<Device> devices_with(DType type) {
  std::vector<Device> all = cuda_devices();
  if (all.size() > 1) all.resize(1);
  try {
    ops(DeviceType::cpu).accept_precision(type, {});
    all.emplace_back();
  } catch (const Error&) {  // f16, and bf16 without AVX-512
  }
  return all;
}

TEST_P(DeviceTest, InferenceIn16BitsIsTheSameOnEveryDevice) {
  for (const Half& half : kHalves) {
    const std::string cfg = in_half(GetParam().cfg, half.type);
    const auto expected = outputs(cfg, {}, true);
    EXPECT_GT(worst_difference(expected.back(), outputs(GetParam().cfg, {}).back()), 1e-5);
    for (const Device& device : devices_with(half.type)) {
      const auto got = outputs(cfg, device);
      ASSERT_EQ(got.size(), expected.size());
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_LT(worst_difference(got[i], expected[i]), half_tolerance(device, half.output))
            << to_string(device) << ' ' << name_of(half.type) << ", output " << i;
    }
  }
}

TEST_P(DeviceTest, ATrainingIn16BitsIsTheSameOnEveryDevice) {
  constexpr int kSteps = 3;  // as they stand, recorded, replayed
  for (const Half& half : kHalves) {
    const std::string cfg = in_half(GetParam().cfg, half.type);
    const Trained expected = train(cfg, {}, kSteps, true);
    EXPECT_NE(expected.parameters, train(GetParam().cfg, {}, kSteps).parameters);
    for (const Device& device : devices_with(half.type)) {
      const Trained got = train(cfg, device, kSteps);
      for (std::size_t k = 0; k < expected.losses.size(); ++k)
        EXPECT_NEAR(got.losses[k] / expected.losses[k], 1,
                    GetParam().rounding * half_tolerance(device, half.loss));
      ASSERT_EQ(got.parameters.size(), expected.parameters.size());
      for (std::size_t i = 0; i < got.parameters.size(); ++i)
        EXPECT_LT(worst_difference(got.parameters[i], expected.parameters[i]),
                  std::max(half_tolerance(device, half.parameter), GetParam().rounding * 1e-5))
            << to_string(device) << ' ' << name_of(half.type) << ", parameter " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, DeviceTest, testing::ValuesIn(kNetworks),
                         [](const auto& info) { return std::string(info.param.name); });

// Negative controls: what this file relies on does notice.
TEST(DeviceTest, TheHostCannotReadDeviceMemory) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const Tensor t(cuda_devices().front(), {1, 1, 1, 4});
  EXPECT_DEATH(static_cast<void>(*static_cast<volatile float*>(t.data())), "");
}

TEST(DeviceTest, ARecordingHoldsWhatItsWorkWasGiven) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const Device device = cuda_devices().front();
  const OwnedStream stream({.device = device});
  const Tensor a(device, {1, 1, 1, 1}), b(device, {1, 1, 1, 1});
  const float one = 1;
  const float* from = b.data();
  memory(device.type).copy_in(stream.get(), a.data(), &one, sizeof one);
  const auto recording = streams(device.type).record(stream.get(), [&] {
    memory(device.type).copy(stream.get(), a.data(), from, sizeof one);
  });
  ASSERT_TRUE(recording);
  EXPECT_EQ(a.to_host(stream.get())[0], 1) << "recorded work was done";
  from = a.data();  // too late
  recording->replay(stream.get());
  EXPECT_EQ(a.to_host(stream.get())[0], 0);
}

TEST(DeviceTest, AnErrorInRecordedWorkEndsTheRecording) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const Device device = cuda_devices().front();
  const OwnedStream stream({.device = device});
  Tensor a(device, {1, 1, 1, 1});
  EXPECT_THROW(streams(device.type).record(stream.get(), [] { fail("on purpose"); }), Error);
  const float one = 1;
  memory(device.type).copy_in(stream.get(), a.data(), &one, sizeof one);
  EXPECT_EQ(a.to_host(stream.get())[0], 1);
  EXPECT_TRUE(streams(device.type).record(stream.get(), [&] { a.zero(stream.get()); }));
}

TEST(DeviceTest, TheSamplesHaveEveryLayer) {
  std::string all = kClassifier;
  for (const Sample& s : kNetworks) all += s.cfg;
  for (const std::string& type : layer_types())
    EXPECT_NE(all.find("[" + type + "]"), std::string::npos) << type;
}

// Direct, grouped and strided convolutions, pooling and gradients against plain loops.
TEST_P(DeviceTest, EveryDeviceAgreesWithPlainLoops) {
  for (const bool exact : {true, false}) {
    DeviceCheckOptions o{.second = checked_device("reference"), .exact = exact};
    std::vector<Device> devices = cuda_devices();
    devices.emplace_back();
    for (const Device& device : devices) {
      o.first.device = device;
      const DeviceCheck check = check_devices(sections(GetParam().cfg), o);
      int gradients = 0;
      for (const LayerCheck& l : check.layers) {
        EXPECT_TRUE(check.passes(l))
            << to_string(device) << ", layer " << l.layer << " [" << l.type << "]: inference "
            << l.inference.relative << ", training " << l.training.relative << ", gradients "
            << (l.gradients.empty() ? 0 : l.worst_gradient()->difference.overall);
        gradients += !l.gradients.empty();
      }
      EXPECT_GT(gradients, 3);
    }
  }
}

}  // namespace
}  // namespace darknet
