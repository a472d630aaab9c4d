// Every layer type, with every sample, through the same checks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "core/activation.h"
#include "core/index.h"
#include "layers/channel_activation.h"
#include "nn/head_types.h"
#include "nn/network.h"
#include "tests/layer_harness.h"

namespace darknet::testing_layers {
namespace {

class LayerTest : public testing::TestWithParam<LayerSample> {};

void expect_close(const std::vector<float>& got, const std::vector<double>& expected,
                  double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * std::max(1., std::fabs(expected[i])))
        << what << ", element " << i;
}

std::vector<double> wide(const std::vector<float>& v) { return {v.begin(), v.end()}; }

TEST_P(LayerTest, ForwardEqualsTheObviousLoops) {
  Trial t(GetParam(), Mode::training);
  t.forward();
  t.expect_guards();
  const auto out = t.out.to_host(t.stream);
  for (const float v : out) ASSERT_TRUE(std::isfinite(v));
  if (t.sample.reference)
    expect_close(out, t.sample.reference(t.host_inputs(), t.host_parameters(), t.needs.output),
                 2e-5, "forward");
}

TEST_P(LayerTest, ASecondRunAndAnyOrderGiveTheSameBytes) {
  Trial a(GetParam(), Mode::training), b(GetParam(), Mode::training, Order::scattered);
  for (int run = 0; run < 2; ++run) {
    for (Trial* t : {&a, &b}) {
      std::fill_n(static_cast<char*>(t->gradients.data()), t->gradients.bytes(), 0);
      t->forward();
      t->backward(false, NAN);
      t->expect_guards();
    }
    EXPECT_EQ(a.out.to_host({}), b.out.to_host({}));
    for (std::size_t i = 0; i < a.in.size(); ++i)
      EXPECT_EQ(a.in_gradient[i].to_host({}), b.in_gradient[i].to_host({})) << "input " << i;
    const auto pa = a.layer->parameters(), pb = b.layer->parameters();
    for (std::size_t i = 0; i < pa.size(); ++i) {
      EXPECT_EQ(pa[i]->value.to_host({}), pb[i]->value.to_host({})) << "parameter " << i;
      EXPECT_EQ(to_host(Stream{}, pa[i]->gradient), to_host(Stream{}, pb[i]->gradient))
          << "parameter " << i;
    }
    if (run == 0) b.step = a.step;
  }
  Trial c(GetParam(), Mode::training);
  c.forward();
  EXPECT_EQ(a.out.to_host({}), c.out.to_host({})) << "an earlier pass left a trace";
}

TEST_P(LayerTest, BackwardAddsOrOverwritesAsAsked) {
  Trial t(GetParam(), Mode::training);
  t.forward();
  t.backward(false, NAN);
  std::vector<std::vector<float>> fresh;
  for (const Tensor& g : t.in_gradient) fresh.push_back(g.to_host({}));
  std::vector<std::vector<float>> first;
  for (const Parameter* p : t.layer->parameters()) first.push_back(to_host(Stream{}, p->gradient));
  t.backward(true, 2.5f);
  t.expect_guards();
  for (std::size_t i = 0; i < t.in.size(); ++i) {
    auto expected = wide(fresh[i]);
    for (double& v : expected) v += 2.5;
    expect_close(t.in_gradient[i].to_host({}), expected, 1e-5, "added gradient");
  }
  const auto parameters = t.layer->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    auto expected = wide(first[i]);
    for (double& v : expected) v *= 2;
    expect_close(to_host(Stream{}, parameters[i]->gradient), expected, 1e-5, "parameter's sum");
  }
}

TEST_P(LayerTest, WithoutInputGradientsParametersGetTheSame) {
  Trial a(GetParam(), Mode::training), b(GetParam(), Mode::training);
  a.forward(), b.forward();
  a.backward(false, 0), b.backward(false, 0, false);
  const auto pa = a.layer->parameters(), pb = b.layer->parameters();
  for (std::size_t i = 0; i < pa.size(); ++i)
    EXPECT_EQ(to_host(Stream{}, pa[i]->gradient), to_host(Stream{}, pb[i]->gradient));
  for (const Tensor& g : b.in_gradient)
    for (const float v : g.to_host({})) ASSERT_EQ(v, 0);
}

