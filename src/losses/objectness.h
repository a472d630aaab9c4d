// The obj_* keys of a detection head: the loss of the objectness, its targets, its normalisation,
// and the prior that a fresh network starts with. Reading only; the kernels are in
// kernels/objectness.h.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include "cfg/section.h"
#include "losses/loss_keys.h"

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

enum class ObjectnessNorm : std::uint8_t { images, positives };
constexpr auto choices(ObjectnessNorm) {
  return std::to_array<Named<ObjectnessNorm>>(
      {{"images", ObjectnessNorm::images}, {"positives", ObjectnessNorm::positives}});
}

// What kernels need of the keys.
struct ObjectnessRules {
  ObjectnessTarget target = ObjectnessTarget::from_keys;
  ObjectnessNorm norm = ObjectnessNorm::images;

  DN_HD bool target_is_one() const { return target == ObjectnessTarget::one; }
  DN_HD bool target_is_overlap() const { return target == ObjectnessTarget::overlap; }
  DN_HD bool target_from_keys() const { return target == ObjectnessTarget::from_keys; }
  DN_HD bool by_positives() const { return norm == ObjectnessNorm::positives; }
};
static_assert(std::is_trivially_copyable_v<ObjectnessRules>);

struct ObjectnessKeys {
  std::string_view without;  // for help: the loss that a head takes without obj_loss
  std::string loss, prior = "0";
  ObjectnessRules rules;
  template <class V>
  void fields(V&& v) {
    v("obj_loss", loss, OneOf{names_of<LogitLoss>()},
      cat("loss of the objectness; without it, as in Darknet, ", without));
    v("obj_target", rules.target, Choice<ObjectnessTarget>{},
      "target of assigned anchors; without it as rescore and objectness_smooth say");
    v("obj_norm", rules.norm, Choice<ObjectnessNorm>{},
      "positives: objectness loss times batch / positive anchors of the batch");
    v("obj_prior", prior, Text{},
      "initial foreground probability of a fresh start; auto: the stationary one of the training "
      "labels");
  }
};

struct Objectness {
  LogitLoss loss;
  ObjectnessRules rules;
  float prior = 0;  // -1: auto
};

// Reads the keys; throws on obj_prior=auto with a loss that allows no prior.
Objectness read_objectness(Section&, std::string_view default_loss);
// Throws where targets are soft and the loss needs hard ones, naming the loss that does not.
void require_hard_targets(const Section&, const Objectness&, bool soft);
// `without`: the loss that the head takes without obj_loss.
void describe_objectness(KeyDocs&, std::string_view without);

// p*: the constant prediction at which a share eta of positives and 1 - eta of negatives balance,
// eta w+ g+(x) + (1 - eta) w- g-(x) = 0, by bisection
// (docs/loss-math.md, The stationary prior).
float stationary_prior(const LogitLoss&, double eta, double weight_positive,
                       double weight_negative);

}  // namespace darknet
