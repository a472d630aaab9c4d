// The obj_* keys of a detection head: the loss of the objectness, its targets, its normalisation,
// and what a fresh network starts with. Reading only; the kernels are in
// kernels/objectness.h.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include "cfg/section.h"
#include "detect/head.h"
#include "losses/loss_keys.h"
#include "losses/posterior.h"

namespace darknet {

enum class ObjectnessTarget : std::uint8_t {
  from_keys,  // rescore, objectness_smooth decide, as in Darknet
  one,        // assigned anchors: 1
  overlap,  // assigned anchors: IoU with their truth; unassigned ones above ignore_thresh: that IoU
};
constexpr auto choices(ObjectnessTarget) {
  return std::to_array<Named<ObjectnessTarget>>(
      {{"one", ObjectnessTarget::one}, {"iou", ObjectnessTarget::overlap}});
}

// What kernels need of the keys.
struct ObjectnessRules {
  ObjectnessTarget target = ObjectnessTarget::from_keys;
  ObjectnessNorm norm = ObjectnessNorm::images;

  DN_HD bool target_is_one() const { return target == ObjectnessTarget::one; }
  DN_HD bool target_is_overlap() const { return target == ObjectnessTarget::overlap; }
  DN_HD bool target_from_keys() const { return target == ObjectnessTarget::from_keys; }
  DN_HD bool by_positives() const { return norm != ObjectnessNorm::images; }
};
static_assert(std::is_trivially_copyable_v<ObjectnessRules>);

// obj_init=auto: the background's gradient is then 1.2 times that of equal logits at gamma 2, 1.02
// times at gamma 0 (docs/loss-math.md, The start).
inline constexpr float kInitialDeviation = .2f;

inline constexpr const char* kGammaRampKey = "obj_gamma_ramp";

struct ObjectnessKeys {
  std::string_view without;  // for help: the loss that a head takes without obj_loss
  std::string loss;
  ObjectnessStart start;
  ObjectnessRules rules;
  bool gamma_ramp = false, guided = false;
  template <class V>
  void fields(V&& v) {
    v("obj_loss", loss, OneOf{names_of<LogitLoss>()},
      cat("loss of the objectness; without it, as in Darknet, ", without));
    v("obj_target", rules.target, Choice<ObjectnessTarget>{},
      "target of assigned anchors; without it as rescore and objectness_smooth say");
    v("obj_norm", rules.norm, Choice<ObjectnessNorm>{},
      "positives: objectness loss times batch / positive anchors of the batch; positives_ema: "
      "their exponential moving average instead");
    v(kGammaRampKey, gamma_ramp, Flag{},
      "gamma rises from 0 at the first iteration to its value after the burn_in of [net]");
    v("obj_guided", guided, Flag{},
      "the objectness loss is scaled to obj_normalizer times the box loss of the same images");
    v("obj_prior", start.prior, NumberOrAuto{{0, .999999f}},
      "initial foreground probability of a fresh start; auto: the stationary one of the training "
      "labels");
    v("obj_init", start.deviation, NumberOrAuto{{-1, 10}},
      cat("standard deviation of the objectness logits of the first batch, to which a fresh start "
          "scales their weights before it balances the bias; auto: ",
          kInitialDeviation, "; -1: as initialised"));
  }
};

struct CalibrationKey {
  bool calibrate = false;
  template <class V>
  void fields(V&& v) {
    v("obj_calibrate", calibrate, Flag{},
      "1: detections have the probability of an object for which this loss gives their objectness; "
      "focal losses pull it towards .5");
  }
};

struct Objectness {
  LogitLoss loss;
  ObjectnessRules rules;
  ObjectnessStart start;
  bool gamma_ramp = false;    // the loss has a gamma, and it rises over burn_in
  bool guided = false;        // the loss is scaled to the box loss
  bool needs_labels = false;  // a key counts the positives of the training labels
  bool calibrate = false;     // at inference
};

// Reads the keys; throws on obj_prior=auto, and obj_normalizer=auto, with a loss that allows no
// prior.
Objectness read_objectness(Section&, std::string_view default_loss, RealOrAuto normalizer = {1});
// What the first iteration trains with: with obj_gamma_ramp the loss at gamma 0.
LogitLoss loss_of_first_iteration(const Objectness&);
// Throws where targets are soft and the loss needs hard ones, naming the loss that does not.
void require_hard_targets(const Section&, const Objectness&, bool soft);
// Whether every probability of an object has a prediction of its own: not where the loss has no
// gradient of one side, or, as asymmetric with a margin, none of background near p = 1,
// nor where it weighs anchors by their batch.
bool has_posterior(const LogitLoss&, const PosteriorWeights&);
// Throws where obj_calibrate=1 and no posterior follows from the objectness: of soft targets,
// or without has_posterior().
void require_posterior(const Section&, const Objectness&, bool soft, const PosteriorWeights& = {});
// `without`: the loss that the head takes without obj_loss.
void describe_objectness(KeyDocs&, std::string_view without);

// The root of a function of a logit that rises through zero once between -40 and 40, by bisection.
template <class F>
double root_of_rising(F f) {
  double lo = -40, hi = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (lo + hi) / 2;
    (f(middle) < 0 ? lo : hi) = middle;
  }
  return (lo + hi) / 2;
}

// How anchors with and without an object are weighted against each other.
struct Balance {
  double eta = 0;  // share of positives
  double weight_positive = 1, weight_negative = 1;
};
// The offset b at which a share eta of positives and 1 - eta of negatives balance that both have
// these logits x_i: eta w+ mean g+(x_i + b) + (1 - eta) w- mean g-(x_i + b) = 0, by bisection
// (docs/loss-math.md, The start).
double balancing_offset(const LogitLoss&, std::span<const float> logits, const Balance&);
// p*, the constant prediction that balances: the sigmoid of the offset of one logit of 0
// (docs/loss-math.md, The stationary prior).
float stationary_prior(const LogitLoss&, const Balance&);
// |g+| of cross-entropy at its p* over that of this loss at its own.
double gradient_ratio(const LogitLoss&, const Balance&);

}  // namespace darknet
