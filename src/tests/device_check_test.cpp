// The verdicts of `darknet check`, and the names of devices.
#include "train/device_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/device_networks.h"

namespace darknet {
namespace {

using namespace testing_devices;

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
  EXPECT_TRUE(check.passes({.inference = of(9e-6), .training = of(9e-5)}));
  EXPECT_FALSE(check.passes({.inference = of(2e-5)}));
  EXPECT_FALSE(check.passes({.training = of(2e-4)}));
  EXPECT_FALSE(check.passes({.inference = of(NAN)}));
}

TEST(DeviceCheckTest, JudgesGradientsOverall) {
  const DeviceCheck check{.gradient_tolerance = .5};
  const auto of = [](double relative, double overall) {
    return LayerCheck{.gradient = {1, relative, overall, true}};
  };
  EXPECT_TRUE(check.passes(of(2, .4)));
  EXPECT_FALSE(check.passes(of(.1, .6)));
  EXPECT_FALSE(check.passes(of(.1, NAN)));
}

// Of all gradients in one array the biases would be a thousandth, and a wrong one lost.
TEST(DeviceCheckTest, FindsAWrongBiasGradientBesideManyWeights) {
  const DeviceCheck check{.array_tolerance = 2e-2};
  const std::vector<ParameterGradient> sound{{Role::bias, {.1f, -.2f}},
                                             {Role::scale, {3, 4}},
                                             {Role::weights, std::vector<float>(10'000, 1)}};
  EXPECT_TRUE(check.passes({.gradients = differences(sound, sound)}));
  for (const float wrong : {.2f, 0.f, -.1f, NAN}) {
    std::vector<ParameterGradient> spoilt = sound;
    spoilt[0].values[0] = wrong;
    const LayerCheck layer{.gradients = differences(spoilt, sound)};
    EXPECT_FALSE(check.passes(layer)) << wrong;
    EXPECT_EQ(layer.worst_gradient()->role, Role::bias) << wrong;
  }
  EXPECT_THROW(differences(sound, {{Role::bias, {.1f, -.2f}}}), Error);
  EXPECT_EQ(LayerCheck{}.worst_gradient(), nullptr);
}

TEST(DeviceCheckTest, ABiasGradientThatIsRoundingPasses) {
  const DeviceCheck check{.array_tolerance = 2e-2};
  const auto layer = [](float bias) {
    return std::vector<ParameterGradient>{{Role::bias, {bias, -bias}},
                                          {Role::weights, std::vector<float>(100, 1)}};
  };
  EXPECT_TRUE(check.passes({.gradients = differences(layer(1e-5f), layer(-2e-6f))}));
  EXPECT_FALSE(check.passes({.gradients = differences(layer(1e-2f), layer(0))}));
}

// In f32 each array is judged, and what stands in no array's tolerance is the rounding of 16 bits.
TEST(DeviceCheckTest, JudgesEachArrayInF32) {
  for (const char* type : {"f32", "bf16", "f16"}) {
    DeviceCheckOptions o{.first = checked_device("reference"),
                         .second = checked_device("reference")};
    o.first.precision = value_of<DType>(type);
    const DeviceCheck check = check_devices(sections(kNetworks[1].cfg), o);
    LayerCheck spoilt = check.layers.front();
    ASSERT_GT(spoilt.gradients.size(), 1u) << type;
    spoilt.gradients.front().difference.overall = 1;
    EXPECT_EQ(check.passes(spoilt), o.first.precision != DType::f32) << type;
  }
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

TEST(DeviceCheckTest, StopsBetweenLayers) {
  int asked = 0;
  const DeviceCheckOptions o{.second = checked_device("reference"),
                             .stop = [&] { return ++asked == 3; }};
  const DeviceCheck check = check_devices(sections(kNetworks[0].cfg), o);
  EXPECT_TRUE(check.stopped && check.layers.empty());
  EXPECT_FALSE(check.passes());
  EXPECT_EQ(asked, 3);
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
