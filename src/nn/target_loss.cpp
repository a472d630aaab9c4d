#include "nn/target_loss.h"

#include "nn/network.h"

namespace darknet {

std::int64_t target_layer(const Network& net) {
  std::int64_t found = -1;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const TargetLoss* const loss = net.layer(i).target_loss();
    if (!loss || !loss->learns()) continue;
    if (loss->alone() || found < 0 || !net.layer(found).target_loss()->alone()) found = i;
  }
  return found;
}

std::vector<LossAt> losses_of(const Network& net) {
  std::vector<LossAt> all;
  for (const HeadAt& at : net.heads()) all.push_back({at.layer, at.head, at.head->sums()});
  if (!all.empty()) return all;
  if (const std::int64_t layer = target_layer(net); layer >= 0)
    all.push_back({layer, nullptr, net.layer(layer).target_loss()->sums()});
  return all;
}

}  // namespace darknet
