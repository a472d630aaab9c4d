#include "nn/net_settings.h"

#include "cfg/legacy_keys.h"

namespace darknet {

namespace {

void check_training(const Section& section, const NetSettings& net) {
  if (net.batch % net.subdivisions != 0)
    section.fail("subdivisions",
                 cat("batch=", net.batch, " is not a multiple of ", net.subdivisions));
  if (net.policy == "steps" && net.steps.size() != net.scales.size())
    section.fail("scales",
                 cat("there are ", net.scales.size(), " scales for ", net.steps.size(), " steps"));
  if (net.policy == "steps" && net.steps.empty())
    section.fail("steps", "policy=steps needs steps and scales");
  if ((net.policy == "poly" || net.policy == "sgdr") && net.max_batches == 0)
    section.fail("max_batches", cat("policy=", net.policy, " needs max_batches"));
}

}  // namespace

NetSettings read_net(Section& section) {
  if (section.type() != "net" && section.type() != "network")
    fail_at(section.where(), "the first section must be [net], not [", section.type(), "]");
  NetSettings net;
  section.read(net);
  take_legacy_keys(section, "net");
  section.finish();
  if (section.training()) check_training(section, net);
  return net;
}

std::int64_t images_of_part(const NetSettings& net, std::int64_t replicas, const Where& where) {
  const std::int64_t parts = net.subdivisions * replicas;
  if (net.batch % parts != 0)
    fail_at(where, "[net] batch=", net.batch, ": ", replicas,
            " devices with subdivisions=", net.subdivisions, " need a multiple of ", parts);
  return net.batch / parts;
}

}  // namespace darknet
