// [local]: a convolution whose weights are another set at every place of its output (YOLOv1). One
// product of matrices for each place: patches of all images by the place's weights.
#include <algorithm>
#include "core/for_each.h"
#include "core/index.h"
#include "core/parts.h"
#include "kernels/copy.h"
#include "layers/shared_keys.h"
#include "nn/channel_parameters.h"
#include "nn/output_activation.h"

namespace darknet {
namespace {

struct LocalKeys {
  std::int64_t filters = 1, size = 1, stride = 1;
  bool pad = false;
  Activation activation = activations::Logistic{};
  template <class V>
  void fields(V&& v) {
    filters_field(v, filters);
    kernel_size_field(v, size);
    kernel_stride_field(v, stride);
    pad_field(v, pad);
    v("activation", activation, Choice<Activation>{}, "function of the result");
  }
};

// Arrays by place have the order {places, images, ...}.
struct LocalGeometry {
  Shape in, out;
  std::int64_t size, stride, pad;

  DN_HD std::int64_t places() const { return out.h * out.w; }
  DN_HD std::int64_t taps() const { return size * size; }
  std::int64_t inputs() const { return taps() * in.c; }                // of one output
  std::int64_t patches() const { return places() * in.n * inputs(); }  // values of all
  Shape patch_rows() const { return {places(), in.n, taps(), in.c}; }  // of for_each_pixel
  DN_HD std::int64_t by_place(std::int64_t pixel) const {              // row of an output pixel
    return pixel % places() * in.n + pixel / places();
  }
};

struct TakePatches {
  LocalGeometry g;
  View<const float> in;
  float* to;
  DN_HD void operator()(std::int64_t row, std::int64_t c) const {
    const std::int64_t tap = row % g.taps(), n = row / g.taps() % g.in.n,
                       place = row / (g.taps() * g.in.n);
    const std::int64_t y = place / g.out.w * g.stride - g.pad + tap / g.size,
                       x = place % g.out.w * g.stride - g.pad + tap % g.size;
    const bool inside = y >= 0 && x >= 0 && y < g.in.h && x < g.in.w;
    to[row * g.in.c + c] = inside ? in.at(in.pixel(n, y, x), c) : 0;
  }
};

// The gradient of an input value is the sum of those of its copies.
struct PutPatches {
  LocalGeometry g;
  const float* from;
  Sink<float> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const std::int64_t x = p % g.in.w + g.pad, y = p / g.in.w % g.in.h + g.pad,
                       n = p / (g.in.w * g.in.h);
    float sum = 0;
    for (std::int64_t tap = 0; tap < g.taps(); ++tap) {
      const std::int64_t top = y - tap / g.size, left = x - tap % g.size;
      if (top < 0 || left < 0 || top % g.stride != 0 || left % g.stride != 0) continue;
      const std::int64_t row = top / g.stride, column = left / g.stride;
      if (row >= g.out.h || column >= g.out.w) continue;
      sum += from[(((row * g.out.w + column) * g.in.n + n) * g.taps() + tap) * g.in.c + c];
    }
    in.put(p, c, sum);
  }
};

struct AddLocalBias {
  LocalGeometry g;
  const float *sums, *bias;  // the bias in the order of files: {filters, places}
  View<float> out;
  DN_HD void operator()(std::int64_t p, std::int64_t k) const {
    out.at(p, k) = sums[g.by_place(p) * g.out.c + k] + bias[k * g.places() + p % g.places()];
  }
};

struct GatherByPlace {
  LocalGeometry g;
  View<const float> from;
  float* to;
  DN_HD void operator()(std::int64_t p, std::int64_t k) const {
    to[g.by_place(p) * g.out.c + k] = from.at(p, k);
  }
};

struct AddBiasGradient {
  LocalGeometry g;
  const float* by_place;
  float* bias;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t k = i / g.places(), place = i % g.places();
    float sum = 0;
    for (std::int64_t n = 0; n < g.in.n; ++n) sum += by_place[(place * g.in.n + n) * g.out.c + k];
    bias[i] += sum;
  }
};

