// [softmax] groups, temperature, spatial, noloss, tree: probabilities that sum to one over an
// image, a group of its channels, or with spatial=1 the channels of each pixel. With targets it is
// trained by its cross-entropy, or by focal loss (cls_loss, cls_gamma). With a class tree each
// group of siblings has a softmax: of the probabilities given the parent in training, while
// inference gives those of the leaves, which sum to one too. [cost] type, scale: the loss of a
// network's outputs against targets.
#include <algorithm>

#include "cfg/key_files.h"
#include "core/for_each.h"
#include "core/math.h"
#include "kernels/copy.h"
#include "layers/class_tree.h"
#include "layers/targets.h"
#include "layers/tree_softmax.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"
#include "nn/target_loss.h"

namespace darknet {
namespace {

// One softmax: `pixels` pixels from `pixel`, `channels` channels from `channel`.
struct Row {
  std::int64_t pixel, pixels, channel, channels;
};

struct Rows {
  std::int64_t pixels, channels, groups;  // groups of channels that share pixels
  std::int64_t count;
  const std::int32_t* begins;  // of a class tree: where each group begins, and the end; or null
  DN_HD Row row(std::int64_t i) const {
    if (begins) {
      const std::int64_t group = i % groups;
      return {i / groups, 1, begins[group], begins[group + 1] - begins[group]};
    }
    return {i / groups * pixels, pixels, i % groups * channels, channels};
  }
};

DN_HD float largest_of(const View<const float>& in, const Row& r) {
  float largest = in.at(r.pixel, r.channel);
  for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
    for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
      largest = math::max(largest, in.at(p, c));
  return largest;
}

struct Softmax {  // one row each
  Rows rows;
  View<const float> in;
  View<float> out;
  float temperature;
  DN_HD void operator()(std::int64_t i) const {
    const Row r = rows.row(i);
    const float largest = largest_of(in, r);
    float sum = 0;
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        sum += out.at(p, c) = math::exp((in.at(p, c) - largest) / temperature);
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c) out.at(p, c) /= sum;
  }
};

struct SoftmaxBackward {  // dx = p (g - sum(g p)) / T over a row
  Rows rows;
  View<const float> out, gradient;
  Sink<float> in;
  float temperature;
  DN_HD void operator()(std::int64_t i) const {
    const Row r = rows.row(i);
    float sum = 0;
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        sum += gradient.at(p, c) * out.at(p, c);
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        in.put(p, c, out.at(p, c) * (gradient.at(p, c) - sum) / temperature);
  }
};

struct CrossEntropy {  // dx = (p - t) / T
  Targets targets;
  View<const float> out;
  Sink<float> in;
  float temperature;
  const StepState* step;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    in.put(p, c, loss_scale(step) * (out.at(p, c) - targets.at(p, c)) / temperature);
  }
};

// Focal loss of more than two classes (Lin et al., ICCV 2017): the sum over the classes of t f(p),
// f(p) = -(1 - p)^gamma log p. gamma 0 is the cross-entropy.
struct SoftmaxFocal {
  float gamma = 0;
  DN_HD float value(float p, float log_p) const {
    return gamma == 0 ? -log_p : -math::pow(math::max(1 - p, 0.f), gamma) * log_p;
  }
  // p f'(p)
  DN_HD float slope(float p) const {
    if (gamma == 0) return -1;
    const float q = 1 - p;
    if (!(q > 0)) return 0;
    const float own = p > 0 ? gamma * p * math::pow(q, gamma - 1) * math::log(p) : 0;
    return own - math::pow(q, gamma);
  }
};

// Of one row, from its logits.
struct SoftmaxLoss {
  Rows rows;
  Targets targets;
  View<const float> in, out;
  float temperature;
  SoftmaxFocal loss;
  DN_HD HeadTelemetry operator()(std::int64_t i) const {
    const Row r = rows.row(i);
    const float largest = largest_of(in, r);
    float sum = 0;
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        sum += math::exp((in.at(p, c) - largest) / temperature);
    const float log_sum = math::log(sum);
    HeadTelemetry t;
    t.not_finite = log_sum - log_sum == 0 ? 0 : 1;
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        if (const float target = targets.at(p, c); target != 0)
          t.class_loss +=
              target * loss.value(out.at(p, c), (in.at(p, c) - largest) / temperature - log_sum);
    return t;
  }
};