// One number of a trial that can be moved, with the gradient that backward() gave it.
void expect_slope(Trial& t, float& x, double gradient, const std::string& what) {
  const float h = 4e-3f;
  const float keep = x;
  const auto at = [&](float value) {
    x = value;
    t.layer->parameters_changed(t.stream, t.workspace.data());
    t.forward();
    return t.objective();
  };
  const double up = at(keep + h), here = at(keep), down = at(keep - h);
  x = keep;
  const double slope = (up - down) / (2. * h);
  const double tolerance = t.sample.tolerance * std::max(1., std::fabs(slope));
  const bool kink = std::fabs((up - here) - (here - down)) > h * tolerance;  // leaky, maximum
  if (kink && std::fabs(slope - gradient) > tolerance) {
    const double left = (here - down) / h, right = (up - here) / h;
    ASSERT_TRUE(gradient >= std::min(left, right) - 3 * tolerance &&
                gradient <= std::max(left, right) + 3 * tolerance)
        << what << ": " << gradient << ", one-sided " << left << " and " << right;
    return;
  }
  ASSERT_NEAR(gradient, slope, tolerance) << what;
}

TEST_P(LayerTest, GradientsAreCentralDifferences) {
  if (!GetParam().gradient) GTEST_SKIP() << "not the gradient of its objective by design";
  Trial t(GetParam(), Mode::training);
  t.forward();
  t.backward(false, NAN);
  const auto parameters = t.layer->parameters();
  std::vector<std::vector<float>> of_inputs, of_parameters;
  for (const Tensor& g : t.in_gradient) of_inputs.push_back(g.to_host({}));
  for (const Parameter* p : parameters) of_parameters.push_back(to_host(Stream{}, p->gradient));
  for (std::size_t i = 0; i < t.in.size(); ++i)
    for (std::int64_t k = 0; k < t.in[i].size(); ++k)
      expect_slope(t, t.in[i].data()[k], of_inputs[i][to_size(k)],
                   cat("input ", i, ", element ", k));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(parameters[i]->trained(), !of_parameters[i].empty());
    for (std::size_t k = 0; k < of_parameters[i].size(); ++k)
      expect_slope(t, parameters[i]->value.data()[k], of_parameters[i][k],
                   cat("parameter ", i, ", element ", k));
  }
}

// Rolling statistics replaced by those of the batch, so that inference must equal training.
std::vector<Host> with_batch_statistics(Trial& t) {
  const auto before = t.host_parameters();
  t.forward();
  auto after = t.host_parameters();
  const auto parameters = t.layer->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!parameters[i]->trained())
      for (std::size_t k = 0; k < after[i].v.size(); ++k)
        after[i].v[k] = (after[i].v[k] - .9f * before[i].v[k]) / .1f;
  return after;
}

TEST_P(LayerTest, InferenceEqualsTraining) {
  if (GetParam().random) GTEST_SKIP() << "it does something else when training";
  Trial training(GetParam(), Mode::training), inference(GetParam(), Mode::inference);
  inference.set_parameters(with_batch_statistics(training));
  inference.forward();
  inference.expect_guards();
  const auto expected = training.out.to_host({});
  expect_close(inference.out.to_host({}), wide(expected), 5e-5, "inference");
  EXPECT_EQ(inference.needs.saved, 0);
  for (const Parameter* p : inference.layer->parameters()) EXPECT_FALSE(p->gradient);
}

