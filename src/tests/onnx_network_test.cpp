// `darknet export` on small networks: what OpenCV's dnn module makes of the files, what else is in
// them, and what is refused.
#if defined(DARKNET_OPENCV_DNN) && defined(DARKNET_ONNX)
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cfg/parse.h"
#include "core/json.h"
#include "core/rng.h"
#include "eval/predict.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "onnx/export.h"
#include "tests/cli_harness.h"
#include "tests/onnx_harness.h"

namespace darknet::test {
namespace {
using testing_layers::Host;

// Two heads, one of which hands the logistic below it to itself, and most ways of joining layers.
const std::string kTwoHeads =
    "[net]\nwidth=64\nheight=32\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=mish\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\ngroups=2\nsize=3\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-2\nactivation=swish\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=1,2\nanchors=4,6, 9,7, 20,18\nclasses=2\nnum=3\nscale_x_y=1.1\nobj_loss=focal\n"
    "[route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,1\n"
    "[convolutional]\nbatch_normalize=1\nfilters=7\nsize=1\nactivation=logistic\n"
    "[yolo]\nmask=0\nanchors=4,6, 9,7, 20,18\nclasses=2\nnum=3\nnew_coords=1\nscale_x_y=2\n";

const std::string kClassifier =
    "[net]\nwidth=8\nheight=8\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=relu\n"
    "[dropout]\n[avgpool]\n[connected]\noutput=3\nbatch_normalize=1\nactivation=linear\n[softmax]"
    "\n";

class Onnx : public testing::Test {
 protected:
  // A network for inference with values of every parameter drawn at random, its weights in
  // x.weights and its cfg in x.cfg.
  Network network(const std::string& cfg) {
    work_.put("x.cfg", cfg);
    Network net(read_cfg(work_.path("x.cfg")), {.keep_outputs = true});
    Rng rng(7);
    for (Parameter* p : net.parameters()) {
      const bool positive = p->role == Role::scale || p->role == Role::rolling_variance;
      std::vector<float> values(to_size(p->value.size()));
      for (float& v : values) v = positive ? rng.uniform(.5f, 1.5f) : rng.uniform(-.6f, .6f);
      p->value.copy_from(net.stream(), values);
    }
    net.parameters_changed();
    save_weights(work_.path("x.weights"), net, 0);
    const Shape s = net.input_shape();
    image_ = {s, {}};
    for (std::int64_t i = 0; i < s.size(); ++i) image_.v.push_back(rng.uniform(0, 1));
    forward_images(net, image_.v);
    return net;
  }

  OnnxModel exported(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"export", "x.cfg", "x.weights", "x.onnx"});
    const CommandResult ran = work_.darknet(more);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return read_onnx(work_.path("x.onnx"));
  }

  std::vector<float> run(const OnnxModel& model, const std::string& output) const {
    return run_by_opencv(model, {{"images", image_}}, output);
  }

  static std::vector<float> rows_of_heads(const Network& net) {
    std::vector<float> rows;
    for (const HeadAt& at : net.heads()) {
      const auto of_head = rows_of(*at.head, net.output(at.layer).as<>(), net.input_shape());
      rows.insert(rows.end(), of_head.begin(), of_head.end());
    }
    return rows;
  }

  Workspace work_;
  Host image_;
};

std::string metadata_of(const OnnxModel& model, const std::string& key) {
  for (const auto& [name, value] : model.metadata)
    if (name == key) return value;
  return "";
}

std::int64_t count_of(const OnnxModel& model, const std::string& op) {
  return std::ranges::count(model.nodes, op, &OnnxNode::op);
}

