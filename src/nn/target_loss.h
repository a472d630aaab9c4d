// What the layers [softmax], [logistic] and [cost] offer to the trainer, and the losses of a
// network: those of its detection heads, or, where it has none, that against the targets of whole
// images.
#pragma once
#include <cstdint>
#include <vector>
#include "detect/telemetry.h"

namespace darknet {

class Head;
class Network;

class TargetLoss {
 public:
  virtual ~TargetLoss() = default;
  // Whether the layer computes a loss from the targets; false (noloss=1): it only passes gradients
  // on.
  virtual bool learns() const = 0;
  // For target_layer(): only another layer that is alone() replaces this one, so that a later
  // [cost] does not.
  virtual bool alone() const = 0;
  // The loss of the last training pass with targets, on the device.
  virtual const HeadTelemetry* sums() const = 0;
};

// The layer whose loss against the targets counts as the network's, as in the log: the last that
// learns(), but for what alone() says. -1: none.
std::int64_t target_layer(const Network&);

struct LossAt {
  std::int64_t layer = 0;
  Head* head = nullptr;  // null: of targets
  const HeadTelemetry* sums = nullptr;
};
// In the order of the layers.
std::vector<LossAt> losses_of(const Network&);

}  // namespace darknet
