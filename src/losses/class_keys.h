// The cls_* keys of a detection head: which loss judges the class scores.
#pragma once
#include <string>
#include "cfg/section.h"
#include "losses/class_loss.h"

namespace darknet {

struct ClassKeys {
  std::string loss;
  bool focal_loss = false;
  template <class V>
  void fields(V&& v) {
    std::vector<std::string> names = logit_loss_names();
    names.insert(names.end(), {"softmax", "darknet_focal"});
    v("cls_loss", loss, OneOf{names},
      "loss of the classes; without it as the Darknets: [yolo] ce, new_coords mse, [region] "
      "softmax");
    v("focal_loss", focal_loss, TrainingOnly{Flag{}}, "Darknet's: cls_loss=darknet_focal");
  }
};

// Name of the class loss the keys ask for; `fallback` where they ask for none.
std::string read_class_loss_name(Section&, const std::string& fallback);
// The loss of that name for sigmoid class scores; throws on softmax.
SigmoidClassLoss read_sigmoid_class_loss(Section&, const std::string& name);

}  // namespace darknet
