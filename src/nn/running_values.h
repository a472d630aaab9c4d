// What the losses of all detection heads of a network keep from step to step.
#pragma once
#include <cstdint>
#include <vector>
#include "detect/running_values.h"
#include "nn/network.h"

namespace darknet {

struct RunningAt {
  std::int64_t layer = 0;
  RunningValues* values = nullptr;
};

// In the order of the layers; the same for every network of a cfg.
inline std::vector<RunningAt> running_values(const Network& net) {
  std::vector<RunningAt> all;
  for (const HeadAt& at : net.heads())
    for (RunningValues* values : at.head->running()) all.push_back({at.layer, values});
  return all;
}

}  // namespace darknet
