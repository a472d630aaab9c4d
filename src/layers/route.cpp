// [route] layers, groups, group_id: concatenates the channels of earlier layers, or of one group of
// each.
#include "core/for_each.h"
#include "kernels/copy.h"
#include "nn/layer.h"
#include "nn/layer_index.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

template <class T>
struct Clear {  // the gradient of channels that are not taken
  View<T> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const { to.at(p, c) = 0.f; }
};

struct RouteKeys {
  std::vector<std::int64_t> layers;
  std::int64_t groups = 1, group_id = 0;
  template <class V>
  void fields(V&& v) {
    v("layers", layers, ListOf<std::int64_t>{}, "what to concatenate; negative: counted back");
    v("groups", groups, Integers{1, 1 << 16}, "take one of so many parts of each layer's channels");
    v("group_id", group_id, Integers{0, 1 << 16}, "which part, from 0");
  }
};

class RouteLayer final : public Layer {
 public:
  RouteLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(route_);
    sources_ = layer_indices(section, "layers", route_.layers, context);
    if (route_.group_id >= route_.groups)
      section.fail_between({"group_id", "groups"},
                           cat(route_.group_id, " is outside 0 to ", route_.groups - 1));
  }

  std::vector<std::int64_t> sources() const override { return sources_; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    Shape out = in[0];
    out.c = 0;
    counts_.clear();
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (in[i].h != out.h || in[i].w != out.w)
        fail(title(), ": layer ", sources_[i], " is ", in[i].w, 'x', in[i].h, " and layer ",
             sources_[0], " is ", out.w, 'x', out.h, "; only equal sizes can be concatenated");
      if (in[i].c % route_.groups != 0)
        fail(title(), ": the ", in[i].c, " channels of layer ", sources_[i],
             " do not make groups=", route_.groups);
      counts_.push_back(in[i].c / route_.groups);
      out.c += counts_.back();
    }
    const bool alias = in.size() == 1 && route_.groups == 1;
    return {.output = out, .needs_input = false, .needs_output = false, .in_place = alias};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const TensorView from = in[i].channels(counts_[i] * route_.group_id, counts_[i]);
      const TensorView to = out.channels(at, counts_[i]);
      if (from.data != to.data) copy_pixels(pass.stream, from, to);
      at += counts_[i];
    }
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const TensorView gradient = a.out_gradient.channels(at, counts_[i]);
      if (a.in_gradient[i].view) put_gradient(pass.stream, gradient, a.in_gradient[i], counts_[i]);
      at += counts_[i];
    }
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::int64_t first = counts_[i] * route_.group_id;
      parts.push_back(route_.groups == 1
                          ? in[i].name
                          : graph.slice(in[i].name, {{1, first, first + counts_[i]}}));
    }
    return graph.concat(std::move(parts), 1);
  }

  bool keeps_integers() const override { return true; }

  LayerSummary summary() const override {
    std::string note;
    for (const std::int64_t s : sources_) note += cat(note.empty() ? "" : " ", s);
    if (route_.groups > 1) note += cat(", part ", route_.group_id, " of ", route_.groups);
    return {.note = note};
  }

 private:
  void put_gradient(const Stream& s, const TensorView& gradient, const GradientSlot& slot,
                    std::int64_t count) const {
    const std::int64_t first = count * route_.group_id, end = first + count;
    put_pixels(s, gradient, slot.view.channels(first, count), slot.add);
    if (slot.add) return;
    if (first > 0) clear(s, slot.view.channels(0, first));
    if (end < slot.view.shape.c) clear(s, slot.view.channels(end, slot.view.shape.c - end));
  }

  static void clear(const Stream& s, const TensorView& view) {
    with_element(view.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(s, view.shape, Clear<T>{view.as<T>()});
    });
  }

  RouteKeys route_;
  std::vector<std::int64_t> sources_;
  std::vector<std::int64_t> counts_;  // channels taken of each source
};

}  // namespace

LayerPtr make_route(Section& section, const LayerContext& context) {
  return std::make_unique<RouteLayer>(section, context);
}

void describe_route(KeyDocs& docs) { docs.add(RouteKeys{}); }

}  // namespace darknet
