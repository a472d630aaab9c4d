// `darknet import`: what was exported comes back, and models of another structure are refused.
#if defined(DARKNET_ONNX)
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/rng.h"
#include "eval/predict.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "onnx/files.h"
#include "onnx/import.h"
#include "tests/cli_harness.h"

namespace darknet::test {
namespace {

const std::string kDetector =
    "[net]\nwidth=32\nheight=32\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\ngroups=2\nsize=3\npad=1\nactivation=mish\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nanchors=4,6, 9,7\nclasses=2\nnum=2\nobj_loss=focal\nobj_calibrate=1\n";

const std::string kDense =
    "[net]\nwidth=6\nheight=4\nchannels=3\n"
    "[batchnorm]\n[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=linear\n[batchnorm]\n"
    "[connected]\noutput=5\nbatch_normalize=1\nactivation=leaky\n"
    "[connected]\noutput=3\nactivation=linear\n";

class OnnxImport : public testing::Test {
 protected:
  // x.cfg and x.weights with random values; the values of its last layer for one image.
  std::vector<float> make(const std::string& cfg) const {
    work_.put("x.cfg", cfg);
    Network net(read_cfg(work_.path("x.cfg")), {});
    Rng rng(5);
    for (Parameter* p : net.parameters()) {
      const bool positive = p->role == Role::scale || p->role == Role::rolling_variance;
      std::vector<float> values(to_size(p->value.size()));
      for (float& v : values) v = positive ? rng.uniform(.5f, 1.5f) : rng.uniform(-.6f, .6f);
      p->value.copy_from(net.stream(), values);
    }
    save_weights(work_.path("x.weights"), net, 0);
    return outputs("x.cfg", "x.weights");
  }

  std::vector<float> outputs(const char* cfg, const char* weights) const {
    Network net(read_cfg(work_.path(cfg)), {});
    load_weights(work_.path(weights), net);
    net.parameters_changed();
    Rng rng(9);
    std::vector<float> image(to_size(net.input_shape().size()));
    for (float& v : image) v = rng.uniform(0, 1);
    forward_images(net, image);
    return to_host(net.stream(), net.output(net.size() - 1));
  }

  void run(const std::vector<std::string>& command) const {
    const CommandResult ran = work_.darknet(command);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
  }
  void export_with(std::vector<std::string> more) const {
    more.insert(more.begin(), {"export", "x.cfg", "x.weights", "x.onnx"});
    run(more);
  }
  CommandResult import_as(const std::string& cfg) const {
    work_.put("y.cfg", cfg);
    return work_.darknet({"import", "x.onnx", "y.weights", "-cfg", "y.cfg"});
  }
  void expect_imported(const std::string& cfg, const std::vector<float>& expected,
                       float tolerance) const {
    const CommandResult ran = import_as(cfg);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    const std::vector<float> found = outputs("y.cfg", "y.weights");
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], tolerance * std::max(1.f, std::fabs(expected[i]))) << i;
  }

  Workspace work_;
};

TEST_F(OnnxImport, WhatWasExportedComesBack) {
  for (const std::string& cfg : {kDetector, kDense}) {
    const std::vector<float> expected = make(cfg);
    export_with({"-fold", "0"});
    expect_imported(cfg, expected, 0);
    EXPECT_EQ(work_.get("y.weights"), work_.get("x.weights"));
    export_with({});
    expect_imported(cfg, expected, 1e-5f);
    export_with({"-half"});
    expect_imported(cfg, expected, 2e-2f);
  }
}

TEST_F(OnnxImport, TheOutputsOfAModelDoNotMatter) {
  const std::vector<float> expected = make(kDetector);
  for (const char* decode : {"raw", "boxes", "nms"}) {
    export_with({"-decode", decode, "-batch", "dynamic"});
    expect_imported(kDetector, expected, 1e-5f);
  }
}

TEST_F(OnnxImport, DetectionsAreTheSame) {
  make(kDetector);
  work_.put("x.png", Image(32, 32, 3));
  export_with({});
  ASSERT_EQ(import_as(kDetector).exit_code, 0);
  const auto detect = [&](const char* weights) {
    run({"detect", "x.cfg", weights, "x.png", "-nogpu", "-thresh", ".05", "-dont_show", "-out",
         "o.json"});
    return work_.get("o.json");
  };
  const std::string before = detect("x.weights");
  EXPECT_NE(before.find("confidence"), std::string::npos) << before;
  EXPECT_EQ(before, detect("y.weights"));
}

TEST_F(OnnxImport, NormalisationOfTheModelAloneBecomesAPartOfTheWeights) {
  const std::vector<float> expected = make(kDetector);
  export_with({"-fold", "0"});
  std::string plain = kDetector;
  for (const char* stride :
       {"batch_normalize=1\nfilters=4\nsize", "batch_normalize=1\nfilters=4\ngr"})
    plain = replaced(plain, stride, stride + sizeof("batch_normalize=1"));
  expect_imported(plain, expected, 1e-5f);
}

