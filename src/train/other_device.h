// A further network of a training run on several devices, and its optimizer.
#pragma once
#include <vector>

#include "cfg/section.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/all_reduce.h"

namespace darknet {

class OtherDevice {
 public:
  // From the cfg of the run; begins with everything that `first` has learned.
  OtherDevice(const std::vector<Section>& cfg, const NetworkOptions&, const Replica& first);
  Replica replica() { return {&net_, &optimizer_}; }

 private:
  Network net_;
  Optimizer optimizer_;
};

}  // namespace darknet
