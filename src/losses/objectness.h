// The obj_* keys of a detection head: which loss judges the objectness, against which target, how
// it is normalised, and with which prior a fresh network starts. Reading only; the launches are in
// kernels/objectness.h.
#pragma once
#include <cstdint>
#include <string>
#include "losses/losses.h"

namespace darknet {

enum class ObjectnessTarget : std::uint8_t {
  one,      // assigned anchors: 1
  overlap,  // assigned anchors: IoU with their truth; unassigned ones above ignore_thresh: that IoU
  from_keys,  // rescore, objectness_smooth decide, as in the Darknets
};

struct ObjectnessKeys {
  std::string loss, norm = "images", target, prior = "0", box_gradient = "darknet";
  template <class V>
  void fields(V&& v) {
    v("obj_loss", loss, OneOf{logit_loss_names()},
      "loss of the objectness; without it what the Darknets do: [yolo] ce, new_coords and [region] "
      "mse");
    v("obj_target", target, OneOf{{"one", "iou"}},
      "target of assigned anchors; without it as rescore and objectness_smooth say");
    v("obj_norm", norm, OneOf{{"images", "positives"}},
      "positives: objectness loss times batch / positive anchors of the batch");
    v("obj_prior", prior, Text{},
      "initial foreground probability of a fresh start; auto: the stationary one of the training "
      "labels");
    v("box_gradient", box_gradient, OneOf{{"darknet", "exact"}},
      "exact: the true gradient of the box loss in the logits");
  }
};

struct Objectness {
  LogitLoss loss;
  ObjectnessTarget target = ObjectnessTarget::from_keys;
  bool normalise_by_positives = false;
  float prior = 0;  // -1: auto
  bool exact_box_gradient = false;
};

// Reads the keys; throws on obj_prior=auto with mse.
Objectness read_objectness(Section&, std::string_view default_loss);
// Throws where the loss is focal and the targets are soft, naming quality_focal.
void require_hard_targets(const Section&, const Objectness&, bool soft);

// p*: the constant prediction at which a share eta of positives and 1 - eta of negatives balance,
// eta w+ g+(x) + (1 - eta) w- g-(x) = 0, by bisection
// (docs/loss-math.md, The stationary prior).
float stationary_prior(const LogitLoss&, double eta, double weight_positive,
                       double weight_negative);

}  // namespace darknet