// dx = (p sum(g) - g) / T with g = -t p f'(p), a row each.
struct SoftmaxFocalGradient {
  Rows rows;
  Targets targets;
  View<const float> out;
  Sink<float> in;
  float temperature;
  SoftmaxFocal loss;
  const StepState* step;
  DN_HD float term(std::int64_t p, std::int64_t c) const {
    const float target = targets.at(p, c);
    return target == 0 ? 0 : -target * loss.slope(out.at(p, c));
  }
  DN_HD void operator()(std::int64_t i) const {
    const Row r = rows.row(i);
    float sum = 0;
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c) sum += term(p, c);
    for (std::int64_t p = r.pixel; p < r.pixel + r.pixels; ++p)
      for (std::int64_t c = r.channel; c < r.channel + r.channels; ++c)
        in.put(p, c, loss_scale(step) * (out.at(p, c) * sum - term(p, c)) / temperature);
  }
};

enum class SoftmaxLossKind : std::uint8_t { softmax, focal };
constexpr auto choices(SoftmaxLossKind) {
  return std::to_array<Named<SoftmaxLossKind>>(
      {{"softmax", SoftmaxLossKind::softmax}, {"focal", SoftmaxLossKind::focal}});
}

struct SoftmaxKeys {
  std::int64_t groups = 1;
  float temperature = 1;
  bool spatial = false, noloss = false;
  std::string tree;
  SoftmaxLossKind cls_loss = SoftmaxLossKind::softmax;
  float cls_gamma = 2;
  template <class V>
  void fields(V&& v) {
    v("groups", groups, Integers{1, 1 << 20}, "parts that sum to one each");
    v("temperature", temperature, Reals{1e-6f, 1e6f}, "divides the inputs");
    v("spatial", spatial, Flag{}, "a softmax per pixel");
    v("noloss", noloss, Flag{}, "1: not trained by its cross-entropy");
    v("tree", tree, Text{},
      "file of a class tree, as of [region]: a softmax of each group of siblings; at inference "
      "the probabilities of the leaves");
    v("cls_loss", cls_loss, TrainingOnly{Choice<SoftmaxLossKind>{}},
      "loss against the targets of a classifier: softmax, the cross-entropy, or focal");
    v("cls_gamma", cls_gamma, TrainingOnly{Reals{0, 10}},
      "focal: how much well-classified images weigh less; 0: the cross-entropy");
  }
};

class SoftmaxLayer final : public TargetLayer {
 public:
  SoftmaxLayer(Section& section, const LayerContext& context) : TargetLayer(section, context) {
    section.read(softmax_);
    if (!softmax_.tree.empty())
      tree_ = read_class_tree(file_of_key(section, "tree", softmax_.tree));
    for (const char* key : {"groups", "spatial"})
      if (!softmax_.tree.empty() && section.has(key))
        section.ignore(key, "has no effect with tree=: each group of siblings has its softmax");
    const bool focal = softmax_.cls_loss == SoftmaxLossKind::focal;
    if (section.training() && section.has("cls_gamma") && !focal)
      section.ignore("cls_gamma", "has no effect without cls_loss=focal");
    if (section.training() && softmax_.noloss && focal)
      section.ignore("cls_loss", "has no effect with noloss=1");
    if (!softmax_.tree.empty() && softmax_.cls_loss != SoftmaxLossKind::softmax)
      section.fail("cls_loss", "class trees are trained by cross-entropy; leave it out, or tree=");
  }

