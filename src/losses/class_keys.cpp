#include "losses/class_keys.h"

namespace darknet {

std::string read_class_loss_name(Section& section, const std::string& fallback) {
  ClassKeys keys;
  section.read(keys);
  if (section.training() && keys.focal_loss && !keys.loss.empty() &&
      keys.loss != losses::DarknetFocal::name)
    section.fail_between({"focal_loss", "cls_loss"},
                         cat("focal_loss=1 and cls_loss=", keys.loss, " contradict each other"));
  if (keys.focal_loss) return std::string(losses::DarknetFocal::name);
  return keys.loss.empty() ? fallback : keys.loss;
}

SigmoidClassLoss read_sigmoid_class_loss(Section& section, const std::string& name) {
  if (name == "softmax")
    section.fail("cls_loss", "softmax is for [region]; here every class has a sigmoid");
  if (name == losses::DarknetFocal::name) return losses::DarknetFocal{};
  return std::visit([](const auto& l) { return SigmoidClassLoss(l); },
                    read_logit_loss(section, "cls_", name));
}

}  // namespace darknet