TEST_F(Onnx, BoxesOfAllHeadsAreThoseOfDetect) {
  const Network net = network(kTwoHeads);
  const std::vector<float> rows = rows_of_heads(net);
  for (const char* fold : {"1", "0"})
    expect_near(rows, run(exported({"-fold", fold}), "boxes"), 1e-4);
  // Columns: each box with the probabilities that detect prints.
  const std::vector<float> columns = run(exported({"-layout", "columns"}), "boxes");
  const std::size_t entries = 7, boxes = rows.size() / entries;
  std::vector<float> expected;
  for (const std::size_t entry : {0, 1, 2, 3, 5, 6})
    for (std::size_t b = 0; b < boxes; ++b) {
      const float* const row = &rows[b * entries];
      expected.push_back(entry < 4 ? row[entry] : row[4] * row[entry]);
    }
  expect_near(expected, columns, 1e-4);
}

TEST_F(Onnx, RawOutputsAreTheLogitsThatHeadsRead) {
  const Network net = network(kTwoHeads);
  const OnnxModel model = exported({"-decode", "raw"});
  ASSERT_EQ(model.outputs.size(), 2u);
  for (const HeadAt& at : net.heads()) {
    const TensorView logits = net.output(at.layer - 1);
    expect_near(nchw_of(logits.shape, to_host(net.stream(), logits)),
                run(model, cat(at.layer, "_yolo")), 1e-4);
  }
}

TEST_F(Onnx, WithoutAHeadTheLastLayerIsTheOutput) {
  const Network net = network(kClassifier);
  for (const char* fold : {"1", "0"}) {
    const OnnxModel model = exported({"-fold", fold});
    ASSERT_EQ(model.outputs.size(), 1u);
    expect_near(to_host(net.stream(), net.output(net.size() - 1)),
                run(model, model.outputs[0].name), 1e-4);
  }
  expect_refused(work_.darknet({"export", "x.cfg", "x.weights", "y.onnx", "-decode", "nms"}),
                 "x.cfg:1: -decode nms needs a detection head");
}

TEST_F(Onnx, AnInputOfFourChannelsIsComputedAlike) {
  const Network net = network(replaced(kTwoHeads, "channels=3", "channels=4\ninput_max=4095"));
  const OnnxModel model = exported();
  expect_near(rows_of_heads(net), run(model, "boxes"), 1e-4);
  EXPECT_EQ(metadata_of(model, "input"), "4 channels, NCHW, 0 to 1");
  EXPECT_EQ(metadata_of(model, "input_max"), "4095");
}

TEST_F(Onnx, FlagsOfAnotherDecodeAreRefused) {
  network(kTwoHeads);
  const auto refused = [&](const std::vector<std::string>& flags, const std::string& said) {
    std::vector<std::string> words{"export", "x.cfg", "x.weights", "y.onnx"};
    words.insert(words.end(), flags.begin(), flags.end());
    expect_refused(work_.darknet(words), said, 2);
  };
  refused({"-thresh", ".3"}, "-thresh is for -decode nms, not boxes");
  refused({"-decode", "raw", "-nms", ".3"}, "-nms is for -decode nms, not raw");
  refused({"-decode", "nms", "-layout", "rows"}, "-layout is for -decode boxes, not nms");
}

TEST_F(Onnx, BatchNormalisationIsFoldedOrKept) {
  network(kTwoHeads);
  const OnnxModel folded = exported(), kept = exported({"-fold", "0"});
  EXPECT_EQ(count_of(folded, "BatchNormalization"), 0);
  EXPECT_EQ(count_of(kept, "BatchNormalization"), 3);
  EXPECT_EQ(folded.nodes[0].name, "0_convolutional");
  EXPECT_EQ(kept.nodes[1].name, "0_convolutional/BatchNormalization");
}

TEST_F(Onnx, HalfPrecisionEndsBeforeTheHeads) {
  const Network net = network(kTwoHeads);
  OnnxModel model = exported({"-half"});
  for (OnnxTensor& t : model.constants) {
    if (t.type == OnnxType::i64 || t.name.ends_with(".scales")) continue;
    EXPECT_EQ(t.type == OnnxType::f16, t.name.find("yolo") == t.name.npos) << t.name;
    t.type = OnnxType::f32;  // the rounded values: OpenCV 4.6 reads no 16-bit constants
  }
  EXPECT_EQ(count_of(model, "Cast"), 3);  // the input, and of each head
  expect_near(rows_of_heads(net), run(model, "boxes"), 5e-3);
}

