#include "nn/net_settings.h"

#include <algorithm>

#include "cfg/legacy_keys.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/classifier_keys.h"

namespace darknet {

namespace {

void check_training(const Section& section, const NetSettings& net) {
  if (net.batch % net.subdivisions != 0)
    section.fail_between(
        {"subdivisions", "batch"},
        cat("batch=", net.batch, " is not a multiple of subdivisions=", net.subdivisions));
  if (net.optimizer.adam && section.has("optimizer") &&
      !std::holds_alternative<optimizers::Adam>(net.optimizer.chosen))
    section.fail("optimizer", cat("adam=1 asks for adam, optimizer=", name_of(net.optimizer.chosen),
                                  " for another; remove one of them"));
  if (net.policy == Policy::steps && net.steps.empty() && net.scales.empty())
    section.fail_between({"policy"},
                         "policy=steps needs steps and scales; add both, for example "
                         "steps=4000,4500 and scales=.1,.1");
  if (net.policy == Policy::steps && net.steps.size() != net.scales.size())
    section.fail_between(
        {net.scales.empty() ? "steps" : "scales", "steps"},
        cat(plural(std::ssize(net.scales), "scale"), " for ", plural(std::ssize(net.steps), "step"),
            "; give scales= and steps= as many numbers: with policy=steps each step multiplies the "
            "learning rate by its scale"));
  if (!std::ranges::is_sorted(net.steps))
    log::warn(cat(to_string(section.where()),
                  ": [net] steps: not in ascending order; a step behind a larger one comes late"));
  if ((net.policy == Policy::poly || net.policy == Policy::sgdr) && net.max_batches == 0)
    section.fail_between({"max_batches", "policy"},
                         cat("policy=", name_of(net.policy),
                             " needs max_batches, the iterations of the run; add max_batches="));
}

bool changes_colours(const ImageAugmentation& a) {
  return a.hue != 0 || a.saturation != 1 || a.exposure != 1;
}

}  // namespace

NetSettings read_net(Section& section) {
  if (section.type() != "net" && section.type() != "network")
    fail_at(section.where(), "the first section must be [net], not [", section.type(), "]");
  NetSettings net;
  section.read(net);
  read_classifier_keys(section, net, net.augmentation);  // which are checked here, and known
  take_legacy_keys(section, "net");
  section.finish();
  if (section.training()) check_training(section, net);
  if (section.training() && net.channels != 1 && net.channels != 3 &&
      changes_colours(net.augmentation))
    log::warn(cat(to_string(section.where()), ": [net] channels=", net.channels,
                  ": hue, saturation and exposure have no effect; they need 3 channels"));
  return net;
}

std::int64_t images_of_part(const LayerKeys& keys, std::int64_t replicas, const Section& net) {
  const std::int64_t parts = keys.subdivisions * replicas;
  if (keys.batch % parts != 0)
    net.fail_between({"batch", "subdivisions"},
                     cat("batch=", keys.batch, ", but ", plural(replicas, "device"),
                         " with subdivisions=", keys.subdivisions, " need a multiple of ", parts));
  return keys.batch / parts;
}

}  // namespace darknet