  bool learns() const override { return !softmax_.noloss; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    const Shape& s = in[0];
    if (!tree_.empty()) return reshape_tree(s, options);
    const std::int64_t groups = softmax_.spatial ? 1 : softmax_.groups;  // Darknet: as here
    if (s.c % groups != 0)
      fail(title(), ": groups=", groups, " does not divide its ", s.c, " channels");
    const std::int64_t pixels = softmax_.spatial ? 1 : s.h * s.w;
    rows_ = {pixels, s.c / groups, groups, s.pixels() / pixels * groups, nullptr};
    Requirements r{.output = s, .needs_input = false};
    if (options.mode != Mode::inference) r.workspace = sums_workspace(rows_.count);
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    for_each(pass.stream, rows_.count,
             Softmax{rows_, in[0].as<>(), out.as<>(), softmax_.temperature});
    if (!tree_.empty() && pass.mode == Mode::inference)
      for_each(pass.stream, out.shape.n,
               KeepLeaves{buffers_.view().nodes, out.shape.c, out.as<>()});
    if (pass.mode == Mode::inference || !pass.targets || softmax_.noloss) return;
    check_targets(*this, pass.targets, out.shape);
    if (!tree_.empty())
      return reduce(pass.stream, out.shape.n,
                    TreeLoss{buffers_.view().nodes, tree_targets(pass, out.shape), out.as<>()},
                    mutable_sums(), pass.workspace);
    reduce(pass.stream, rows_.count,
           SoftmaxLoss{rows_,
                       {pass.targets.as<>(), out.shape},
                       in[0].as<>(),
                       out.as<>(),
                       softmax_.temperature,
                       loss()},
           mutable_sums(), pass.workspace);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const Sink<float> sink{slot.view.as<>(), slot.add};
    if (!pass.targets || softmax_.noloss)
      return for_each(
          pass.stream, rows_.count,
          SoftmaxBackward{rows_, a.out.as<>(), a.out_gradient.as<>(), sink, softmax_.temperature});
    check_targets(*this, pass.targets, a.out.shape);
    if (!tree_.empty()) return learn_tree(pass, a, sink);
    const Targets targets{pass.targets.as<>(), a.out.shape};
    if (softmax_.cls_loss == SoftmaxLossKind::focal)
      return for_each(pass.stream, rows_.count,
                      SoftmaxFocalGradient{rows_, targets, a.out.as<>(), sink, softmax_.temperature,
                                           loss(), pass.step});
    for_each_pixel(pass.stream, a.out.shape,
                   CrossEntropy{targets, a.out.as<>(), sink, softmax_.temperature, pass.step});
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    if (!tree_.empty())
      fail(title(), ": ONNX has no softmax of groups of different sizes, which tree= needs; ",
           "classify with this program or its library");
    const std::string x = graph.scale(in[0].name, 1 / softmax_.temperature);
    const Shape& s = in[0].shape;
    const auto softmax = [&](const std::string& of, std::int64_t axis) {
      return graph.add("Softmax", {of}, {{"axis", axis}});
    };
    if (softmax_.spatial) return softmax(x, 1);
    const std::string groups = graph.reshape(x, {0, rows_.groups, s.features() / rows_.groups});
    return graph.reshape(softmax(groups, 2), {0, s.c, s.h, s.w});
  }

 private:
  std::int64_t sums_workspace(std::int64_t count) {
    if (softmax_.noloss) return 0;
    make_sums();
    return reduce_scratch<HeadTelemetry>(count);
  }

  Requirements reshape_tree(const Shape& s, const PlanOptions& options) {
    const std::int64_t nodes = std::ssize(tree_.nodes);
    if (s.h != 1 || s.w != 1 || s.c != nodes)
      fail(title(), ": its tree has ", nodes, " classes, its input is ", s.w, 'x', s.h, 'x', s.c,
           "; put a [convolutional] with filters=", nodes, " and an [avgpool] before it");
    buffers_.upload(context_.device, tree_, {});
    const ClassTreeView& tree = buffers_.view();
    rows_ = {1, 0, tree.group_count, s.n * tree.group_count, tree.groups};
    Requirements r{.output = s, .needs_input = false};
    if (options.mode != Mode::inference)
      r.workspace = std::max(s.n * std::int64_t{sizeof(std::int32_t)}, sums_workspace(s.n));
    return r;
  }
  static FindTarget tree_targets(const Pass& pass, const Shape& out) {
    return {pass.targets.reshaped(out).as<>(), static_cast<std::int32_t*>(pass.workspace)};
  }
  void learn_tree(const Pass& pass, const BackwardArguments& a, const Sink<float>& sink) const {
    const FindTarget find = tree_targets(pass, a.out.shape);
    for_each(pass.stream, a.out.shape.n, find);
    for_each_pixel(pass.stream, a.out.shape,
                   TreeCrossEntropy{buffers_.view().nodes, find.nodes, a.out.as<>(), sink,
                                    softmax_.temperature, pass.step});
  }

  SoftmaxFocal loss() const {
    return {softmax_.cls_loss == SoftmaxLossKind::focal ? softmax_.cls_gamma : 0};
  }

  SoftmaxKeys softmax_;
  Rows rows_{};
  ClassTree tree_;
  ClassTreeBuffers buffers_;
};

constexpr float kIgnored = -1234;  // Darknet: SECRET_NUM, a target that masked costs skip

