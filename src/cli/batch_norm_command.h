// What `weights fuse` and `weights normalize` have in common: both write a cfg that differs from
// theirs in batch_normalize= alone, and weights with which it computes the same.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/network_arguments.h"
#include "nn/network.h"

namespace darknet::cli {

struct BatchNormArguments : CfgArguments {
  std::string weights, out_cfg, out_weights;
  bool force = false;
};
void add_batch_norm_arguments(const Command&, BatchNormArguments&);

// The layers whose batch_normalize= changes, in their order.
using ChangedLayers = std::function<std::vector<std::int64_t>(Network&)>;

// Writes both files with batch_normalize=`value` in the changed layers; where there are none it
// throws with `none`.
int change_batch_norm(const BatchNormArguments&, const ChangedLayers&, int value, const char* none);

}  // namespace darknet::cli
