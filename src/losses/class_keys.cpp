#include "losses/class_keys.h"

#include <algorithm>

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

SigmoidClassLoss read_sigmoid_class_loss(Section& section, const std::string& fallback) {
  const std::string name = read_class_loss_name(section, fallback);
  const std::vector<std::string> known = names_of<SigmoidClassLoss>();
  if (std::find(known.begin(), known.end(), name) == known.end())
    section.fail(
        "cls_loss",
        cat(name, " is for scores that go through a softmax; here every class has a sigmoid"));
  return read_loss<SigmoidClassLoss>(section, "cls_", name);
}

void require_hard_class_targets(const Section& section, const SigmoidClassLoss& loss,
                                const std::string& softened_by) {
  const std::string_view other = traits_of(loss).for_soft_targets;
  if (!other.empty())
    section.fail_between({"cls_loss", softened_by}, cat(name_of(loss), " needs hard targets, and ",
                                                        softened_by, " softens them; use ", other));
}

void describe_class_losses(KeyDocs& docs, std::string_view without) {
  docs.add(ClassKeys{.without = without});
  describe_losses<ClassLoss>(docs, "cls_");
}

}  // namespace darknet
