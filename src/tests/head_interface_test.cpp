// Detection heads as others see them: decoding, the errors of their keys, the unit of their anchors
// and capacity for ground truths.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "detect/head.h"
#include "tests/head_harness.h"

namespace darknet::testing_layers {
namespace {

// One anchor of an otherwise silent output: row 2, column 1, second anchor.
std::vector<InputDetection> decoded(const std::string& type, const std::string& keys, bool logistic,
                                    std::vector<float> entries, float threshold = .25f) {
  LayerSample s = sample_of(type, keys, 14, {});
  s.takes_logistic = logistic;
  const Trial t(s, Mode::inference);
  std::vector<float> out(to_size(t.needs.output.size()));
  std::copy(entries.begin(), entries.end(), out.begin() + (2 * kCells + 1) * 14 + 7);
  std::vector<InputDetection> found;
  t.layer->head()->decode({out.data(), t.needs.output, 14}, {1, 32, 32, 3}, threshold, found);
  return found;
}

void expect_box(const Box& b, double x, double y, double w, double h) {
  EXPECT_NEAR(b.x, x, 1e-6);
  EXPECT_NEAR(b.y, y, 1e-6);
  EXPECT_NEAR(b.w, w, 1e-6);
  EXPECT_NEAR(b.h, h, 1e-6);
}

TEST(HeadDecoding, IsDarknets) {
  const std::vector<float> entries = {.6f, .2f, .1f, -.3f, .8f, .9f, .2f};
  auto found = decoded("yolo", kYolo, false, entries);
  ASSERT_EQ(found.size(), 1u);  // .8 * .2 is below the threshold
  EXPECT_EQ(found[0].class_id, 0);
  EXPECT_EQ(found[0].objectness, .8f);
  EXPECT_FLOAT_EQ(found[0].probability, .72f);
  expect_box(found[0].box, 1.6 / 4, 2.2 / 4, std::exp(.1) / 2, std::exp(-.3) / 2);
  found = decoded("region", kRegion, false, entries, .1f);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].class_id, 1);
  expect_box(found[1].box, 1.6 / 4, 2.2 / 4, std::exp(.1) / 2, std::exp(-.3) / 4);
  found = decoded("yolo", kYolo + "new_coords=1\n", true, {.6f, .2f, .7f, .4f, .8f, .9f, 0});
  ASSERT_EQ(found.size(), 1u);
  expect_box(found[0].box, 1.6 / 4, 2.2 / 4, 4 * .49 / 2, 4 * .16 / 2);
  EXPECT_TRUE(decoded("yolo", kYolo, false, entries, .8f).empty());
  EXPECT_TRUE(decoded("region", kRegion + "classfix=-1\n", false, {0, 0, 0, 0, .4f, 1, 1}).empty());
}

std::string error_of_cfg(const std::string& text) {
  try {
    layer_of(text, 0);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(HeadErrors, NameTheKeyAndTheWayOut) {
  const std::string yolo = "[yolo]\nnum=1\nanchors=8,8\n",
                    region = "[region]\nnum=1\nanchors=1,1\n";
  EXPECT_EQ(error_of_cfg(yolo + "obj_loss=focal\nobj_target=iou\n"),
            "net.cfg:4: [yolo] obj_loss: focal needs hard targets, and here the target is an IoU; "
            "use obj_target=one, or obj_loss=quality_focal");
  EXPECT_EQ(error_of_cfg(yolo + "obj_loss=focal\nobjectness_smooth=1\nobj_target=one\n"), "");
  EXPECT_EQ(
      error_of_cfg(region + "obj_loss=focal\nrescore=1\n").find("net.cfg:4: [region] obj_loss"), 0);
  EXPECT_EQ(error_of_cfg(region + "obj_loss=focal\nrescore=1\nobj_target=one\n"), "");
  EXPECT_EQ(error_of_cfg(region + "obj_norm=positives\n").find("net.cfg:4: [region] obj_norm"), 0);
  EXPECT_EQ(error_of_cfg(yolo + "truth_thresh=.9\nobj_norm=positives\n")
                .find("net.cfg:4: [yolo] truth_thresh"),
            0);
  EXPECT_EQ(error_of_cfg("[yolo]\nnum=2\nanchors=8,8\n"),
            "net.cfg:3: [yolo] anchors: num=2 anchors need 4 numbers, there are 2");
  EXPECT_EQ(error_of_cfg(yolo + "mask=1\n"),
            "net.cfg:4: [yolo] mask: there is no anchor 1 among 1, counted from 0");
  std::string many = "[yolo]\nnum=1\nmask=5\nanchors=1,1";
  for (int i = 1; i < 65; ++i) many += ",2,2";
  EXPECT_EQ(
      error_of_cfg(many + "\n"),
      "net.cfg:4: [yolo] anchors: 65 anchors are given for mask=5, at most 64 have room; leave "
      "out those that no mask names");
  EXPECT_EQ(error_of_cfg(many.substr(0, many.size() - 4) + "\n"), "");
  EXPECT_EQ(error_of_cfg(yolo + "cls_loss=focal\nlabel_smooth_eps=.1\n"),
            "net.cfg:4: [yolo] cls_loss: focal needs hard targets, and label_smooth_eps softens "
            "them; use quality_focal");
  EXPECT_NE(
      error_of_cfg(yolo + "cls_loss=ohem\n").find("net.cfg:4: [yolo] cls_loss: 'ohem' is none of"),
      std::string::npos);
  EXPECT_EQ(error_of_cfg(region + "softmax=1\ncls_loss=ce\n"),
            "net.cfg:5: [region] cls_loss: ce is a loss per class; it needs softmax=0");
}

TEST(Heads, ReportTheUnitOfTheirAnchors) {
  for (const auto& [type, keys, side] :
       {std::tuple{"yolo", kYolo, 1.f}, std::tuple{"region", kRegion, 8.f}}) {
    const Trial t(sample_of(type, keys, 14, {kWide}), Mode::training);
    const Head& head = *t.layer->head();
    const AnchorShape unit = head.anchor_unit({1, 32, 32, 3});
    EXPECT_EQ(unit.width, side) << type;
    EXPECT_EQ(unit.height, side) << type;
    const AnchorShape wide = head.anchor_shapes({1, 32, 32, 3})[type[0] == 'y' ? 0 : 1];
    EXPECT_EQ(wide.width, 16) << type;  // 16,8 pixels of [yolo], 2,1 cells of [region]
    EXPECT_EQ(wide.height, 8) << type;
  }
}

// Another head of the network may take more truths, and this one is given as many.
TEST(Heads, HaveRoomForTheTruthsOfTheWholeNetwork) {
  for (const std::string& text : {"[yolo]\nmax=2\n" + kYolo, "[region]\nmax=2\n" + kRegion}) {
    const LayerPtr layer = layer_of(text, 0);
    const Shape in[] = {{1, kCells, kCells, 14}};
    const PlanOptions training{.mode = Mode::training};
    layer->reshape(in, ops(DeviceType::cpu), training);
    layer->set_truths(100000);
    EXPECT_GE(layer->reshape(in, ops(DeviceType::cpu), training).workspace, 100000 * 4) << text;
  }
}

}  // namespace
}  // namespace darknet::testing_layers
