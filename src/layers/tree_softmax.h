// What [softmax] tree= computes besides the softmax of each group of siblings: the probabilities of
// the leaves, and the cross-entropy of the path to an image's target.
#pragma once
#include <cstdint>

#include "core/hd.h"
#include "core/math.h"
#include "core/step.h"
#include "core/tensor.h"
#include "detect/telemetry.h"
#include "kernels/copy.h"
#include "layers/class_tree.h"

namespace darknet {
inline namespace DN_TU {

// A class tree: the probabilities of all nodes of an image given their parents become those of the
// leaves; the other nodes get 0.
struct KeepLeaves {
  const ClassNode* nodes;
  std::int64_t count;
  View<float> of;
  DN_HD void operator()(std::int64_t image) const {
    for (std::int64_t k = 0; k < count; ++k)
      if (nodes[k].parent >= 0) of.at(image, k) *= of.at(image, nodes[k].parent);
    for (std::int64_t k = 0; k < count; ++k)
      if (!nodes[k].leaf()) of.at(image, k) = 0;
  }
};

// The node that is an image's target: the last, which is the deepest of a path; -1: none.
struct FindTarget {
  View<const float> targets;
  std::int32_t* nodes;
  DN_HD std::int32_t of(std::int64_t image) const {
    std::int32_t node = -1;
    for (std::int64_t k = 0; k < targets.shape.c; ++k)
      if (targets.at(image, k) > 0) node = static_cast<std::int32_t>(k);
    return node;
  }
  DN_HD void operator()(std::int64_t image) const { nodes[image] = of(image); }
};

// Of the groups from the target up to the top; the others get no gradient.
struct TreeCrossEntropy {
  const ClassNode* nodes;
  const std::int32_t* targets;  // of each image
  View<const float> out;
  Sink<float> in;
  float temperature;
  const StepState* step;
  DN_HD void operator()(std::int64_t image, std::int64_t c) const {
    const ClassNode& own = nodes[c];
    std::int32_t k = targets[image];
    while (k >= own.siblings_end) k = nodes[k].parent;  // at least the first group has one
    const bool learns = k >= own.siblings;
    const float d = learns ? out.at(image, c) - (k == c ? 1.f : 0.f) : 0;
    in.put(image, c, loss_scale(step) * d / temperature);
  }
};

// The same loss of an image; out: of its nodes, given their parents.
struct TreeLoss {
  const ClassNode* nodes;
  FindTarget find;
  View<const float> out;
  DN_HD HeadTelemetry operator()(std::int64_t image) const {
    HeadTelemetry t;
    for (std::int32_t k = find.of(image); k >= 0; k = nodes[k].parent) {
      const float p = out.at(image, k);
      t.class_loss -= math::log(math::max(p, kLeast));
      t.not_finite += p - p == 0 ? 0 : 1;
    }
    return t;
  }
  static constexpr float kLeast = 1e-37f;
};

}  // namespace DN_TU
}  // namespace darknet