TEST_P(LayerTest, SharingTheInputsMemoryAtInferenceChangesNothing) {
  Trial t(GetParam(), Mode::inference);
  if (!t.needs.in_place) GTEST_SKIP() << "does not ask for it";
  t.forward();
  std::vector<TensorView> views;
  for (const Tensor& in : t.in) views.push_back(in.view());
  t.layer->forward(t.pass(), views, t.in[0].view().reshaped(t.needs.output));
  EXPECT_EQ(t.in[0].to_host({}), t.out.to_host({}));
}

INSTANTIATE_TEST_SUITE_P(Samples, LayerTest, testing::ValuesIn(layer_samples()), name_of_sample);

TEST(LayerTypes, EachHasASampleAndItsKeysAreReported) {
  for (const std::string& type : layer_types()) {
    EXPECT_TRUE(std::any_of(layer_samples().begin(), layer_samples().end(),
                            [&](const LayerSample& s) { return s.type == type; }))
        << type << " has no sample";
    const KeyDocs keys = layer_keys(type);
    for (const KeyDoc& key : keys.docs()) EXPECT_FALSE(key.help.empty()) << type << ' ' << key.key;
  }
}

std::string error_of_layer(const std::string& text, std::int64_t index,
                           std::vector<Shape> in = {}) {
  try {
    const LayerPtr layer = layer_of(text, index);
    layer->reshape(in, ops(DeviceType::cpu), {.mode = Mode::training});
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(LayerErrors, NameFileLineAndWhatWasExpected) {
  EXPECT_EQ(error_of_layer("[convolutionel]\n", 0),
            "net.cfg:1: unknown section [convolutionel]; did you mean [convolutional]?");
  EXPECT_EQ(
      error_of_layer("[route]\nlayers=-1,7\n", 5),
      "net.cfg:2: [route] layers: there is no layer 7 before layer 5; expected 0 to 4 or -5 to "
      "-1");
  EXPECT_EQ(
      error_of_layer("[shortcut]\nfrom=-6\n", 5),
      "net.cfg:2: [shortcut] from: there is no layer -6 before layer 5; expected 0 to 4 or -5 "
      "to -1");
  EXPECT_EQ(error_of_layer("[route]\n", 5), "net.cfg:1: [route] layers: expected a list of layers");
  EXPECT_EQ(error_of_layer("[convolutional]\nfilter=3\n", 5),
            "net.cfg:2: [convolutional] filter: unknown key; did you mean 'filters'?");
  EXPECT_EQ(error_of_layer("[convolutional]\nfilters=5\ngroups=2\n", 5),
            "net.cfg:3: [convolutional] groups: filters=5 is not a multiple of 2");
  EXPECT_EQ(error_of_layer("[convolutional]\nfilters=4\ngroups=2\n", 5, {{1, 4, 4, 3}}),
            "layer 5 [convolutional] (net.cfg:1): groups=2 does not divide its 3 input channels");
  EXPECT_EQ(error_of_layer("[convolutional]\nxnor=1\n", 5),
            "net.cfg:2: [convolutional] xnor: not supported: binary weights; without the key it is "
            "an ordinary network, to be trained anew");
  EXPECT_EQ(
      error_of_layer("[lstm]\noutput=3\n", 5),
      "net.cfg:1: [lstm]: recurrent networks are not supported; use layers that see one image "
      "each");
  EXPECT_EQ(error_of_layer("[convolutional]\nxnor=0\n", 5, {{1, 4, 4, 3}}), "");
  EXPECT_EQ(
      error_of_layer("[convolutional]\nactivation=leeky\n", 5),
      fmt::format("net.cfg:2: [convolutional] activation: 'leeky' is none of {}; did you mean "
                  "'leaky'?",
                  fmt::join(names_of<ConvolutionalActivation>(), ",")));
  EXPECT_EQ(
      error_of_layer("[route]\nlayers=-1,-2\n", 5, {{1, 4, 4, 3}, {1, 2, 2, 3}}),
      "layer 5 [route] (net.cfg:1): layer 3 is 2x2 and layer 4 is 4x4; only equal sizes can be "
      "concatenated");
  EXPECT_EQ(error_of_layer("[reorg]\nstride=2\n", 5, {{1, 5, 4, 4}}),
            "layer 5 [reorg] (net.cfg:1): stride=2 does not divide its input of 4x5");
  EXPECT_EQ(
      error_of_layer("[softmax]\ntree=9k.tree\n", 5),
      "net.cfg:2: [softmax] tree: there is no file 9k.tree, neither from here nor from the folder "
      "of the cfg or the one above it");
  EXPECT_EQ(error_of_layer("[cost]\ntype=wgan\n", 5),
            "net.cfg:2: [cost] type: 'wgan' is none of sse,masked,smooth");
  EXPECT_EQ(error_of_layer("[maxpool]\nsize=2\npadding=4\n", 5),
            "net.cfg:3: [maxpool] padding: padding=4 leaves windows of size=2 without any input");
  EXPECT_THROW(layer_keys("convolutionel"), Error);
}

TEST(Layers, ThatAreHeadsAreNamedInMessages) {
  const std::vector<std::string> heads = head_types();
  ASSERT_GE(heads.size(), 2u);
  std::string text;
  for (const std::string& type : layer_types()) {
    EXPECT_EQ(is_head_type(type), std::count(heads.begin(), heads.end(), type) == 1) << type;
    if (!is_head_type(type)) continue;
    text += cat(text.empty() ? "" : type == heads.back() ? " or " : ", ", '[', type, ']');
  }
  EXPECT_EQ(head_names("or"), text);
}

std::vector<bool> updates(const std::string& keys) {
  const LayerPtr layer = layer_of("[convolutional]\nfilters=2\n" + keys, 3);
  const Shape in{1, 3, 3, 2};
  layer->reshape({&in, 1}, ops(DeviceType::cpu), {.mode = Mode::training});
  std::vector<bool> all;
  for (const Parameter* p : layer->parameters()) all.push_back(p->update);
  return all;
}

TEST(Convolutional, KeysDecideWhatIsTrained) {  // bias, scale, mean, variance, weights
  using Flags = std::vector<bool>;
  EXPECT_EQ(updates("batch_normalize=1\n"), (Flags{true, true, false, false, true}));
  EXPECT_EQ(updates("batch_normalize=1\ntrain_only_bn=1\n"),
            (Flags{true, true, false, false, false}));
  EXPECT_EQ(updates("train_only_bn=1\n"), (Flags{false, false}));
  EXPECT_EQ(updates("batch_normalize=1\ndont_update=1\n"),
            (Flags{false, false, false, false, false}));
}

TEST(Convolutional, AFrozenLayerStillPassesTheGradientOn) {
  const LayerSample sample{.type = "convolutional",
                           .keys = "filters=3\nsize=3\npad=1\nbatch_normalize=1\n",
                           .in = {{2, 4, 4, 2}}};
  LayerSample frozen = sample;
  frozen.keys += "dont_update=1\n";
  Trial a(sample, Mode::training), b(frozen, Mode::training);
  for (Trial* t : {&a, &b}) t->forward(), t->backward(false, NAN);
  EXPECT_EQ(a.in_gradient[0].to_host({}), b.in_gradient[0].to_host({}));
  for (const Parameter* p : b.layer->parameters()) EXPECT_FALSE(p->gradient);
}

TEST(Convolutional, RollingStatisticsAreDarknets) {
  Trial t({.type = "convolutional",
           .keys = "filters=1\nsize=1\nbatch_normalize=1\n",
           .in = {{1, 1, 2, 1}}},
          Mode::training);
  t.set_parameters({{{}, {0}}, {{}, {1}}, {{}, {5}}, {{}, {2}}, {{}, {1}}});
  t.in[0].copy_from({}, std::vector<float>{1, 3});
  t.forward();
  const auto p = t.host_parameters();
  EXPECT_FLOAT_EQ(p[2].v[0], .9f * 5 + .1f * 2);  // the mean of 1 and 3
  EXPECT_FLOAT_EQ(p[3].v[0], .9f * 2 + .1f * 2);  // their variance over n - 1
}

TEST(Convolutional, FreshWeightsAreDarknetsUniformAndSeeded) {
  const LayerPtr layer = layer_of("[convolutional]\nfilters=64\nsize=3\ngroups=2\n", 3);
  const Shape in{1, 3, 3, 8};
  layer->reshape({&in, 1}, ops(DeviceType::cpu), {.mode = Mode::training});
  layer->initialise(1);
  const auto one = layer->parameters().back()->value.to_host({});
  layer->initialise(2);
  EXPECT_NE(one, layer->parameters().back()->value.to_host({}));
  layer->initialise(1);
  EXPECT_EQ(one, layer->parameters().back()->value.to_host({}));
  const float bound = std::sqrt(2.f / (3 * 3 * 4));
  EXPECT_NEAR(*std::max_element(one.begin(), one.end()), bound, .01 * bound);
  EXPECT_NEAR(*std::min_element(one.begin(), one.end()), -bound, .01 * bound);
}

TEST(Convolutional, ANewSizeKeepsTheParameters) {
  for (const Mode mode : {Mode::training, Mode::inference}) {
    const LayerSample small{.type = "convolutional",
                            .keys = "filters=3\nsize=3\npad=1\nbatch_normalize=1\n",
                            .in = {{1, 4, 4, 2}}};
    LayerSample large = small;
    large.in = {{2, 6, 5, 2}};
    Trial moved(small, mode), fresh(large, mode);
    moved.layer->reshape(large.in, ops(DeviceType::cpu), {.mode = mode});
    fresh.forward();
    const auto expected = fresh.out.to_host({});
    std::swap(moved.layer, fresh.layer);
    fresh.forward();
    EXPECT_EQ(fresh.out.to_host({}), expected);
  }
}

class Taker final : public Layer {  // stands in for a head that works on logits
 public:
  using Layer::Layer;
  Requirements reshape(std::span<const Shape>, Ops&, const PlanOptions&) override { return {}; }
  void forward(const Pass&, std::span<const TensorView>, TensorView) override {}
  void backward(const Pass&, const BackwardArguments&) override {}
  std::string to_onnx(OnnxBuilder&, std::span<const OnnxValue>) const override { return {}; }
  bool accept_activation(const Activation& a) override {
    return std::holds_alternative<activations::Logistic>(a);
  }
};

TEST(Convolutional, HandsItsLogisticToALayerThatTakesIt) {
  Section section("taker", {"net.cfg", 9});
  Taker taker(section, {.index = 10});
  const LayerSample logistic{
      .type = "convolutional", .keys = "filters=2\nactivation=logistic\n", .in = {{1, 2, 2, 2}}};
  LayerSample linear = logistic;
  linear.keys = "filters=2\nactivation=linear\n";
  for (const Mode mode : {Mode::training, Mode::inference}) {
    Trial a(logistic, mode), b(linear, mode);
    EXPECT_FALSE(a.layer->absorb(taker));  // the head still runs
    a.layer->reshape(logistic.in, ops(DeviceType::cpu), {.mode = mode});
    a.forward(), b.forward();
    EXPECT_EQ(a.out.to_host({}), b.out.to_host({}));
  }
}

TEST(Crop, TakesTheMiddleAtInference) {
  Trial t({.type = "crop", .keys = "crop_height=2\ncrop_width=2\nflip=1\n", .in = {{2, 5, 4, 3}}},
          Mode::inference);
  t.forward();
  const Host in = t.host_inputs()[0];
  const std::vector<float> out = t.out.to_host({});
  std::size_t i = 0;
  for (int n = 0; n < 2; ++n)
    for (int y = 0; y < 2; ++y)
      for (int x = 0; x < 2; ++x)
        for (int c = 0; c < 3; ++c, ++i)
          EXPECT_FLOAT_EQ(out[i], static_cast<float>(2 * in.at(n, y + 1, x + 1, c) - 1));
}

TEST(Crop, TakesAllWhereBoxesAreDetected) {
  const auto error = [](const std::string& crop, const std::string& end) {
    const std::string cfg = cat("[net]\nwidth=32\nheight=32\n[crop]\n", crop,
                                "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n", end);
    std::string text;
    for (const Mode mode : {Mode::training, Mode::inference}) try {
        std::istringstream in(cfg);
        const Network net(parse_cfg(in, "net.cfg"), {.mode = mode});
      } catch (const Error& e) {
        text += cat(e.what(), '\n');
      }
    return text;
  };
  const std::string yolo = "[yolo]\nanchors=8,8\nnum=1\nclasses=1\n";
  EXPECT_EQ(error("crop_height=32\ncrop_width=32\n", yolo), "");
  EXPECT_EQ(error("crop_height=24\ncrop_width=32\n", "[softmax]\n"), "");
  const std::string refused =
      "layer 0 [crop] (net.cfg:4): takes 32x24 of its input of 32x32, and boxes would be those of "
      "the part, not of the image; set width and height of [net] so that it takes all, or remove "
      "[crop]\n";
  EXPECT_EQ(error("crop_height=24\ncrop_width=32\n", yolo), refused + refused);
}

TEST(Crop, DrawsAPlaceForEachImageOfAStep) {
  Trial t({.type = "crop",
           .keys = "crop_height=2\ncrop_width=2\nflip=1\nnoadjust=1\n",
           .in = {{16, 6, 6, 1}},
           .random = true},
          Mode::training);
  std::vector<float> places(16 * 36);
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<float>(i % 36);
  t.in[0].copy_from({}, places);
  t.forward();
  const std::vector<float> out = t.out.to_host({});
  std::set<float> corners;
  int mirrored = 0;
  for (std::size_t n = 0; n < 16; ++n) {
    const float* const part = &out[4 * n];
    mirrored += part[1] < part[0];
    corners.insert(std::min(part[0], part[1]));
    EXPECT_EQ(std::fabs(part[1] - part[0]), 1);
    EXPECT_EQ(part[2] - part[0], 6);
  }
  EXPECT_GT(corners.size(), 5u);
  EXPECT_GT(mirrored, 2);
  EXPECT_LT(mirrored, 14);
  t.step.iteration++;
  t.forward();
  EXPECT_NE(out, t.out.to_host({}));
}

TEST(Shortcut, SaysThatWithoutWeightsThereIsNoNormalization) {
  const auto told = [](const std::string& keys) {
    testing::internal::CaptureStderr();
    layer_of("[shortcut]\nfrom=-2\n" + keys, 3);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(
      told("weights_normalization=relu\n")
          .find("net.cfg:3: [shortcut] weights_normalization: no effect: without weights_type "
                "there are no weights"),
      std::string::npos);
  EXPECT_EQ(told("weights_normalization=none\n"), "");
  EXPECT_EQ(told("weights_normalization=relu\nweights_type=per_layer\n"), "");
}

TEST(FastMath, EqualsTheLibraryWithinRounding) {
  for (float x = -59; x < 59; x += .0137f) {
    EXPECT_NEAR(math::fast_exp(x) / std::exp(static_cast<double>(x)), 1, 2e-7);
    EXPECT_NEAR(math::fast_tanh(x), std::tanh(static_cast<double>(x)), 2e-7);
    EXPECT_NEAR(math::fast_sigmoid(x), 1 / (1 + std::exp(-static_cast<double>(x))), 2e-7);
  }
  for (const float x : {1e-6f, -1e-4f, .01f, -.3f})
    EXPECT_NEAR(math::fast_tanh(x) / std::tanh(static_cast<double>(x)), 1, 3e-7);
  EXPECT_TRUE(std::isnan(math::fast_exp(NAN)));
  EXPECT_GT(math::fast_exp(INFINITY), 1e26f);
  EXPECT_LT(math::fast_exp(-INFINITY), 1e-26f);
}

}  // namespace
}  // namespace darknet::testing_layers