enum class CostKind : std::uint8_t { sse, masked, smooth };
constexpr auto choices(CostKind) {
  return std::to_array<Named<CostKind>>(
      {{"sse", CostKind::sse}, {"masked", CostKind::masked}, {"smooth", CostKind::smooth}});
}

template <CostKind kKind>
struct CostLoss {  // of one element
  Targets targets;
  View<const float> in;
  float scale;
  DN_HD HeadTelemetry operator()(std::int64_t i) const {
    const std::int64_t p = i / targets.shape.c, c = i % targets.shape.c;
    const float t = targets.at(p, c), x = in.at(p, c), d = x - t;
    HeadTelemetry sum;
    sum.class_loss = scale * d * d / 2;
    if constexpr (kKind == CostKind::masked)
      if (t == kIgnored) sum.class_loss = 0;
    if constexpr (kKind == CostKind::smooth)
      if (math::abs(d) > 1) sum.class_loss = scale * (math::abs(d) - .5f);
    sum.not_finite = x - x == 0 ? 0 : 1;
    return sum;
  }
};

template <CostKind kKind>
struct CostGradient {
  Targets targets;
  View<const float> in;
  Sink<float> to;
  float scale;
  const StepState* step;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float t = targets.at(p, c);
    float d = in.at(p, c) - t;  // of sse: (x - t)^2 / 2
    if constexpr (kKind == CostKind::masked) d = t == kIgnored ? 0 : d;
    if constexpr (kKind == CostKind::smooth) d = math::clamp(d, -1.f, 1.f);  // Huber
    to.put(p, c, loss_scale(step) * scale * d);
  }
};

struct CostKeys {
  CostKind type = CostKind::sse;
  float scale = 1;
  template <class V>
  void fields(V&& v) {
    v("type", type, TrainingOnly{Choice<CostKind>{}}, "of the loss");
    v("scale", scale, TrainingOnly{Reals{0, 1e6f}}, "factor on the loss");
  }
};

// Its output is its input: the loss is only in the gradient and in the sums.
class CostLayer final : public TargetLayer {
 public:
  CostLayer(Section& section, const LayerContext& context) : TargetLayer(section, context) {
    section.read(cost_);
  }

  bool alone() const override { return false; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    Requirements r{.output = in[0], .needs_output = false, .in_place = true};
    if (options.mode == Mode::inference) return r;
    make_sums();
    r.workspace = reduce_scratch<HeadTelemetry>(in[0].size());
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (in[0].data != out.data) copy_pixels(pass.stream, in[0], out);
    if (pass.mode == Mode::inference || !pass.targets) return;
    check_targets(*this, pass.targets, out.shape);
    with_kind([&]<CostKind kKind>() {
      reduce(pass.stream, out.shape.size(),
             CostLoss<kKind>{{pass.targets.as<>(), out.shape}, out.as<>(), cost_.scale},
             mutable_sums(), pass.workspace);
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const Sink<float> sink{slot.view.as<>(), slot.add};
    if (!pass.targets) return put_pixels(pass.stream, a.out_gradient, slot.view, slot.add);
    check_targets(*this, pass.targets, a.in[0].shape);
    with_kind([&]<CostKind kKind>() {
      for_each_pixel(
          pass.stream, a.in[0].shape,
          CostGradient<kKind>{
              {pass.targets.as<>(), a.in[0].shape}, a.in[0].as<>(), sink, cost_.scale, pass.step});
    });
  }

  LayerSummary summary() const override { return {.note = std::string(name_of(cost_.type))}; }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("Identity", {in[0].name});
  }

 private:
  template <class F>
  void with_kind(F f) const {
    switch (cost_.type) {
      case CostKind::sse:
        return f.template operator()<CostKind::sse>();
      case CostKind::masked:
        return f.template operator()<CostKind::masked>();
      case CostKind::smooth:
        return f.template operator()<CostKind::smooth>();
    }
  }

  CostKeys cost_;
};

}  // namespace

LayerPtr make_softmax(Section& section, const LayerContext& context) {
  return std::make_unique<SoftmaxLayer>(section, context);
}

void describe_softmax(KeyDocs& docs) { docs.add(SoftmaxKeys{}); }

LayerPtr make_cost(Section& section, const LayerContext& context) {
  return std::make_unique<CostLayer>(section, context);
}

void describe_cost(KeyDocs& docs) { docs.add(CostKeys{}); }

}  // namespace darknet
