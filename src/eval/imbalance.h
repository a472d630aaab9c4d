// What labels say about a network before it is trained: how many anchors will be positive, which
// objects no anchor fits, and which share one.
#pragma once
#include <cstdint>
#include <vector>

#include "dataset/image_paths.h"
#include "dataset/labels.h"
#include "detect/box.h"
#include "nn/network.h"

namespace darknet {

inline constexpr float kSmallPixels = 8;  // side of an object that is small for a network

struct HeadImbalance {
  std::int64_t layer = 0;
  std::int64_t candidates = 0;  // anchors classified, over all images
  std::int64_t positives = 0;
  double negatives_per_positive() const;  // 0 where nothing is positive
};

struct AnchorUse {
  float width = 0, height = 0;  // pixels of the network's input
  std::int64_t truths = 0;      // that it fits best
};

struct ImbalanceReport {
  std::int64_t images = 0, truths = 0;
  std::vector<HeadImbalance> heads;
  std::vector<AnchorUse> anchors;      // of all heads, each once
  std::int64_t fit_poorly = 0;         // best IoU of shapes, centre on centre, below .5;
  std::int64_t fit_none = 0;           // below .25; both 0 without anchors
  std::int64_t without_an_anchor = 0;  // share every anchor they could have with other truths
  std::int64_t tiny = 0;               // below 2 pixels of the network's input
  std::int64_t small = 0;              // sqrt(width * height) below kSmallPixels of it
  double mean_fit = 0;                 // mean of the best IoU
};

// `truths`: one entry per image, in fractions of the network's input (dataset/input_truths.h).
ImbalanceReport imbalance(const Network&, const GroundTruths& truths);
// Of images as the network's input shows them (letter_box).
ImbalanceReport imbalance(const Network&, const LabelledImages&);

// IoU of two boxes with the same centre.
float shape_iou(float w1, float h1, float w2, float h2);

}  // namespace darknet