TEST_F(Onnx, TheBatchIsANumberOrOpen) {
  network(kTwoHeads);
  using Dim = std::variant<std::int64_t, std::string>;
  const OnnxModel two = exported({"-batch", "2"}), open = exported({"-batch", "dynamic"});
  EXPECT_EQ(two.inputs[0].dims, (std::vector<Dim>{2, 3, 32, 64}));
  EXPECT_EQ(two.outputs[0].dims, (std::vector<Dim>{2, 2 * 8 * 16 + 16 * 32, 7}));
  EXPECT_EQ(open.inputs[0].dims[0], Dim("batch"));
  EXPECT_EQ(open.outputs[0].dims[0], Dim("batch"));
  for (const char* batch : {"0", "-1", "many"})
    expect_refused(work_.darknet({"export", "x.cfg", "x.weights", "x.onnx", "-batch", batch}),
                   "expected a number of images or dynamic", 2);
}

TEST_F(Onnx, SuppressionTakesItsLimits) {
  network(kTwoHeads);
  const OnnxModel model = exported({"-decode", "nms", "-thresh", ".3", "-nms", ".6"});
  const auto at = std::ranges::find(model.nodes, "NonMaxSuppression", &OnnxNode::op);
  ASSERT_NE(at, model.nodes.end());
  const auto number = [&](std::size_t input) {
    const auto t = std::ranges::find(model.constants, at->inputs.at(input), &OnnxTensor::name);
    return t->type == OnnxType::i64 ? static_cast<float>(t->integers.at(0)) : t->floats.at(0);
  };
  EXPECT_EQ(number(2), 2 * 8 * 16 + 16 * 32);
  EXPECT_EQ(number(3), .6f);
  EXPECT_EQ(number(4), .3f);
  EXPECT_EQ(model.outputs[0].name, "detections");
  work_.put("x.cfg", replaced(kTwoHeads, "new_coords=1\n", "new_coords=1\nnms_kind=greedynms\n"));
  const CommandResult ran =
      work_.darknet({"export", "x.cfg", "x.weights", "x.onnx", "-decode", "nms"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "nms_kind=greedynms looks at the distance")) << ran.all();
}

TEST_F(Onnx, MetadataSaysWhatTheNumbersMean) {
  network(kTwoHeads);
  work_.put("x.names", "a \"b\"\nc\n");
  const OnnxModel model = exported({"-names", "x.names"});
  EXPECT_EQ(metadata_of(model, "names"), "{0: \"a \\\"b\\\"\", 1: \"c\"}");
  EXPECT_EQ(metadata_of(model, "cfg"), "x.cfg");
  EXPECT_EQ(metadata_of(model, "input"), "RGB, NCHW, 0 to 1");
  EXPECT_EQ(metadata_of(model, "layout"), "rows");
  EXPECT_EQ(parse_json(metadata_of(model, "anchors")).dump(),
            "{\"11_yolo\":[[4.0,6.0]],\"6_yolo\":[[9.0,7.0],[20.0,18.0]]}");
  EXPECT_EQ(parse_json(metadata_of(model, "objectness_loss")).dump(),
            "{\"11_yolo\":\"mse\",\"6_yolo\":\"focal\"}");
}

TEST_F(Onnx, NetworksThatItCannotExpressAreRefused) {
  network(kTwoHeads + "[route]\nlayers=-1\n");
  expect_refused(work_.darknet({"export", "x.cfg", "x.weights", "x.onnx"}),
                 "layer 12 [route] (x.cfg:58): reads layer 11 [yolo] (x.cfg:51), whose output is "
                 "boxes");
  expect_refused(work_.darknet({"export", "x.cfg", "x.weights", "x.cfg"}), "would replace");
}

}  // namespace
}  // namespace darknet::test
#endif
