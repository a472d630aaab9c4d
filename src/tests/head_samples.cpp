// Samples of the detection heads. Their objective is the loss that their telemetry reports, so that
// what backward() hands down is checked as the derivative of the loss that a user sees.
//
// Left out, because there the gradient is not that derivative on purpose:
// - objectness targets that are an IoU (obj_target=iou, rescore, objectness_smooth, classfix=-1):
//   the target is held constant; HeadTargets in head_test.cpp checks those;
// - box_gradient=darknet, max_delta, and iou_thresh<1 with several truths in one anchor (Darknet
//   divides the gradient there, not the loss): box_test.cpp and one_step_test.cpp check those;
// - [Gaussian_yolo] where the weights of box and deviations differ, but with uc_normalizer=0:
//   gaussian_test.cpp checks those;
// - [yolo] focal_loss=1, exact for the true class only; classfix=2, whose weight is a prediction;
//   [region] focal_loss=1 with softmax=0, a logarithm of raw scores.
// Assignments do not flip within the differences: thresholds are 1, or no overlap lies near them.
#include <cmath>

#include "detect/head.h"
#include "tests/layer_harness.h"
#include "tests/paths.h"

namespace darknet::testing_layers {
namespace {

double told_loss(const Trial& t) { return t.layer->head()->telemetry(t.stream).loss(); }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Darknet's output: `linear` says which entries of an anchor are left as they are.
template <class Linear>
auto decoded(std::int64_t entries, double scale_x_y, Linear linear) {
  return [=](const std::vector<Host>& in, const std::vector<Host>&, const Shape&) {
    std::vector<double> v(in[0].v.begin(), in[0].v.end());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const auto e = static_cast<std::int64_t>(i) % entries;
      if (!linear(e)) v[i] = sigmoid(v[i]);
      if (e < 2) v[i] = v[i] * scale_x_y - (scale_x_y - 1) / 2;
    }
    return v;
  };
}

bool is_size(std::int64_t e) { return e == 2 || e == 3; }
bool never(std::int64_t) { return false; }

// Two images of three truths. In image 0 the first two share a cell and an anchor (classes 1, 2).
const std::vector<Truth> kTruths = {{{.30f, .27f, .20f, .26f}, 1}, {{.41f, .22f, .22f, .24f}, 2},
                                    {{.80f, .70f, .35f, .33f}, 0}, {{.10f, .90f, .24f, .21f}, 2},
                                    {{1.f, .45f, .30f, .40f}, 0},  {{.55f, .60f, .62f, .55f}, 1}};

// `keys`, and every default whose key is not among them.
std::string with_defaults(std::string keys, const std::vector<std::string>& defaults) {
  for (const std::string& line : defaults)
    if (("\n" + keys).find("\n" + line.substr(0, line.find('=') + 1)) == std::string::npos)
      keys += line + "\n";
  return keys;
}

const Shape kGrid{2, 3, 4, 16};

LayerSample yolo(const std::string& keys) {
  return {.type = "yolo",
          .keys = with_defaults(keys, {"classes=3", "num=3", "mask=0,1", "anchors=6,8,12,10,24,20",
                                       "ignore_thresh=1", "box_gradient=exact"}),
          .in = {kGrid},
          .objective = told_loss,
          .truths = kTruths,
          .truths_per_image = 3};
}

LayerSample yolo_decoding() {
  LayerSample s = yolo("scale_x_y=1.2\niou_loss=diou\n");
  s.reference = decoded(8, 1.2, is_size);
  return s;
}

LayerSample yolo_new_coords(const std::string& keys) {
  LayerSample s = yolo("new_coords=1\nscale_x_y=2\n" + keys);
  s.takes_logistic = true;
  s.reference = decoded(8, 2, never);
  return s;
}

LayerSample yolo_normalised() {  // all factors at once
  LayerSample s = yolo(
      "iou_loss=giou\nobj_norm=positives\nobj_normalizer=.7\niou_normalizer=.3\ncls_normalizer=1.5"
      "\ncounters_per_class=9,3,6\ndelta_normalizer=.5\nlabel_smooth_eps=.8\n");
  s.step.objectness_scale = 1.6f;
  s.truths[2] = s.truths[1];  // a third truth in one anchor, of the second's class
  s.objective = [](const Trial& t) { return .5 * told_loss(t); };
  return s;
}

LayerSample yolo_more_anchors() {  // a truth trains every anchor of its shape; none share one
  LayerSample s =
      yolo("obj_loss=balanced_ce\niou_thresh=.2\niou_thresh_kind=giou\niou_loss=ciou\n");
  s.truths[1].box.x = .6f;
  return s;
}

// Published networks have 5 to 9 anchors, and compilers unroll the loop over them by 4: truths
// whose best anchor is the first of such a group, and one of the rest.
LayerSample yolo_of_six_anchors() {
  return yolo(
      "num=6\nmask=0,4\nanchors=8,9,30,4,4,30,24,20,14,10,3,30\nobj_loss=ce\n"
      "iou_loss=ciou\n");
}

LayerSample yolo_without_truths() {  // of its anchors: all three truths belong to another head
  LayerSample s = yolo("obj_loss=focal\n");
  for (Truth& t : s.truths) t.box.w = t.box.h = .7f;
  return s;
}

const bool kYoloSamples = add_layer_samples({
    yolo("obj_loss=ce\niou_loss=mse\n"),
    yolo("obj_loss=focal\niou_loss=ciou\n"),
    yolo("obj_loss=focal\nobj_gamma=.5\nobj_alpha=-1\niou_loss=giou\ncls_loss=focal\n"),
    yolo("obj_loss=focal\nobj_gamma_ramp=1\niou_loss=ciou\n"),  // in the third iteration
    yolo("obj_loss=ce\niou_loss=ciou\ncls_loss=equalized_focal\n"),
    yolo("obj_loss=class_balanced\nobj_effective_beta=.9\niou_loss=ciou\n"),
    yolo("obj_loss=quality_focal\nobj_target=one\niou_loss=iou\ncls_loss=balanced_ce\n"),
    yolo("obj_loss=mse\niou_loss=diou\ncls_loss=quality_focal\nlabel_smooth_eps=.1\n"),
    yolo("obj_loss=poly1\nobj_epsilon=-.5\niou_loss=iou\ncls_loss=asymmetric\n"),
    yolo("obj_loss=varifocal\niou_loss=iou\ncls_loss=varifocal\nlabel_smooth_eps=.1\n"),
    yolo_more_anchors(),
    yolo_of_six_anchors(),
    yolo("ignore_thresh=.3\ntruth_thresh=.45\niou_loss=ciou\n"),
    yolo_decoding(),
    yolo_normalised(),
    yolo_without_truths(),
    yolo_new_coords("iou_loss=ciou\n"),
    yolo_new_coords("iou_loss=mse\nobj_loss=focal\ncls_loss=ce\n"),
});

// Of a deviation and the mean before it the gradient is that of one loss where their weights agree;
// with a loss of the IoU family the mean has no part in that of the deviation.
LayerSample gaussian(const std::string& keys) {
  LayerSample s = yolo(keys);
  s.type = "Gaussian_yolo";
  s.keys = with_defaults(s.keys, {"uc_normalizer=.75"});
  s.in[0].c = 2 * 12;
  s.tolerance = 4e-3;
  return s;
}

LayerSample gaussian_decoding() {
  LayerSample s = gaussian("scale_x_y=1.2\niou_loss=ciou\nuc_normalizer=0\n");
  s.reference = [](const std::vector<Host>& in, const std::vector<Host>&, const Shape&) {
    std::vector<double> v(in[0].v.begin(), in[0].v.end());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const auto e = static_cast<std::int64_t>(i) % 12;
      if (e != 4 && e != 6) v[i] = sigmoid(v[i]);
      if (e == 0 || e == 2) v[i] = v[i] * 1.2 - .1;
    }
    return v;
  };
  return s;
}

