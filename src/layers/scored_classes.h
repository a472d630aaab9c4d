// What [region] and [detection] share: keys, and class scores, which are a softmax, a sigmoid each,
// or the raw values with squared error. For host and device, but for reading the keys.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include "cfg/section.h"
#include "detect/head.h"
#include "kernels/assignment.h"
#include "losses/class_keys.h"
#include "losses/class_loss.h"
#include "losses/objectness.h"

namespace darknet {

struct ScoredHeadKeys : HeadKeys {
  std::int64_t coords = 4;
  float coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
  bool softmax = false, rescore = false;

  template <class V>
  void fields(V&& v) {
    HeadKeys::fields(
        [&](std::string_view key, auto& member, const auto& allowed, std::string_view help) {
          v(key, member, allowed, key == "num" ? "boxes that a cell predicts" : help);
        });
    v("coords", coords, Integers{4, 4}, "numbers of a box");
    v("softmax", softmax, Flag{},
      "class scores through a softmax; 0: raw values with squared error");
    v("rescore", rescore, TrainingOnly{Flag{}},
      "objectness target of assigned anchors is the IoU with their truth");
    v("coord_scale", coord_scale, TrainingOnly{Reals{0, 1e6f}}, "weight of the box loss");
    v("object_scale", object_scale, TrainingOnly{Reals{0, 1e6f}},
      "weight of the objectness loss of assigned anchors");
    v("noobject_scale", noobject_scale, TrainingOnly{Reals{0, 1e6f}},
      "weight of the objectness loss of the others");
    v("class_scale", class_scale, TrainingOnly{Reals{0, 1e6f}}, "weight of the class loss");
  }
  // Whether the objectness learns the IoU of an assigned anchor instead of 1.
  DN_HD bool target_is_iou(const ObjectnessRules& rules) const {
    return rules.target_is_overlap() || (rescore && !rules.target_is_one());
  }
};

// What the scores of the classes are of their logits: a softmax, one of each group of a class tree,
// a sigmoid each, or themselves.
enum class ClassScores : std::uint8_t { softmax, tree, sigmoid, raw };

// softmax=0 without cls_loss: squared error of the raw scores (Darknet).
struct SquaredError {
  static constexpr std::string_view name = "squared_error";
  template <class V>
  void fields(V&&) {}
};
using ScoredClassLoss = Extended<ClassLoss, SquaredError>;

// y[k] = exp(x[k]) / their sum.
DN_HD inline void decode_softmax(std::int64_t classes, const float* x, float* y) {
  float largest = x[0], sum = 0;
  for (std::int64_t k = 1; k < classes; ++k) largest = math::max(largest, x[k]);
  for (std::int64_t k = 0; k < classes; ++k) y[k] = math::fast_exp(x[k] - largest);
  for (std::int64_t k = 0; k < classes; ++k) sum += y[k];
  for (std::int64_t k = 0; k < classes; ++k) y[k] /= sum;
}

// y[k] = the score of logit x[k]; not of a tree.
DN_HD inline void decode_scores(ClassScores scores, std::int64_t classes, const float* x,
                                float* y) {
  switch (scores) {
    case ClassScores::softmax:
      return decode_softmax(classes, x, y);
    case ClassScores::tree:
      return;
    case ClassScores::sigmoid:
      for (std::int64_t k = 0; k < classes; ++k) y[k] = math::fast_sigmoid(x[k]);
      return;
    case ClassScores::raw:
      for (std::int64_t k = 0; k < classes; ++k) y[k] = x[k];
  }
}

// Class gradient and loss of one anchor.
template <class C>
struct ScoredClasses {
  const AssignArguments& a;
  ClassScores scores;
  const C& loss;

  // Of class c. Overwrites what was there: the last ground truth wins.
  DN_HD void set_gradient(const AnchorPlace& at, std::int32_t c, float scale,
                          AnchorRecord& r) const {
    if constexpr (OfTrueClass<C>) {
      const losses::TrueClass own = true_class(at, c);
      const float factor = C::factor(own);
      r.class_loss = scale * C::value(own);
      for (std::int64_t k = 0; k < classes(); ++k)
        g(at, k) = scale * factor * (out(at, k) - (k == c ? 1.f : 0.f));
    } else {
      r.class_loss = 0;
      for (std::int64_t k = 0; k < classes(); ++k) add_class(at, k, k == c, scale, r);
    }
  }

 private:
  DN_HD std::int64_t classes() const { return a.layout.classes(); }
  DN_HD float& g(const AnchorPlace& at, std::int64_t k) const {
    return a.g(at, a.layout.class_entry(k));
  }
  DN_HD float out(const AnchorPlace& at, std::int64_t k) const {
    return a.outputs(at)[a.layout.class_entry(k)];
  }
  DN_HD float logit(const AnchorPlace& at, std::int64_t k) const {
    return a.logit(at, a.layout.class_entry(k));
  }

  DN_HD losses::TrueClass true_class(const AnchorPlace& at, std::int32_t c) const {
    if (scores == ClassScores::softmax)
      return losses::true_class_of_softmax(classes(), c,
                                           [&](std::int64_t k) { return logit(at, k); });
    const float raw = out(at, c);  // Darknet: focal_loss=1 takes raw scores for probabilities
    return {raw, math::log(math::max(raw, 0.f) + 1e-15f)};
  }

  DN_HD void add_class(const AnchorPlace& at, std::int64_t k, bool own, float scale,
                       AnchorRecord& r) const {
    const float y = own ? 1.f : 0.f;
    if constexpr (std::is_same_v<C, SquaredError>) {
      const float d = out(at, k) - y;
      g(at, k) = scale * d;
      r.class_loss += scale * d * d / 2;
    } else {
      const float x = logit(at, k);
      const auto own_loss = a.loss_of_class(loss, k);
      g(at, k) = scale * own_loss.gradient(x, y, own);
      r.class_loss += scale * own_loss.value(x, y, own);
    }
  }
};

// For help: the loss without cls_loss.
inline constexpr const char* kScoredClassLosses =
    "softmax; with softmax=0 squared error of raw scores";

// `softmax`: of the key of that name. Throws on a loss per class of a softmax.
inline ScoredClassLoss read_scored_class_loss(Section& section, bool softmax, ClassScores& scores) {
  const std::string name = read_class_loss_name(
      section, std::string(softmax ? losses::Softmax::name : SquaredError::name));
  ScoredClassLoss loss = read_loss<ScoredClassLoss>(section, "cls_", name);
  if (std::holds_alternative<losses::Softmax>(loss)) {
    scores = ClassScores::softmax;
  } else if (std::holds_alternative<SquaredError>(loss)) {
    scores = ClassScores::raw;
  } else if (std::holds_alternative<losses::DarknetFocal>(loss)) {
    scores = softmax ? ClassScores::softmax : ClassScores::raw;
  } else {
    scores = ClassScores::sigmoid;
    if (softmax)
      section.fail_between({"cls_loss", "softmax"},
                           cat(name, " is a loss per class; it needs softmax=0"));
  }
  return loss;
}

}  // namespace darknet
