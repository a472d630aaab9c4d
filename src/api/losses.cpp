#include "darknet/losses.h"

#include <utility>

#include "api/errors.h"
#include "eval/loss_values.h"
#include "losses/loss_keys.h"

namespace darknet {
namespace {

LossValues values_of(ComputedLoss computed) {
  return {std::move(computed.value), std::move(computed.gradient)};
}

std::vector<bool> with_objects(const std::vector<float>& targets) {
  std::vector<bool> positives;
  for (const float t : targets) positives.push_back(t > 0);
  return positives;
}

}  // namespace

std::vector<std::string> logit_loss_names() { return names_of<LogitLoss>(); }
std::vector<std::string> class_loss_names() { return names_of<ClassLoss>(); }

LossValues loss_of_logits(const std::string& loss, const std::vector<float>& logits,
                          const std::vector<float>& targets, const std::vector<bool>& positives) {
  return api::translated([&] {
    return values_of(compute_loss(parse_logit_loss(loss), logits, targets,
                                  positives.empty() ? with_objects(targets) : positives));
  });
}

LossValues loss_of_classes(const std::string& loss, const std::vector<float>& logits,
                           std::int64_t classes, const std::vector<std::int32_t>& true_classes) {
  return api::translated([&] {
    return values_of(compute_class_loss(parse_class_loss(loss), logits, classes, true_classes));
  });
}

}  // namespace darknet
