#include "layers/output_stage.h"

#include <utility>

#include "core/parts.h"

namespace darknet {
namespace {

class StagedLayer final : public Layer {
 public:
  StagedLayer(LayerPtr layer, std::unique_ptr<OutputStage> stage, Section& section,
              const LayerContext& context)
      : Layer(section, context), layer_(std::move(layer)), stage_(std::move(stage)) {}

  Layer& layer() { return *layer_; }

  std::vector<std::int64_t> sources() const override { return layer_->sources(); }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    if (keys().train_only_bn) layer_->train_only_batch_norm();
    layer_->set_network_size(context_.net_height, context_.net_width);
    needs_ = layer_->reshape(in, ops, options);
    type_ = options.precision;
    keeps_ = options.mode == Mode::training && (needs_.needs_output || stage_->needs_input());
    Requirements r = needs_;
    try {
      r.output = stage_->output(needs_.output);
    } catch (const Error& e) {
      fail(title(), ": ", e.what());
    }
    r.needs_output = r.in_place = false;
    const std::int64_t bytes = needs_.output.size() * size_of(type_);
    Parts workspace, saved;
    workspace.take(needs_.workspace);
    between_at_ = workspace.take(bytes);
    r.workspace = workspace.total();
    if (keeps_) {
      saved.take(needs_.saved);
      kept_at_ = saved.take(bytes);
      r.saved = saved.total();
    }
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    const TensorView value = keeps_ ? kept(pass) : between(pass);
    layer_->forward(pass, in, value);
    stage_->forward(pass.stream, value, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const TensorView value = keeps_ ? kept(pass) : TensorView{}, gradient = between(pass);
    stage_->backward(pass.stream, value, a.out_gradient, gradient);
    layer_->backward(pass, {.in = a.in,
                            .out = needs_.needs_output ? value : TensorView{},
                            .out_gradient = gradient,
                            .in_gradient = a.in_gradient});
  }

  std::vector<Parameter*> parameters() override { return layer_->parameters(); }
  void initialise(std::uint64_t seed) override { layer_->initialise(seed); }
  void parameters_changed(const Stream& s, void* workspace) override {
    layer_->parameters_changed(s, workspace);
  }
  std::int64_t shares() const override { return layer_->shares(); }
  void share(Layer& owner, const Section& section) override { layer_->share(owner, section); }
  bool fixes_input_size() const override { return layer_->fixes_input_size(); }
  // Not convolution(): its output is not what quantisation would have to measure.
  std::optional<ConvolutionWork> planned_convolution() const override {
    return layer_->planned_convolution();
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return stage_->to_onnx(graph, layer_->to_onnx(graph, in), needs_.output);
  }

  LayerSummary summary() const override {
    LayerSummary s = layer_->summary();
    s.note += cat(s.note.empty() ? "" : ", ", stage_->note());
    return s;
  }

 private:
  TensorView view_of(void* data) const { return {data, type_, needs_.output, needs_.output.c}; }
  TensorView between(const Pass& pass) const { return view_of(part(pass.workspace, between_at_)); }
  TensorView kept(const Pass& pass) const { return view_of(part(pass.saved, kept_at_)); }

  LayerPtr layer_;
  std::unique_ptr<OutputStage> stage_;
  Requirements needs_;  // of layer_
  DType type_ = DType::f32;
  // What lies between the two, or its gradient, behind the workspace of layer_; where backward
  // needs the values they are kept behind what layer_ saves.
  std::int64_t between_at_ = 0, kept_at_ = 0;
  bool keeps_ = false;
};

}  // namespace

LayerPtr with_output_stage(LayerPtr layer, std::unique_ptr<OutputStage> stage, Section& section,
                           const LayerContext& context) {
  return std::make_unique<StagedLayer>(std::move(layer), std::move(stage), section, context);
}

Layer& without_output_stage(Layer& layer) {
  auto* const staged = dynamic_cast<StagedLayer*>(&layer);
  return staged ? without_output_stage(staged->layer()) : layer;
}

}  // namespace darknet