const bool kGaussianSamples = add_layer_samples({
    gaussian("obj_loss=ce\niou_loss=mse\n"),
    gaussian("obj_loss=focal\niou_loss=ciou\nuc_normalizer=0\n"),
    gaussian("obj_loss=quality_focal\nobj_target=one\niou_loss=giou\nyolo_point=left_top\n"
             "uc_normalizer=0\n"),
    gaussian("obj_loss=balanced_ce\niou_loss=mse\nyolo_point=right_bottom\nscale_x_y=1.1\n"
             "cls_loss=focal\n"),
    gaussian_decoding(),
});

LayerSample region(const std::string& keys, std::int64_t images_seen = 20000) {
  return {.type = "region",
          .keys = with_defaults(
              keys, {"classes=3", "num=2", "anchors=.8,.7,1.6,1.1", "thresh=1", "bias_match=1",
                     "object_scale=3", "noobject_scale=.8", "coord_scale=1.5", "class_scale=.9"}),
          .in = {kGrid},
          .objective = told_loss,
          .truths = kTruths,
          .truths_per_image = 3,
          .step = {{.iteration = 3, .images_seen = images_seen}}};
}

LayerSample region_normalised() {
  LayerSample s = region("softmax=1\nobj_loss=ce\nobj_norm=positives\nobj_normalizer=.7\n");
  s.step.objectness_scale = 1.6f;
  return s;
}

