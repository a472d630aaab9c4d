// What the samples of rare layers do not show: their errors, fresh values, shared parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/log_capture.h"
#include "kernels/objectness.h"
#include "nn/network.h"
#include "nn/target_loss.h"
#include "tests/layer_harness.h"

namespace darknet::testing_layers {
namespace {

std::string refusal(const std::string& text, const std::vector<Shape>& in = {}) {
  try {
    const LayerPtr layer = layer_of(text, 5);
    layer->reshape(in, ops(DeviceType::cpu), {.mode = Mode::training});
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(RareLayers, SayWhatDoesNotFit) {
  EXPECT_NE(refusal("[deconvolutional]\nsize=2\nstride=4\npadding=3\n", {{1, 9, 9, 3}})
                .find("padding=3 is not below size=2"),
            std::string::npos);
  EXPECT_EQ(refusal("[deconvolutional]\nsize=3\npadding=2\n", {{1, 1, 4, 3}}),
            "layer 5 [deconvolutional] (net.cfg:1): padding=2 cuts off all of its output; its "
            "input is 4x1: give a smaller padding=, or a larger input");
  EXPECT_EQ(refusal("[maxpool]\nsize=3\nstride=2\nmaxpool_zero_nonmax=1\n"),
            "net.cfg:4: [maxpool] maxpool_zero_nonmax: each input needs a window of its own: "
            "give stride=1, or antialiasing=1 or 2");
  EXPECT_EQ(refusal("[maxpool]\nsize=3\npadding=1\nmaxpool_zero_nonmax=1\n"),
            "net.cfg:4: [maxpool] maxpool_zero_nonmax: each input needs a window of its own: "
            "give padding=2, or leave it out");
  EXPECT_EQ(refusal("[maxpool]\nsize=1\nantialiasing=2\n", {{1, 1, 4, 3}}),
            "layer 5 [maxpool] (net.cfg:1): antialiasing=2 needs at least 2x2 pixels, there are "
            "4x1: leave it out, or give a larger input");
  EXPECT_EQ(refusal("[control_channels]\nfrom=1\n", {{2, 1, 1, 3}, {2, 4, 4, 5}}),
            "layer 5 [control_channels] (net.cfg:1): the factors, layer 1, are 2x1x1x3 (n h w c); "
            "for layer 4 of 2x4x4x5 they must be 2x1x1x5; name another layer in from=");
  EXPECT_EQ(refusal("[shift_channels]\nfrom=1\n", {{2, 1, 1, 3}, {2, 4, 4, 5}}),
            "layer 5 [shift_channels] (net.cfg:1): layer 1 is 2x1x1x3 (n h w c); to be added to "
            "the layer before it, of 2x4x4x5, it must be 2x1x1x5; name such a layer in from=");
  EXPECT_EQ(refusal("[shift_channels]\n"),
            "net.cfg:1: [shift_channels] from: is missing: which layer is to be added?");
}

TEST(Reorg, WarnsWhereItDoesNothing) {
  std::string said;
  const log::Capture::Take take = [&](log::Level, const std::string& text) { said += text; };
  const log::Capture capture(take);
  layer_of("[reorg]\nstride=2\n", 3), layer_of("[reorg]\nextra=1\n", 3);
  EXPECT_EQ(said, "");
  layer_of("[reorg]\n", 3);
  EXPECT_NE(said.find("[reorg3d] stride=2"), std::string::npos) << said;
}

TEST(RareLayers, SayWhichKeysHaveNoEffect) {
  const auto said = [](const std::string& text) {
    std::string all;
    const log::Capture::Take take = [&](log::Level, const std::string& one) { all += one; };
    const log::Capture capture(take);
    layer_of(text, 3);
    return all;
  };
  EXPECT_EQ(said("[maxpool]\nmaxpool_depth=1\nsize=1\nstride=1\n"), "");
  for (const char* key : {"size", "stride", "padding"})
    EXPECT_NE(said(cat("[maxpool]\nmaxpool_depth=1\nsize=9\nstride=2\npadding=2\n"))
                  .find(cat("[maxpool] ", key, ": has no effect with maxpool_depth=1")),
              std::string::npos)
        << key;
  for (const char* key : {"reverse", "stride"})
    EXPECT_NE(said("[reorg]\nextra=1\nreverse=1\nstride=2\n")
                  .find(cat("[reorg] ", key, ": has no effect with extra=")),
              std::string::npos)
        << key;
}

LayerSample vectors(const char* type, const Shape& in) { return {.type = type, .in = {in}}; }

// 1 / |x| has no bound there.
TEST(L2norm, PassesNoGradientToAPixelOfZeros) {
  Trial t(vectors("l2norm", {1, 1, 2, 3}), Mode::training);
  t.in[0].copy_from({}, std::vector<float>{0, 0, 0, 3, 0, 4});
  t.forward();
  EXPECT_EQ(t.out.to_host({}), (std::vector<float>{0, 0, 0, .6f, 0, .8f}));
  t.backward(false, NAN);
  const std::vector<float> got = t.in_gradient[0].to_host({});
  EXPECT_EQ(std::vector(got.begin(), got.begin() + 3), std::vector<float>(3));
  EXPECT_NE(got[4], 0);
}

TEST(Logistic, ReportsItsCrossEntropy) {
  LayerSample s = vectors("logistic", {1, 1, 1, 3});
  s.objective = [](const Trial&) { return 0.; };
  s.targets = {1, 0, .25f};
  Trial t(s, Mode::training);
  t.in[0].copy_from({}, std::vector<float>{0, -2, 1});
  t.forward();
  const HeadTelemetry sums = to_host({}, t.layer->target_loss()->sums());
  const auto minus_log = [](double x) { return std::log1p(std::exp(-x)); };  // of the sigmoid
  EXPECT_NEAR(sums.class_loss,
              minus_log(0) + minus_log(2) + .25 * minus_log(1) + .75 * minus_log(-1), 1e-6);
  EXPECT_EQ(sums.not_finite, 0);
  EXPECT_EQ(sums.loss(), sums.class_loss);
  t.in[0].copy_from({}, std::vector<float>{NAN, 0, 0});
  t.forward();
  EXPECT_EQ(to_host({}, t.layer->target_loss()->sums()).not_finite, 1);
}

// What the tuning file and the .state file know a plan by.
TEST(RareLayers, TellOfThePlansInThem) {
  std::istringstream in(
      "[net]\nwidth=8\nheight=8\n"
      "[convolutional]\nfilters=3\nsize=3\nstride=2\npad=1\nantialiasing=1\n"
      "[deconvolutional]\nfilters=4\nsize=2\nstride=2\n[avgpool]\n");
  const Network net(parse_cfg(in, "net.cfg"), {});
  for (const std::int64_t i : {0, 1}) EXPECT_FALSE(net.layer(i).convolution()) << i;
  EXPECT_EQ(net.layer(0).planned_convolution()->spec.stride_x, 1);
  const auto transposed = net.layer(1).planned_convolution();
  ASSERT_TRUE(transposed);
  EXPECT_EQ(transposed->spec.in, net.output_shape(1));
  EXPECT_TRUE(transposed->options.deterministic);
  EXPECT_FALSE(net.layer(2).planned_convolution());
}

TEST(Deconvolutional, FreshWeightsFollowTheInputsOfAnOutput) {
  const LayerPtr layer = layer_of("[deconvolutional]\nfilters=64\nsize=4\nstride=2\n", 3);
  const Shape in{1, 3, 3, 8};
  layer->reshape({&in, 1}, ops(DeviceType::cpu), {.mode = Mode::training});
  layer->initialise(1);
  const auto values = layer->parameters().back()->value.to_host({});
  const float bound = std::sqrt(2.f / (8 * 4));  // 4 of the 16 taps meet in an output
  EXPECT_NEAR(*std::max_element(values.begin(), values.end()), bound, .01 * bound);
  EXPECT_NEAR(*std::min_element(values.begin(), values.end()), -bound, .01 * bound);
}

TEST(Implicit, FreshValuesAreUniformOrNormal) {
  const auto fresh = [](const std::string& text) {
    const LayerPtr layer = layer_of(text, 3);
    const Shape in{1, 3, 3, 8};
    layer->reshape({&in, 1}, ops(DeviceType::cpu), {.mode = Mode::training});
    layer->initialise(1);
    return layer->parameters().back()->value.to_host({});
  };
  const auto moments = [](const std::vector<float>& values) {
    double mean = 0, variance = 0;
    for (const float v : values) mean += v / static_cast<double>(values.size());
    for (const float v : values) variance += (v - mean) * (v - mean) / values.size();
    return std::pair(mean, std::sqrt(variance));
  };
  const auto uniform = fresh("[implicit]\nfilters=4000\nmean=2\nstd=.5\n");
  EXPECT_NEAR(*std::max_element(uniform.begin(), uniform.end()), 2.5, .01);
  EXPECT_NEAR(*std::min_element(uniform.begin(), uniform.end()), 1.5, .01);
  const auto [one, deviation] = moments(fresh("[implicit_mul]\nfilters=4000\n"));
  EXPECT_NEAR(one, 1, .002);
  EXPECT_NEAR(deviation, .02, .002);
  EXPECT_NEAR(moments(fresh("[implicit_add]\nfilters=4000\n")).first, 0, .002);
}

TEST(Convolutional, BorrowsParametersOfAnAntialiasedOne) {
  std::istringstream in(
      "[net]\nwidth=8\nheight=8\nbatch=2\n"
      "[convolutional]\nfilters=3\nsize=3\nstride=2\npad=1\nantialiasing=1\n"
      "activation=normalize_channels\n"
      "[convolutional]\nfilters=3\nsize=3\nstride=2\npad=1\nantialiasing=2\nshare_index=0\n");
  Network net(parse_cfg(in, "net.cfg"), {.batch = 2});
  net.initialise();
  EXPECT_EQ(net.layer(0).parameters().size(), 2u);
  EXPECT_TRUE(net.layer(1).parameters().empty());
  EXPECT_EQ(net.output_shape(0), (Shape{2, 4, 4, 3}));
  EXPECT_EQ(net.output_shape(1), (Shape{2, 2, 2, 3}));  // (4 - 2) / 2 + 1
  EXPECT_EQ(net.layer(0).summary().note, "linear, normalize_channels, blurred 3x3/2");
}

}  // namespace
}  // namespace darknet::testing_layers
