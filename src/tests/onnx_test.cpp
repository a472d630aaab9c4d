// Every sample of every layer as a graph of ONNX, which OpenCV's dnn module runs. Whole networks
// are in onnx_network_test.cpp.
#if defined(DARKNET_OPENCV_DNN) && defined(DARKNET_ONNX)
#include <gtest/gtest.h>

#include "core/index.h"
#include "detect/head.h"
#include "nn/head_types.h"
#include "nn/onnx_builder.h"
#include "tests/layer_harness.h"
#include "tests/onnx_harness.h"

namespace darknet::testing_layers {
namespace {

class OnnxLayer : public testing::TestWithParam<LayerSample> {};

// The graph of the layer alone; its inputs are called in0, in1, ...
OnnxModel model_of(const Trial& t, bool fold) {
  OnnxBuilder graph(fold);
  std::vector<OnnxValue> in;
  for (std::size_t i = 0; i < t.in.size(); ++i) {
    const Shape& s = t.in[i].shape();
    in.push_back({graph.add_input({cat("in", i), OnnxType::f32, {s.n, s.c, s.h, s.w}}), s});
  }
  graph.begin("layer");
  const std::string out = t.layer->to_onnx(graph, in);
  graph.begin("out");
  graph.model().outputs.push_back({graph.add("Identity", {out}), OnnxType::f32, {}});
  return graph.model();
}

// Where an anchor does not count (classfix=-1), nothing is known of its classes.
void clear_hidden(std::vector<float>& rows, const std::vector<float>& expected,
                  std::int64_t entries) {
  for (std::size_t row = 0; row < rows.size(); row += to_size(entries))
    if (expected[row + 4] == 0)
      for (std::size_t k = row + 5; k < row + to_size(entries); ++k) rows[k] = 0;
}

void expect_alike(LayerSample sample, double tolerance = 1e-4) {
  for (const bool fold : {true, false}) {
    // A constant of one image and a tensor of several: OpenCV 4.6 takes the first image for all.
    if (is_head_type(sample.type))
      for (Shape& s : sample.in) s.n = 1;
    Trial t(sample, Mode::inference);
    t.forward();
    std::map<std::string, Host> in;
    for (std::size_t i = 0; i < t.in.size(); ++i) in[cat("in", i)] = t.host_inputs()[i];
    std::vector<float> theirs = test::run_by_opencv(model_of(t, fold), in, "out");
    std::vector<float> ours;
    if (const Head* const head = t.layer->head()) {
      ours =
          test::rows_of(*head, t.out.view().as<>(), {.h = sample.net_size, .w = sample.net_size});
      ASSERT_EQ(theirs.size(), ours.size());
      clear_hidden(theirs, ours, 5 + head->settings().classes);
    } else {
      ours = test::nchw_of(t.out.shape(), t.out.to_host({}));
    }
    test::expect_near(ours, theirs, tolerance);
  }
}

// OpenCV reads LRN of odd sizes only, so that the export refuses others; there is no softmax of
// groups of different sizes.
bool is_refused(const LayerSample& s) {
  if (s.keys.find("tree=") != std::string::npos) return true;
  return s.type == "normalization" && s.keys.find("size=4") != std::string::npos;
}

// OpenCV 4.6 runs no graph of a constant alone, and adds no tensor of one pixel to a larger one.
bool is_not_run(const LayerSample& s) {
  return s.type.starts_with("implicit") || s.type == "shift_channels";
}

TEST_P(OnnxLayer, IsComputedAlikeByOpenCV) {
  if (is_not_run(GetParam())) GTEST_SKIP() << "OpenCV runs no such graph; the tests below do";
  if (is_refused(GetParam())) {
    EXPECT_THROW(expect_alike(GetParam()), Error);
  } else {
    expect_alike(GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(All, OnnxLayer, testing::ValuesIn(layer_samples()), name_of_sample);

TEST(OnnxImplicit, IsAConstantOfOneImage) {
  const Shape shape{2, 3, 4, 5};
  for (const char* values : {"implicit_mul", "implicit"}) {
    Trial implicit({.type = values, .keys = "filters=5\n", .in = {shape}}, Mode::inference);
    Trial t({.type = "control_channels", .keys = "from=2\n", .in = {{2, 1, 1, 5}, shape}},
            Mode::inference);
    implicit.forward();
    t.in[0].copy_from({}, implicit.out.to_host({}));
    t.forward();
    OnnxBuilder graph;
    const OnnxValue x{graph.add_input({"x", OnnxType::f32, {2, 5, 3, 4}}), shape};
    graph.begin("values");
    const OnnxValue constant{implicit.layer->to_onnx(graph, {}), {1, 1, 1, 5}};
    graph.begin("layer");
    const std::string out = t.layer->to_onnx(graph, std::vector{constant, x});
    graph.model().outputs.push_back({out, OnnxType::f32, {}});
    const auto theirs = test::run_by_opencv(graph.model(), {{"x", t.host_inputs()[1]}}, out);
    test::expect_near(test::nchw_of(t.out.shape(), t.out.to_host({})), theirs, 1e-5);
  }
}

TEST(OnnxShiftChannels, IsASum) {
  const LayerPtr layer = layer_of("[shift_channels]\nfrom=2\n", 5, Mode::inference);
  OnnxBuilder graph;
  graph.begin("layer");
  layer->to_onnx(graph, std::vector<OnnxValue>{{"a", {1, 1, 1, 5}}, {"x", {1, 3, 4, 5}}});
  ASSERT_EQ(graph.model().nodes.size(), 1u);
  EXPECT_EQ(graph.model().nodes[0].op, "Add");
  EXPECT_EQ(graph.model().nodes[0].inputs, (std::vector<std::string>{"x", "a"}));
}

const Shape kHead{1, 3, 4, 16};

TEST(OnnxHead, CalibratesTheObjectness) {
  for (const char* loss :
       {"focal", "ce", "mse", "balanced_ce", "focal_star", "poly1", "quality_focal"})
    for (const char* type : {"yolo", "region"})
      expect_alike(
          {.type = type,
           .keys =
               cat("classes=3\nnum=2\nanchors=6,8,12,10\nobj_calibrate=1\nobj_loss=", loss, '\n'),
           .in = {kHead}},
          2e-5);
}

TEST(OnnxHead, HidesAnchorsOfLittleObjectness) {
  for (const char* scores : {"softmax=1\n", "softmax=0\n", "cls_loss=ce\n"})
    expect_alike({.type = "region",
                  .keys = cat("classes=3\nnum=2\nanchors=1,2,2,1\nclassfix=-1\n", scores),
                  .in = {kHead}});
}

TEST(OnnxShortcut, FitsSizesThatAreNoMultiples) {
  expect_alike({.type = "shortcut", .keys = "from=2\n", .in = {{1, 4, 4, 3}, {1, 5, 5, 2}}});
  expect_alike({.type = "shortcut", .keys = "from=2\n", .in = {{1, 5, 5, 4}, {1, 2, 2, 3}}});
}

TEST(OnnxBuilder, GivesEveryNodeAndConstantANameOfItsOwn) {
  OnnxBuilder graph;
  graph.begin("0_shortcut");
  const std::string a = graph.add("Add", {"x", "y"}), b = graph.add("Add", {a, "z"});
  const std::string c = graph.add("Add", {b, "z"}), k = graph.integers("shape", {1});
  EXPECT_EQ(a, "0_shortcut");
  EXPECT_EQ(b, "0_shortcut/Add");
  EXPECT_EQ(c, "0_shortcut/Add_2");
  EXPECT_EQ(k, "0_shortcut.shape");
  EXPECT_EQ(graph.integers("shape", {2}), "0_shortcut.shape_2");
}

}  // namespace
}  // namespace darknet::testing_layers
#endif
