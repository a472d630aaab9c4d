// What the tests of detection heads share: heads on a small grid, and ground truths that their
// anchors fit.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "detect/head.h"
#include "tests/layer_harness.h"

namespace darknet::testing_layers {

inline constexpr std::int64_t kCells = 4;  // the grid is 4x4 and the network's input 32x32

inline LayerSample sample_of(const std::string& type, const std::string& keys,
                             std::int64_t channels, const std::vector<Truth>& truths) {
  return {.type = type,
          .keys = keys,
          .in = {{1, kCells, kCells, channels}},
          .objective = [](const Trial& t) { return t.layer->head()->telemetry({}).loss(); },
          .truths = truths,
          .truths_per_image = std::ssize(truths),
          .step = {{.iteration = 3, .images_seen = 20000}}};
}

// Focal loss (gamma 2, alpha .25) from its definition in float64: the negative gradient in the
// logit of the probability p.
inline double focal_delta(double p, bool object) {
  const double q = 1 - p;
  return object ? -.25 * q * q * (2 * p * std::log(p) - q)
                : -.75 * p * p * (p - 2 * q * std::log(q));
}

inline Trial passed(const LayerSample& s) {
  Trial t(s, Mode::training);
  t.forward();
  t.backward(false, NAN);
  return t;
}

// Anchors of 1x1, 2x1 and 2x2 cells; all but the first belong to this head.
inline const std::string kYolo =
    "classes=2\nnum=3\nmask=1,2\nanchors=8,8,16,8,16,16\nignore_thresh=1\ntruth_thresh=1\n";
inline const std::string kRegion = "classes=2\nnum=2\nanchors=1,1,2,1\nthresh=1\nbias_match=1\n";

inline const Truth kWide{{.30f, .60f, .5f, .25f}, 0};    // 2x1 cells, centre in row 2, column 1
inline const Truth kSquare{{.30f, .60f, .5f, .5f}, 1};   // 2x2 cells, the same centre
inline const Truth kSmall{{.80f, .10f, .25f, .25f}, 1};  // 1x1 cell, row 0, column 3
inline const Truth kTall{{.80f, .10f, .25f, .5f}, 1};    // 1x2 cells: overlaps 1x1 and 2x2 alike
inline const Truth kCorner{{1, 1, .5f, .25f}, 0};

}  // namespace darknet::testing_layers