LayerSample region_of_five_anchors() {
  LayerSample s = region("num=5\nanchors=.8,.7,6,.3,.3,3,3,6,1.6,1.1\nobj_loss=ce\n");
  s.in[0].c = 5 * 8;
  return s;
}

LayerSample region_decoding() {
  LayerSample s = region("softmax=0\n");
  s.reference = decoded(8, 1, [](std::int64_t e) { return is_size(e) || e > 4; });
  return s;
}

std::string file_key(const std::string& key, const char* file) {
  return cat(key, '=', (test::test_data() / file).string(), '\n');
}

LayerSample region_of_tree(const std::string& keys) {
  LayerSample s = region("classes=7\n" + file_key("tree", "classes.tree") + keys);
  s.in[0].c = 2 * (5 + 7);
  return s;
}

// Of the tree in src/tests/data: a softmax of each group of siblings.
LayerSample region_of_tree_decoding() {
  LayerSample s = region_of_tree("softmax=1\n");
  s.reference = [](const std::vector<Host>& in, const std::vector<Host>&, const Shape&) {
    std::vector<double> v(in[0].v.begin(), in[0].v.end());
    for (std::size_t first = 0; first < v.size(); first += 12) {
      for (const std::size_t e : {0, 1, 4}) v[first + e] = sigmoid(v[first + e]);
      for (const auto& [begin, end] : {std::pair{5, 7}, {7, 9}, {9, 10}, {10, 12}}) {
        double sum = 0;
        for (int k = begin; k < end; ++k) sum += std::exp(v[first + to_size(k)]);
        for (int k = begin; k < end; ++k)
          v[first + to_size(k)] = std::exp(v[first + to_size(k)]) / sum;
      }
    }
    return v;
  };
  return s;
}

const bool kRegionSamples = add_layer_samples({
    region("softmax=1\n"),
    region("softmax=1\nobj_loss=focal\n", 0),  // the early pull towards the anchors
    region("softmax=1\nobj_loss=quality_focal\nobj_target=one\nfocal_loss=1\n"),
    region("softmax=0\ncls_loss=focal\nobj_loss=ce\n"),
    region("softmax=0\ncls_loss=ce\nbias_match=0\n"),
    region("softmax=0\ncls_loss=poly1\nobj_loss=focal_star\n"),
    region("softmax=1\nclassfix=1\nthresh=.3\nobj_loss=balanced_ce\n"),
    region("softmax=1\nobj_loss=asymmetric\nobj_gamma_ramp=1\n"),
    region_of_tree("softmax=1\nobj_loss=focal\n"),
    region_of_tree("softmax=0\nfocal_loss=1\n" + file_key("map", "classes.map")),
    region_of_tree("classfix=1\nthresh=.3\n"),
    region_of_tree_decoding(),
    region_decoding(),
    region_of_five_anchors(),
    region_normalised(),
});

// On a grid of 3 x 3 cells, 2 predictors each: class scores, objectness, boxes.
LayerSample detection(const std::string& keys) {
  return {.type = "detection",
          .keys = with_defaults(keys, {"classes=3", "num=2", "side=3", "sqrt=1", "object_scale=3",
                                       "noobject_scale=.8", "coord_scale=1.5", "class_scale=.9"}),
          .in = {{2, 1, 1, 9 * (3 + 2 * 5)}},
          .objective = told_loss,
          .truths = kTruths,
          .truths_per_image = 3};
}

LayerSample detection_decoding() {
  LayerSample s = detection("sqrt=0\nforced=1\n");
  s.reference = [](const std::vector<Host>& in, const std::vector<Host>&, const Shape&) {
    std::vector<double> v;
    for (std::int64_t image = 0; image < 2; ++image) {
      const float* const x = &in[0].v[to_size(image * 117)];
      for (int cell = 0; cell < 9; ++cell)
        for (int n = 0; n < 2; ++n) {
          for (int e = 0; e < 4; ++e) v.push_back(x[9 * 5 + (cell * 2 + n) * 4 + e]);
          v.push_back(x[9 * 3 + cell * 2 + n]);
          for (int k = 0; k < 3; ++k) v.push_back(x[cell * 3 + k]);
        }
    }
    return v;
  };
  return s;
}

LayerSample detection_normalised() {
  LayerSample s = detection("obj_loss=quality_focal\nobj_norm=positives\nobj_normalizer=.7\n");
  s.step.objectness_scale = 1.6f;
  return s;
}

const bool kDetectionSamples = add_layer_samples({
    detection("softmax=0\n"),
    detection("softmax=1\nobj_loss=focal\n"),
    detection("cls_loss=focal\nobj_loss=ce\n"),
    detection("cls_loss=ce\n"),
    detection_decoding(),
    detection_normalised(),
});

}  // namespace
}  // namespace darknet::testing_layers