TEST_F(OnnxImport, OtherStructuresAreRefused) {
  make(kDetector);
  export_with({});
  const auto expect = [&](const std::string& from, const std::string& to, const std::string& said) {
    expect_refused(import_as(replaced(kDetector, from, to)), said);
    EXPECT_FALSE(work_.has("y.weights"));
  };
  expect("filters=4\nsize=3\nstride", "filters=6\nsize=3\nstride",
         "x.onnx: 0_convolutional (Conv) has weights of 4x3x3x3, layer 0 [convolutional] (y.cfg:5) "
         "has 6x3x3x3");
  expect(
      "stride=2\n", "stride=1\n",
      "x.onnx: 0_convolutional (Conv) has strides 2x2, layer 0 [convolutional] (y.cfg:5) has 1x1");
  expect("groups=2\nsize=3\npad=1", "groups=2\nsize=3\npad=0",
         "1_convolutional (Conv) has pads 1x1x1x1");
  expect("[convolutional]\nfilters=14\n",
         "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n[convolutional]\nfilters=14\n",
         "layer 3 [convolutional] (y.cfg:23)");
  expect(
      "[convolutional]\nbatch_normalize=1\nfilters=4\ngroups=2\nsize=3\npad=1\nactivation=mish\n",
      "", "has weights of 4x2x3x3, layer 1 [convolutional] (y.cfg:12) has 14x4x1x1");
  expect("[yolo]\nanchors=4,6, 9,7\nclasses=2\nnum=2\nobj_loss=focal\nobj_calibrate=1\n",
         "[batchnorm]\n", "layer 3 [batchnorm] (y.cfg:23): the model has no node for it, only 3");
}

TEST_F(OnnxImport, MoreNodesThanLayersAreRefused) {
  make(kDense);
  export_with({});
  expect_refused(import_as(replaced(kDense, "[connected]\noutput=3\nactivation=linear\n", "")),
                 "x.onnx: 4_connected/Gemm (Gemm): y.cfg:1 has no layer for it");
}

TEST_F(OnnxImport, OtherFilesAreRefused) {
  make(kDetector);
  work_.put("x.onnx", std::string("no model"));
  expect_refused(import_as(kDetector), "x.onnx: this is not an ONNX model");
  work_.put("x.onnx", std::string());
  expect_refused(import_as(kDetector), "x.onnx: this is not an ONNX model");
}

// A model as other programs write them: weights of a Gemm not transposed, no bias, another epsilon.
TEST_F(OnnxImport, OtherWaysToWriteTheSameAreRead) {
  make(kDense);
  Network net(read_cfg(work_.path("x.cfg")), {});
  const auto constant = [](const char* name, const std::vector<std::int64_t>& dims, float first) {
    OnnxTensor t{.name = name, .dims = dims};
    std::int64_t count = 1;
    for (const std::int64_t d : dims) count *= d;
    for (std::int64_t i = 0; i < count; ++i) t.floats.push_back(first + .25f * float(i));
    return t;
  };
  OnnxModel model;
  model.constants = {constant("three", {3}, 1), constant("w", {4, 3, 3, 3}, 0),
                     constant("four", {4}, 1),  constant("m", {96, 5}, 2),
                     constant("five", {5}, 1),  constant("l", {3, 5}, 0)};
  const auto norm = [](const char* x, const char* y, const std::string& c) {
    return OnnxNode{"BatchNormalization", y, {x, c, c, c, c}, {y}, {{"epsilon", 1e-3f}}};
  };
  model.nodes = {
      norm("images", "a", "three"),
      {"Conv", "b", {"a", "w"}, {"b"}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}},
      norm("b", "c", "four"),
      {"Gemm", "d", {"c", "m"}, {"d"}, {}},
      norm("d", "e", "five"),
      {"Gemm", "f", {"e", "l"}, {"f"}, {{"transB", std::int64_t{1}}}}};
  EXPECT_EQ(import_parameters(model, net), 5);
  const auto values = [&](std::int64_t layer, Role role) {
    for (const Parameter* p : net.layer(layer).parameters())
      if (p->role == role) return in_file_order(p->value.shape(), p->value.to_host(net.stream()));
    return std::vector<float>{};
  };
  EXPECT_EQ(values(0, Role::bias), (std::vector<float>{1, 1.25f, 1.5f}));
  EXPECT_NEAR(values(0, Role::scale)[0], std::sqrt((1 + 1e-5) / (1 + 1e-3)), 1e-6);
  EXPECT_EQ(values(1, Role::weights), model.constants[1].floats);
  EXPECT_EQ(values(1, Role::bias), std::vector<float>(4, 0.f));
  EXPECT_EQ(values(3, Role::weights)[1], model.constants[3].floats[5]);  // output 0, input 1
  EXPECT_EQ(values(4, Role::weights), model.constants[5].floats);
  model.constants[1].floats[7] = NAN;
  EXPECT_THROW(import_parameters(model, net), Error);
}

}  // namespace
}  // namespace darknet::test
#endif
