#include "layers/yolo_head.h"

#include <set>

namespace darknet {

void check_lists(Section& section, YoloKeys& keys, YoloLists& lists) {
  const std::int64_t given = std::ssize(lists.anchors.sides) / 2;
  for (const std::int64_t m : lists.mask)
    if (m >= keys.num && m < given) {
      if (given > kMaxAnchors)
        section.fail("anchors", cat(given, " anchors are given for mask=", m, ", at most ",
                                    kMaxAnchors, " have room; leave out those that no mask names"));
      section.ignore("num", cat("mask=", m, " is none of ", keys.num, " anchors, counted from 0; ",
                                given, " are given and count"));
      keys.num = given;
    }
  take_anchors(section, keys.num, lists.anchors);
  for (const std::int64_t m : lists.mask)
    if (m >= keys.num)
      section.fail_between({"mask", "num"},
                           cat("there is no anchor ", m, " among ", keys.num, ", counted from 0"));
  if (std::set(lists.mask.begin(), lists.mask.end()).size() != lists.mask.size())
    section.fail("mask", "an anchor is named twice");
  const auto counters = std::ssize(lists.counters_per_class);
  if (section.training() && counters > 0 && counters != keys.classes)
    section.fail_between(
        {"counters_per_class", "classes"},
        cat("classes=", keys.classes, " need as many numbers, there are ", counters));
}

void check_yolo_losses(const Section& section, const YoloKeys& keys, const Objectness& objectness,
                       const SigmoidClassLoss& class_loss) {
  const ObjectnessRules& rules = objectness.rules;
  const bool smooth = keys.objectness_smooth && rules.target_from_keys();
  require_hard_targets(section, objectness, smooth || rules.target_is_overlap());
  require_posterior(section, objectness, smooth || rules.target_is_overlap());
  if (keys.label_smooth_eps > 0)
    require_hard_class_targets(section, class_loss, "label_smooth_eps");
  if (smooth && differs_by_class(class_loss))  // positives may then have a negative's gradient
    require_hard_class_targets(section, class_loss, "objectness_smooth");
  if (keys.truth_thresh < 1 && objectness.needs_labels)
    section.fail_between(
        {"truth_thresh", "obj_norm", "obj_prior", "obj_normalizer"},
        "with truth_thresh below 1 the positives depend on predictions and cannot be counted "
        "from the labels, as obj_norm=positives or positives_ema, obj_prior=auto and "
        "obj_normalizer=auto ask");
}

// Where nothing is trained the number of counts was not checked.
std::vector<float> class_multipliers(const YoloKeys& keys,
                                     const std::vector<std::int64_t>& counts) {
  std::vector<float> values;
  if (std::ssize(counts) != keys.classes) return values;
  const auto max = static_cast<float>(*std::max_element(counts.begin(), counts.end()));
  for (const std::int64_t count : counts) {
    const float m = max / static_cast<float>(count);
    values.push_back(keys.max_delta > 0 ? std::min(m, keys.max_delta) : m);
  }
  return values;
}

}  // namespace darknet
