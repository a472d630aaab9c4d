// What the layers that learn the targets of whole images share ([softmax], [cost], [logistic]).
#pragma once
#include "core/for_each.h"
#include "core/tensor.h"
#include "nn/layer.h"
#include "nn/target_loss.h"

namespace darknet {

// Where the target of element (p, c) lies: targets are in Darknet's CHW order.
struct Targets {
  View<const float> of;  // {n, 1, 1, features}
  Shape shape;
  DN_HD float at(std::int64_t p, std::int64_t c) const {
    const std::int64_t area = shape.h * shape.w;
    return of.at(p / area, c * area + p % area);
  }
};

inline void check_targets(const Layer& layer, const TensorView& targets, const Shape& in) {
  if (targets.shape.n != in.n || targets.shape.features() != in.features())
    fail(layer.title(), ": has ", in.features(), " outputs for ", in.n, " images, the targets ",
         targets.shape.features(), " for ", targets.shape.n);
}

// The sums of a training pass with targets: one of the layers' own memory.
class TargetSums {
 public:
  void make(const Device& device) {
    if (sums_.bytes() == 0) sums_ = Buffer(device, sizeof(HeadTelemetry));
  }
  HeadTelemetry* data() const { return static_cast<HeadTelemetry*>(sums_.data()); }

 private:
  Buffer sums_;
};

}  // namespace darknet
