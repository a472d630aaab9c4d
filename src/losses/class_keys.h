// The cls_* keys of a detection head: the loss of its class scores.
#pragma once
#include <string>
#include "cfg/section.h"
#include "losses/class_loss.h"
#include "losses/loss_keys.h"

namespace darknet {

struct ClassKeys {
  std::string_view without;  // for help: the loss that a head takes without cls_loss
  std::string loss;
  bool focal_loss = false;
  template <class V>
  void fields(V&& v) {
    v("cls_loss", loss, OneOf{names_of<ClassLoss>()},
      cat("loss of the classes; without it, as in Darknet, ", without));
    v("focal_loss", focal_loss, TrainingOnly{Flag{}}, "Darknet's: cls_loss=darknet_focal");
  }
};

// Name of the class loss the keys ask for; `fallback` where they ask for none.
std::string read_class_loss_name(Section&, const std::string& fallback);
// The loss of sigmoid class scores that the keys ask for; throws on softmax.
SigmoidClassLoss read_sigmoid_class_loss(Section&, const std::string& fallback);
// Throws where the loss needs hard targets and the key `softened_by` is on.
void require_hard_class_targets(const Section&, const SigmoidClassLoss&,
                                const std::string& softened_by);
// `without`: the loss that the head takes without cls_loss.
void describe_class_losses(KeyDocs&, std::string_view without);

}  // namespace darknet
