#include "losses/objectness.h"

#include "core/number.h"

namespace darknet {
namespace {

float read_prior(Section& section, const std::string& text, const LogitLoss& loss) {
  if (text == "auto") {
    if (const std::string_view why = traits_of(loss).no_automatic_prior; !why.empty())
      section.fail_between({"obj_prior", "obj_loss"},
                           cat("obj_prior=auto is not for obj_loss=", name_of(loss), ", ", why));
    return -1;
  }
  float prior = 0;
  if (!read_number(text, prior) || !(prior >= 0 && prior < 1))
    section.fail("obj_prior", cat("expected auto or a number in [0, 1), got '", text, "'"));
  return prior;
}

}  // namespace

Objectness read_objectness(Section& section, std::string_view default_loss) {
  ObjectnessKeys keys;
  section.read_training(keys);
  Objectness o{.rules = keys.rules};
  o.loss = read_loss<LogitLoss>(section, "obj_",
                                keys.loss.empty() ? default_loss : std::string_view(keys.loss));
  if (section.training()) o.prior = read_prior(section, keys.prior, o.loss);
  return o;
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

void describe_objectness(KeyDocs& docs, std::string_view without) {
  docs.add(ObjectnessKeys{.without = without});
  describe_losses<LogitLoss>(docs, "obj_");
}

float stationary_prior(const LogitLoss& loss, double eta, double weight_positive,
                       double weight_negative) {
  const auto balance = [&](double x) {
    return std::visit(
        [&](const auto& l) {
          return eta * weight_positive * l.gradient(x, 1., true) +
                 (1 - eta) * weight_negative * l.gradient(x, 0., false);
        },
        loss);
  };
  double lo = -40, hi = 40;  // the balance rises through zero once between them
  for (int i = 0; i < 100; ++i) {
    const double middle = (lo + hi) / 2;
    (balance(middle) < 0 ? lo : hi) = middle;
  }
  return static_cast<float>(math::sigmoid((lo + hi) / 2));
}

}  // namespace darknet
