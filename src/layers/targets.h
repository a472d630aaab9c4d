// Shared by the layers whose loss compares with targets of whole images: [softmax], [cost],
// [logistic].
#pragma once
#include "core/for_each.h"
#include "core/tensor.h"
#include "nn/layer.h"
#include "nn/target_loss.h"

namespace darknet {

// The target of element (p, c); targets are in Darknet's CHW order.
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

// Works in f32, like every loss. With targets, backward() does not use the gradient from above,
// except with noloss=1.
class TargetLayer : public Layer, public TargetLoss {
 public:
  using Layer::Layer;

  bool works_in_f32() const final { return true; }
  const TargetLoss* target_loss() const final { return this; }
  bool learns() const override { return true; }
  bool alone() const override { return learns(); }
  const HeadTelemetry* sums() const final {
    return static_cast<const HeadTelemetry*>(sums_.data());
  }

 protected:
  // For training, before the first pass.
  void make_sums() {
    if (sums_.bytes() == 0) sums_ = Buffer(context_.device, sizeof(HeadTelemetry));
  }
  // Device memory for the sums of a pass; null before make_sums().
  HeadTelemetry* mutable_sums() { return static_cast<HeadTelemetry*>(sums_.data()); }

 private:
  Buffer sums_;
};

}  // namespace darknet
