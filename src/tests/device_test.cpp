// The same networks on the CPU and on every CUDA device: real ones in a CUDA build on a machine
// that has them, simulated ones (simulated_device.cpp) in a build without CUDA.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/rng.h"
#include "dataset/loader.h"
#include "image/codec.h"
#include "nn/weights.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"
#include "train/device_check.h"
#include "train/step.h"

namespace darknet {
namespace {

struct Sample {
  const char *name, *cfg;
};

// Together they have every section type.
const Sample kNetworks[] = {
    {"yolo",
     "[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nmomentum=.9\ndecay=.0005\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=mish\nclip=.01\n"
     "[shortcut]\nfrom=-2\nactivation=leaky\n"
     "[maxpool]\nsize=2\nstride=2\n"
     "[maxpool]\nsize=2\nstride=1\n"
     "[route]\nlayers=-1,-2\n"
     "[dropout]\nprobability=.2\n"
     "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\nstride=2\npad=1\nactivation=swish\n"
     "[avgpool]\n"
     "[scale_channels]\nfrom=-2\n"
     "[local_avgpool]\nsize=3\nstride=1\n"
     "[upsample]\nstride=2\n"
     "[reorg]\nstride=2\n"
     "[reorg3d]\nstride=2\n"
     "[activation]\nactivation=logistic\n"
     "[convolutional]\nfilters=14\nsize=1\npad=1\nactivation=linear\n"
     "[yolo]\nmask=0,1\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\nobj_loss=focal\niou_loss=ciou\n"
     "ignore_thresh=.5\nobj_norm=positives\n"},
    {"region",
     "[net]\nbatch=2\nwidth=64\nheight=64\nadam=1\nema_alpha=.9\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[convolutional]\nfilters=8\nsize=1\nactivation=logistic\n"
     "[sam]\nfrom=-2\n"
     "[batchnorm]\n"
     "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\nstride=2\npad=1\ngroups=4\n"
     "activation=relu\n"
     "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
     "[region]\nanchors=1,1,3,2\nnum=2\nclasses=2\nsoftmax=1\nbias_match=1\nobj_loss=focal\n"},
};

// Trained by targets, not by truths.
const char* const kClassifier =
    "[net]\nbatch=3\nwidth=16\nheight=16\n"
    "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\nstride=2\npad=1\nactivation=tanh\n"
    "[maxpool]\nsize=3\nstride=2\n"
    "[connected]\noutput=12\nbatch_normalize=1\nactivation=leaky\n"
    "[connected]\noutput=5\nactivation=linear\n"
    "[softmax]\n"
    "[cost]\ntype=sse\n";

std::vector<Section> sections(const std::string& cfg) {
  std::istringstream in(cfg);
  return parse_cfg(in, "net.cfg");
}

// Everything a training run leaves: parameters, what the heads report, where the output stands.
struct Trained {
  std::vector<std::vector<float>> parameters;
  std::vector<double> losses;
  std::vector<std::int64_t> positives;
};

std::vector<float> noise(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(11, stream, i);
  return v;
}

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

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  const double relative = difference(a, b).relative;  // to the largest magnitude
  return std::isnan(relative) ? INFINITY : relative;
}

std::vector<Device> cuda_devices() {
  std::vector<Device> devices;
  for (int i = 0; i < device_count(DeviceType::cuda); ++i)
    devices.push_back({.type = DeviceType::cuda, .index = i});
  return devices;
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

// What a network's input holds after the loader's parts were put together on its device.
std::vector<float> input_made_of(const Batch& batch, const Device& device) {
  if (device.type == DeviceType::cpu &&
      std::ranges::all_of(batch.tiles, &std::vector<PlacedTile>::empty))
    return batch.pixels;  // read where they are
  Network net(sections(kNetworks[1].cfg), {.device = device, .mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  net.resize(2, batch.size.height, batch.size.width);
  TrainingStep step(net, optimizer, 1);
  const std::vector<std::vector<Truth>> none(2);
  step.run({batch.pixels, none, batch.tiles}, {.iteration = 1, .learning_rate = 0}, 0, false);
  const TensorView in = net.input();
  std::vector<float> host(to_size(in.shape.size()));
  memory(device.type).copy_out(net.stream(), host.data(), in.data, host.size() * sizeof(float));
  memory(device.type).synchronize(net.stream());
  return host;
}

class TilesTest : public testing_files::InFolder {};

TEST_F(TilesTest, ImagesPlacedOnADeviceAreThoseOfTheLoader) {
  const auto small = file("small.png", encode(testing_images::noise(30, 20, 3), ".png"));
  const auto large = file("large.png", encode(testing_images::noise(400, 300, 3), ".png"));
  BatchSettings settings{.images = {small, large},
                         .truths = {{}, {}},
                         .batch = 2,
                         .size =
                             [](std::int64_t) {
                               return InputSize{64, 64};
                             },
                         .augmentation = Augmentation{.image = {.saturation = 1.5f,
                                                                .exposure = 1.5f,
                                                                .hue = .1f,
                                                                .flip = true,
                                                                .mosaic = true},
                                                      .head = {.jitter = .2f}},
                         .seed = 5};
  const Batches placing(settings);
  settings.tiles = true;
  const Batches forwarding(settings);
  std::vector<Device> devices = cuda_devices();
  devices.emplace_back();
  std::size_t handed_on = 0, placed = 0;
  for (int k = 0; k < 6; ++k) {
    const Batch expected = placing.make(k), got = forwarding.make(k);
    for (const auto& tiles : got.tiles) ++(tiles.empty() ? placed : handed_on);
    for (const Device& device : devices)
      EXPECT_LT(worst_difference(input_made_of(got, device), expected.pixels), 1e-5)
          << to_string(device) << ", batch " << k;
  }
  EXPECT_GT(handed_on, 2u);
  EXPECT_GT(placed, 2u);  // images with more bytes than the input has as floats
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

std::vector<Device> devices_with(DType type) {
  std::vector<Device> all = cuda_devices();
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
  for (const Half& half : kHalves) {
    const std::string cfg = in_half(GetParam().cfg, half.type);
    const Trained expected = train(cfg, {}, 4, true);
    EXPECT_NE(expected.parameters, train(GetParam().cfg, {}, 4).parameters);
    for (const Device& device : devices_with(half.type)) {
      const Trained got = train(cfg, device, 4);
      for (std::size_t k = 0; k < expected.losses.size(); ++k)
        EXPECT_NEAR(got.losses[k] / expected.losses[k], 1, half_tolerance(device, half.loss));
      ASSERT_EQ(got.parameters.size(), expected.parameters.size());
      for (std::size_t i = 0; i < got.parameters.size(); ++i)
        EXPECT_LT(worst_difference(got.parameters[i], expected.parameters[i]),
                  half_tolerance(device, half.parameter))
            << to_string(device) << ' ' << name_of(half.type) << ", parameter " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, DeviceTest, testing::ValuesIn(kNetworks),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(DeviceTest, ADifferentSizeIsRecordedAnew) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  std::vector<std::vector<float>> found[2];
  const Device devices[] = {{}, cuda_devices().front()};
  for (int d = 0; d < 2; ++d) {
    Network net(sections(kNetworks[0].cfg), {.device = devices[d], .exact = true});
    net.initialise();
    net.parameters_changed();
    for (const std::int64_t size : {64, 96, 64})
      for (int run = 0; run < 3; ++run) {
        net.resize(1, size, size);
        const std::vector<float> pixels = noise(net.input_shape().size(), 4);
        memory(devices[d].type)
            .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
        net.forward({.stream = net.stream()});
        std::vector<float> scores;
        for (const InputDetection& x : detections(net, 0, .001f)) scores.push_back(x.probability);
        found[d].push_back(scores);
      }
  }
  ASSERT_FALSE(found[0][0].empty());
  for (std::size_t i = 0; i < found[0].size(); ++i)
    EXPECT_LT(worst_difference(found[0][i], found[1][i]), 1e-5) << i;
}

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
        EXPECT_TRUE(check.passes(l)) << to_string(device) << ", layer " << l.layer << " [" << l.type
                                     << "]: inference " << l.inference.relative << ", training "
                                     << l.training.relative << ", gradient " << l.gradient.relative;
        gradients += l.gradient.compared;
      }
      EXPECT_GT(gradients, 3);
    }
  }
}

TEST(DeviceCheckTest, ANumberThatIsNotFiniteIsADifference) {
  const std::vector<float> sound{1, -2, 3};
  EXPECT_EQ(difference(sound, sound).relative, 0);
  EXPECT_EQ(difference(sound, {1, -2, 1.5f}).relative, .5);
  EXPECT_NEAR(difference({3, 4}, {0, 4}).overall, .75, 1e-9);
  for (std::size_t at = 0; at < 3; ++at)
    for (const float bad : {NAN, INFINITY}) {
      std::vector<float> spoilt = sound;
      spoilt[at] = bad;
      EXPECT_TRUE(std::isnan(difference(sound, spoilt).relative)) << at;
      EXPECT_TRUE(std::isnan(difference(spoilt, spoilt).relative)) << at;
    }
  EXPECT_THROW(difference(sound, {1, 2}), Error);
}

TEST(DeviceCheckTest, FailsOnALargeDifferenceAndOnNan) {
  const DeviceCheck check{
      .inference_tolerance = 1e-5, .training_tolerance = 1e-4, .gradient_tolerance = 1e-4};
  const auto of = [](double relative) { return Difference{1, relative, 0, true}; };
  EXPECT_TRUE(check.passes({.inference = of(9e-6), .training = of(9e-5), .gradient = of(9e-5)}));
  EXPECT_FALSE(check.passes({.inference = of(2e-5)}));
  EXPECT_FALSE(check.passes({.training = of(2e-4)}));
  EXPECT_FALSE(check.passes({.gradient = of(2e-4)}));
  EXPECT_FALSE(check.passes({.inference = of(NAN)}));
}

TEST(DeviceCheckTest, JudgesGradientsIn16BitsOverall) {
  const DeviceCheck check{.gradient_tolerance = .5, .gradients_overall = true};
  const auto of = [](double relative, double overall) {
    return LayerCheck{.gradient = {1, relative, overall, true}};
  };
  EXPECT_TRUE(check.passes(of(2, .4)));
  EXPECT_FALSE(check.passes(of(.1, .6)));
  EXPECT_FALSE(check.passes(of(.1, NAN)));
}

// Gradients that never arrived, or all with the other sign, are noticed in every element type.
TEST(DeviceCheckTest, LostGradientsAreMoreThanIsAllowed) {
  const std::vector<float> sound{1, -2, 3}, lost(3), turned{-1, 2, -3};
  for (const char* type : {"f32", "bf16", "f16"}) {
    DeviceCheckOptions o{.first = checked_device("reference"),
                         .second = checked_device("reference")};
    o.first.precision = value_of<DType>(type);
    DeviceCheck check = check_devices(sections(kNetworks[1].cfg), o);
    EXPECT_TRUE(check.passes()) << type;
    for (const auto& bad : {lost, turned}) {
      LayerCheck spoilt = check.layers.front();
      spoilt.gradient = difference(bad, sound);
      EXPECT_FALSE(check.passes(spoilt)) << type;
    }
  }
}

TEST(DeviceCheckTest, ComparesTwoThingsThatDiffer) {
  const DeviceCheckOptions o{.second = checked_device("reference")};
  DeviceCheck same = check_devices(sections(kNetworks[0].cfg), o);
  EXPECT_TRUE(same.passes());
  same.inference_tolerance = 0;
  EXPECT_FALSE(same.passes()) << "plain loops and oneDNN agree to the last bit";
}

TEST(DeviceName, IsReadAndRefused) {
  EXPECT_EQ(device_of("cpu"), Device{});
  EXPECT_EQ(device_of("cuda"), (Device{.type = DeviceType::cuda}));
  EXPECT_EQ(device_of("cuda:3"), (Device{.type = DeviceType::cuda, .index = 3}));
  for (const char* word : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x"})
    EXPECT_THROW(device_of(word), Error) << word;
}

}  // namespace
}  // namespace darknet
