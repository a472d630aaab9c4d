// [logistic]: the sigmoid of every input. With targets it is trained by the cross-entropy of each
// output by itself.
#include "core/for_each.h"
#include "core/math.h"
#include "kernels/copy.h"
#include "layers/targets.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct Sigmoids {
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = math::sigmoid(in.at(p, c));
  }
};

struct SigmoidsBackward {
  View<const float> out, gradient;
  Sink<float> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float y = out.at(p, c);
    in.put(p, c, gradient.at(p, c) * y * (1 - y));
  }
};

// -t log y - (1 - t) log(1 - y) of one element, from its logit x: max(x, 0) - t x + log(1 +
// e^-|x|).
struct BinaryCrossEntropy {
  Targets targets;
  View<const float> in;
  DN_HD HeadTelemetry operator()(std::int64_t i) const {
    const std::int64_t p = i / targets.shape.c, c = i % targets.shape.c;
    const float x = in.at(p, c), t = targets.at(p, c);
    HeadTelemetry sum;
    sum.class_loss = math::max(x, 0.f) - t * x + math::log1p(math::exp(-math::abs(x)));
    sum.not_finite = x - x == 0 ? 0 : 1;
    return sum;
  }
};

struct BinaryCrossEntropyGradient {  // dx = y - t
  Targets targets;
  View<const float> out;
  Sink<float> in;
  const StepState* step;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    in.put(p, c, loss_scale(step) * (out.at(p, c) - targets.at(p, c)));
  }
};

class LogisticLayer final : public TargetLayer {
 public:
  using TargetLayer::TargetLayer;

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    Requirements r{.output = in[0], .needs_input = false, .in_place = true};
    if (options.mode == Mode::inference) return r;
    make_sums();
    r.workspace = reduce_scratch<HeadTelemetry>(in[0].size());
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    for_each_pixel(pass.stream, out.shape, Sigmoids{in[0].as<>(), out.as<>()});
    if (pass.mode == Mode::inference || !pass.targets) return;
    check_targets(*this, pass.targets, out.shape);
    reduce(pass.stream, out.shape.size(),
           BinaryCrossEntropy{{pass.targets.as<>(), out.shape}, in[0].as<>()}, mutable_sums(),
           pass.workspace);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const Sink<float> sink{slot.view.as<>(), slot.add};
    if (!pass.targets)
      return for_each_pixel(pass.stream, a.out.shape,
                            SigmoidsBackward{a.out.as<>(), a.out_gradient.as<>(), sink});
    check_targets(*this, pass.targets, a.out.shape);
    for_each_pixel(pass.stream, a.out.shape,
                   BinaryCrossEntropyGradient{
                       {pass.targets.as<>(), a.out.shape}, a.out.as<>(), sink, pass.step});
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("Sigmoid", {in[0].name});
  }
};

}  // namespace

LayerPtr make_logistic(Section& section, const LayerContext& context) {
  return std::make_unique<LogisticLayer>(section, context);
}

void describe_logistic(KeyDocs&) {}

}  // namespace darknet