class LocalLayer final : public Layer {
 public:
  LocalLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(local_);
    activation_ = OutputActivation(local_.activation);
  }

  // Its time goes into reading the weights, which are f32.
  bool works_in_f32() const override { return true; }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    g_ = geometry(in[0]);
    make_parameters();
    const std::int64_t n = in[0].n, k = g_.inputs(), filters = local_.filters;
    forward_ =
        ops.gemm({.m = n, .n = filters, .k = k, .transpose_b = true, .exact = options.exact});
    Requirements r{.output = g_.out};
    activation_.require(r, options);
    std::int64_t products = forward_->workspace();
    if (options.mode == Mode::training) {
      weights_plan_ = ops.gemm(
          {.m = filters, .n = k, .k = n, .transpose_a = true, .beta = 1, .exact = options.exact});
      input_plan_ = ops.gemm({.m = n, .n = k, .k = filters, .exact = options.exact});
      products = std::max({products, weights_plan_->workspace(), input_plan_->workspace()});
    }
    Parts parts;
    parts.take(g_.patches() * std::int64_t{sizeof(float)});
    sums_at_ = parts.take(g_.out.size() * std::int64_t{sizeof(float)});
    products_at_ = parts.take(products);
    r.workspace = parts.total();
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    float* const patches = take_patches(pass, in[0]);
    float* const sums = part<float>(pass.workspace, sums_at_);
    const std::int64_t n = g_.in.n, filters = local_.filters;
    for (std::int64_t p = 0; p < g_.places(); ++p)
      forward_->run(pass.stream, patches + p * n * g_.inputs(), weights_at(p),
                    sums + p * n * filters, part(pass.workspace, products_at_));
    const TensorView before = activation_.before(pass, out);
    for_each_pixel(pass.stream, out.shape,
                   AddLocalBias{g_, sums, bias_.value.data(), before.as<>()});
    activation_.forward(pass, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    activation_.backward(pass, a.out, a.out_gradient);
    float* const gradient = part<float>(pass.workspace, sums_at_);
    for_each_pixel(pass.stream, g_.out, GatherByPlace{g_, a.out_gradient.as<>(), gradient});
    if (float* const bias = bias_.summed_gradient())
      for_each(pass.stream, g_.places() * g_.out.c, AddBiasGradient{g_, gradient, bias});
    if (float* const sum = weights_.summed_gradient()) add_weights_gradient(pass, a.in[0], sum);
    if (a.in_gradient[0].view) put_input_gradient(pass, a.in_gradient[0]);
  }

  bool absorb(Layer& next) override {
    if (next.accept_activation(local_.activation)) activation_ = OutputActivation();
    return false;
  }

  std::vector<Parameter*> parameters() override {
    if (weights_.value.empty()) return {};
    return {&bias_, &weights_};
  }

  void initialise(std::uint64_t seed) override {
    initialise_weights(weights_, seed, context_.index);
    bias_.value.copy_from({.device = context_.device},
                          std::vector<float>(to_size(bias_.value.size()), 0.f));
  }

  // A Gemm for each place.
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const Stream stream{.device = context_.device};
    const std::vector<float> weights =
        in_file_order(weights_.value.shape(), weights_.value.to_host(stream));
    const std::vector<float> bias = bias_.value.to_host(stream);
    const std::int64_t filters = local_.filters, pad = g_.pad, places = g_.places();
    std::string x = in[0].name;
    if (pad > 0)
      x = graph.add("Pad", {x, graph.integers("pads", {0, 0, pad, pad, 0, 0, pad, pad})});
    std::vector<std::string> columns;
    for (std::int64_t p = 0; p < places; ++p) {
      const std::int64_t y = p / g_.out.w * g_.stride, xx = p % g_.out.w * g_.stride;
      const auto first = weights.begin() + p * filters * g_.inputs();
      std::vector<float> own_bias;
      for (std::int64_t k = 0; k < filters; ++k) own_bias.push_back(bias[to_size(k * places + p)]);
      const std::string patch =
          graph.add("Flatten", {graph.slice(x, {{2, y, y + g_.size}, {3, xx, xx + g_.size}})});
      const std::string w =
          graph.floats("weights", {filters, g_.inputs()}, {first, first + filters * g_.inputs()});
      const std::string b = graph.floats("bias", {filters}, std::move(own_bias));
      const std::string sum = graph.add("Gemm", {patch, w, b}, {{"transB", std::int64_t{1}}});
      columns.push_back(graph.reshape(sum, {0, filters, 1, 1}));
    }
    x = graph.reshape(graph.concat(std::move(columns), 2), {0, filters, g_.out.h, g_.out.w});
    return activation_.to_onnx(graph, x);
  }

  bool fixes_input_size() const override { return g_.in.h * g_.in.w > 1; }

  LayerSummary summary() const override {
    return {.filters = cat(local_.filters),
            .size = cat(local_.size, 'x', local_.size, '/', local_.stride),
            .note = activation_.name(),
            .multiply_adds = g_.in.n * weights_.value.size()};
  }

 private:
  LocalGeometry geometry(const Shape& in) const {
    LocalGeometry g{in, in, local_.size, local_.stride, local_.pad ? local_.size / 2 : 0};
    const auto extent = [&](std::int64_t n) { return (n + 2 * g.pad - g.size) / g.stride + 1; };
    if (in.h + 2 * g.pad < g.size || in.w + 2 * g.pad < g.size)
      fail(title(), ": size=", g.size, " is larger than its input of ", in.w, 'x', in.h);
    g.out = {in.n, extent(in.h), extent(in.w), local_.filters};
    return g;
  }

  void make_parameters() {
    const Shape shape{g_.places() * local_.filters, local_.size, local_.size, g_.in.c};
    checked_size(shape);
    if (weights_.value.empty()) {
      bias_ = make_parameter(*this, Role::bias, vector_shape(g_.places() * local_.filters), false);
      weights_ = make_parameter(*this, Role::weights, shape, false);
    }
    if (weights_.value.shape() != shape)
      fail(title(), ": was made for ", weights_.value.shape().n / local_.filters,
           " places and cannot change to ", g_.out.w, 'x', g_.out.h);
  }

  const float* weights_at(std::int64_t place) const {
    return weights_.value.data() + place * local_.filters * g_.inputs();
  }

  float* take_patches(const Pass& pass, const TensorView& in) const {
    float* const patches = part<float>(pass.workspace, 0);
    for_each_pixel(pass.stream, g_.patch_rows(), TakePatches{g_, in.as<>(), patches});
    return patches;
  }

  void add_weights_gradient(const Pass& pass, const TensorView& in, float* sum) const {
    const float* const patches = take_patches(pass, in);
    const float* const gradient = part<float>(pass.workspace, sums_at_);
    const std::int64_t n = g_.in.n, filters = local_.filters, k = g_.inputs();
    for (std::int64_t p = 0; p < g_.places(); ++p)
      weights_plan_->run(pass.stream, gradient + p * n * filters, patches + p * n * k,
                         sum + p * filters * k, part(pass.workspace, products_at_));
  }

  void put_input_gradient(const Pass& pass, const GradientSlot& slot) const {
    float* const patches = part<float>(pass.workspace, 0);
    const float* const gradient = part<float>(pass.workspace, sums_at_);
    const std::int64_t n = g_.in.n, filters = local_.filters, k = g_.inputs();
    for (std::int64_t p = 0; p < g_.places(); ++p)
      input_plan_->run(pass.stream, gradient + p * n * filters, weights_at(p), patches + p * n * k,
                       part(pass.workspace, products_at_));
    for_each_pixel(pass.stream, slot.view.shape,
                   PutPatches{g_, patches, {slot.view.as<>(), slot.add}});
  }

  LocalKeys local_;
  OutputActivation activation_;
  LocalGeometry g_{};
  Parameter bias_, weights_;  // {places * filters}, {places * filters, size, size, channels}
  std::int64_t sums_at_ = 0, products_at_ = 0;  // parts of the workspace, after the patches
  std::shared_ptr<GemmPlan> forward_, weights_plan_, input_plan_;
};

}  // namespace

LayerPtr make_local(Section& section, const LayerContext& context) {
  return std::make_unique<LocalLayer>(section, context);
}

void describe_local(KeyDocs& docs) { docs.add(LocalKeys{}); }

}  // namespace darknet
