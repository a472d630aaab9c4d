#include "losses/objectness.h"

#include <cmath>

#include "core/math.h"
#include "losses/equalized_focal.h"

namespace darknet {
namespace {

void require_balance(const Section& section, std::string_view key, std::string_view example,
                     const LogitLoss& loss) {
  if (const std::string_view why = traits_of(loss).no_automatic_prior; !why.empty())
    section.fail_between({key, "obj_loss"},
                         cat(key, "=auto is not for obj_loss=", name_of(loss), ", ", why,
                             "; give a number, such as ", key, example));
}

void refuse_class_loss(Section& section) {
  if (section.text("obj_loss", "") == losses::EqualizedFocal::name)
    section.fail("obj_loss",
                 cat(losses::EqualizedFocal::name,
                     " weighs classes against each other, and there is only one objectness score; "
                     "use obj_loss=focal, and cls_loss=",
                     losses::EqualizedFocal::name, " for the class scores"));
}

// Why obj_gamma_ramp has no effect on a loss.
std::string without_ramp(LogitLoss loss) {
  const bool has_gamma =
      with_keys(loss, "", {}, [](auto keys) { return keys.names().contains("gamma"); });
  return cat("the loss ", name_of(loss),
             has_gamma ? ": its gamma cannot rise from 0" : " has no gamma");
}

// The objectness loss follows the box loss, so nothing else may set its weight.
void require_guide_alone(const Section& section, const ObjectnessRules& rules, bool automatic) {
  if (!rules.by_positives() && !automatic) return;
  const std::string norm = rules.by_positives() ? cat("obj_norm=", name_of(rules.norm)) : "",
                    both = norm.empty() || !automatic ? "" : " and ",
                    weight = automatic ? "obj_normalizer=auto" : "";
  section.fail_between({"obj_guided", "obj_norm", "obj_normalizer"},
                       cat("obj_guided=1 sets the weight of the objectness loss by the box loss, "
                           "and ",
                           norm, both, weight,
                           " would set it too; remove obj_guided, or take obj_norm=images and a "
                           "number for obj_normalizer"));
}

double gradient_of_positive(const LogitLoss& loss, double x) {
  return std::visit([&](const auto& l) { return std::abs(l.gradient(x, 1., true)); }, loss);
}

}  // namespace

Objectness read_objectness(Section& section, std::string_view default_loss, RealOrAuto normalizer) {
  CalibrationKey calibration;
  section.read(calibration);
  ObjectnessKeys keys;
  const bool training = section.training();
  section.set_training(training || calibration.calibrate);  // the loss is used, so it is checked
  if (section.training()) refuse_class_loss(section);
  section.read_training(keys);
  Objectness o{.rules = keys.rules, .calibrate = calibration.calibrate};
  o.loss = read_loss<LogitLoss>(section, "obj_",
                                keys.loss.empty() ? default_loss : std::string_view(keys.loss));
  section.set_training(training);
  if (!training) return o;
  o.gamma_ramp = keys.gamma_ramp && has_focusing(o.loss);
  if (keys.gamma_ramp && !o.gamma_ramp) section.ignore(kGammaRampKey, without_ramp(o.loss));
  o.guided = keys.guided;
  if (o.guided) require_guide_alone(section, o.rules, normalizer.automatic);
  o.start = keys.start;
  if (o.start.deviation.automatic) o.start.deviation.value = kInitialDeviation;
  if (o.start.prior.automatic) require_balance(section, "obj_prior", "=.01", o.loss);
  if (normalizer.automatic) require_balance(section, "obj_normalizer", "=1", o.loss);
  o.needs_labels = o.rules.by_positives() || o.start.prior.automatic || normalizer.automatic;
  return o;
}

LogitLoss loss_of_first_iteration(const Objectness& o) {
  return o.gamma_ramp ? with_focusing(o.loss, 0) : o.loss;
}

void require_hard_targets(const Section& section, const Objectness& o, bool soft) {
  const std::string_view other = traits_of(o.loss).for_soft_targets;
  if (soft && !other.empty())
    section.fail_between({"obj_loss", "obj_target", "rescore", "classfix", "objectness_smooth"},
                         cat(name_of(o.loss),
                             " needs hard targets, and here the target is an IoU; use "
                             "obj_target=one, or obj_loss=",
                             other));
}

bool has_posterior(const LogitLoss& loss, const PosteriorWeights& weights) {
  constexpr double kFar = 200, kEnd = 1e-3;
  return std::visit(
      [&](const auto& l) {
        if constexpr (losses::OfBatch<std::decay_t<decltype(l)>>) return false;
        return posterior(l, -kFar, weights) < kEnd && posterior(l, kFar, weights) > 1 - kEnd;
      },
      loss);
}

void require_posterior(const Section& section, const Objectness& o, bool soft,
                       const PosteriorWeights& weights) {
  if (!o.calibrate) return;
  if (soft)
    section.fail_between(
        {"obj_calibrate", "obj_target", "rescore", "classfix", "objectness_smooth"},
        "obj_calibrate=1 needs hard targets: where they are an IoU, the "
        "objectness is not the probability of an object; use obj_target=one");
  if (!has_posterior(o.loss, weights))
    section.fail_between(
        {"obj_calibrate", "obj_loss", "obj_alpha", "obj_margin", "object_scale", "noobject_scale"},
        cat("obj_calibrate=1: with these keys no probability of an object follows "
            "from the loss ",
            name_of(o.loss),
            ": it has no gradient of objects, or none of background, or none of "
            "background near p = 1, or it weighs anchors by their batch"));
}

void describe_objectness(KeyDocs& docs, std::string_view without) {
  docs.add(ObjectnessKeys{.without = without});
  docs.add(CalibrationKey{});
  describe_losses<LogitLoss>(docs, "obj_");
}

double balancing_offset(const LogitLoss& loss, std::span<const float> logits, const Balance& b) {
  return std::visit(
      [&](const auto& l) {
        return root_of_rising([&](double offset) {
          double gradient = 0;
          for (const float x : logits)
            gradient += b.eta * b.weight_positive * l.gradient(x + offset, 1., true) +
                        (1 - b.eta) * b.weight_negative * l.gradient(x + offset, 0., false);
          return gradient;
        });
      },
      loss);
}

float stationary_prior(const LogitLoss& loss, const Balance& balance) {
  const float zero = 0;
  return static_cast<float>(math::sigmoid(balancing_offset(loss, {&zero, 1}, balance)));
}

double gradient_ratio(const LogitLoss& loss, const Balance& balance) {
  const float zero = 0;
  const auto at_prior = [&](const LogitLoss& l) {
    return gradient_of_positive(l, balancing_offset(l, {&zero, 1}, balance));
  };
  return at_prior(losses::CrossEntropy{}) / at_prior(loss);
}

}  // namespace darknet
