#include "onnx/import.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "kernels/batch_norm.h"
#include "nn/parameters_by_role.h"

namespace darknet {
namespace {

using Dims = std::vector<std::int64_t>;

std::string text_of(const Dims& dims) {
  std::string text;
  for (const std::int64_t d : dims) text += cat(text.empty() ? "" : "x", d);
  return text;
}

// Of a node, for messages: some programs give only tensors names.
std::string title_of(const OnnxNode& node) {
  const bool named = !node.name.empty() || node.outputs.empty();
  return cat(printable(named ? node.name : node.outputs[0]), " (", node.op, ')');
}

template <class T>
T attribute(const OnnxNode& node, const char* name, T otherwise) {
  for (const OnnxAttribute& a : node.attributes)
    if (const T* const value = a.name == name ? std::get_if<T>(&a.value) : nullptr) return *value;
  return otherwise;
}

struct BatchNormValues {
  const OnnxNode* node = nullptr;
  std::vector<float> scale, bias, mean, variance;
  double epsilon = 0;
  std::size_t channels() const { return scale.size(); }
  double factor(std::size_t c) const { return scale[c] / std::sqrt(variance[c] + epsilon); }
};

// A node with values of its own: a product with weights and what normalises it, or the latter
// alone.
struct Operation {
  const OnnxNode* node = nullptr;
  Dims dims;                   // of the weights, the outputs first
  std::vector<float> weights;  // empty: normalisation alone
  std::vector<float> bias;     // of the product; empty: none
  std::optional<BatchNormValues> normalised;
  std::string title() const { return title_of(*node); }
};

class ModelReader {
 public:
  explicit ModelReader(const OnnxModel& model) : model_(model) {
    for (const OnnxTensor& t : model.constants) constants_[t.name] = &t;
  }

  std::vector<Operation> operations() {
    for (const OnnxNode& node : model_.nodes) {
      if (node.op == "Conv" || node.op == "Gemm")
        add_product(node);
      else if (node.op == "BatchNormalization")
        add_batch_norm(node);
      else if (passes_on(node))
        origin_[output(node)] = origin_of(node);
    }
    return std::move(operations_);
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // Of one tensor, without a change of its values.
  static bool passes_on(const OnnxNode& node) {
    constexpr std::array kOps{"Reshape", "Flatten", "Identity", "Cast", "Squeeze", "Unsqueeze"};
    return std::ranges::find(kOps, node.op) != kOps.end();
  }
  static std::string output(const OnnxNode& node) {
    return node.outputs.empty() ? "" : node.outputs[0];
  }
  // The product whose result a node reads.
  std::size_t origin_of(const OnnxNode& node) const {
    const auto at = node.inputs.empty() ? origin_.end() : origin_.find(node.inputs[0]);
    return at == origin_.end() ? kNone : at->second;
  }

  const OnnxTensor& constant(const OnnxNode& node, std::size_t input) const {
    const auto at =
        input < node.inputs.size() ? constants_.find(node.inputs[input]) : constants_.end();
    if (at == constants_.end() || at->second->type == OnnxType::i64 || at->second->floats.empty())
      fail(title_of(node), ": its input ", input, " is no constant of floats, as weights are");
    for (const float v : at->second->floats)
      if (!std::isfinite(v))
        fail(title_of(node), ": its constant ", printable(at->first),
             " holds a value that is not finite");
    return *at->second;
  }

  std::vector<float> list(const OnnxNode& node, std::size_t input, std::int64_t count) const {
    const OnnxTensor& t = constant(node, input);
    if (std::ssize(t.floats) != count)
      fail(title_of(node), ": its constant ", printable(t.name), " has ", t.floats.size(),
           " values for ", count, " outputs");
    return t.floats;
  }

  void add_product(const OnnxNode& node) {
    const OnnxTensor& weights = constant(node, 1);
    Operation made{.node = &node, .dims = weights.dims, .weights = weights.floats};
    if (made.dims.size() < 2)
      fail(made.title(), ": its weights have ", made.dims.size(), " dimensions");
    if (node.op == "Gemm") arrange_matrix(made);
    if (node.inputs.size() > 2 && !node.inputs[2].empty()) made.bias = list(node, 2, made.dims[0]);
    origin_[output(node)] = operations_.size();
    operations_.push_back(std::move(made));
  }

  static void arrange_matrix(Operation& made) {
    const OnnxNode& node = *made.node;
    const bool plain = attribute(node, "alpha", 1.f) == 1 && attribute(node, "beta", 1.f) == 1 &&
                       attribute(node, "transA", std::int64_t{0}) == 0 && made.dims.size() == 2;
    if (!plain) fail(made.title(), ": only the product of an input and a matrix is supported");
    if (attribute(node, "transB", std::int64_t{0}) != 0) return;
    const std::int64_t rows = made.dims[0], columns = made.dims[1];
    for (std::int64_t c = 0; c < columns; ++c)
      for (std::int64_t r = 0; r < rows; ++r)
        made.weights.push_back(made.weights[to_size(r * columns + c)]);
    made.weights.erase(made.weights.begin(), made.weights.begin() + rows * columns);
    made.dims = {columns, rows};
  }

  void add_batch_norm(const OnnxNode& node) {
    const std::int64_t channels = std::ssize(constant(node, 1).floats);
    BatchNormValues values{.node = &node,
                           .scale = list(node, 1, channels),
                           .bias = list(node, 2, channels),
                           .mean = list(node, 3, channels),
                           .variance = list(node, 4, channels),
                           .epsilon = attribute(node, "epsilon", 1e-5f)};
    for (const float v : values.variance)
      if (!(v + values.epsilon > 0)) fail(title_of(node), ": has a variance of ", v);
    const std::size_t of = origin_of(node);
    if (of != kNone && !operations_[of].normalised && operations_[of].dims[0] == channels)
      operations_[of].normalised = std::move(values);
    else
      operations_.push_back({.node = &node, .normalised = std::move(values)});
  }

  const OnnxModel& model_;
  std::map<std::string, const OnnxTensor*> constants_;
  std::map<std::string, std::size_t> origin_;  // by tensor
  std::vector<Operation> operations_;
};

bool has_any(const ParametersByRole& p) { return p.weights || p.bias; }

void require_geometry(const Operation& from, const Layer& layer) {
  const auto work = layer.planned_convolution();
  if (!work || from.node->op != "Conv") return;
  const ConvSpec& s = work->spec;
  const auto require = [&](const char* name, const Dims& otherwise, const Dims& wanted) {
    if (const Dims given = attribute(*from.node, name, otherwise); given != wanted)
      fail(from.title(), " has ", name, ' ', text_of(given), ", ", layer.title(), " has ",
           text_of(wanted));
  };
  require("strides", {1, 1}, {s.stride_y, s.stride_x});
  require("dilations", {1, 1}, {s.dilation, s.dilation});
  if (attribute(*from.node, "auto_pad", std::string("NOTSET")) == "NOTSET")
    require("pads", {0, 0, 0, 0}, {s.pad_y, s.pad_x, s.pad_y, s.pad_x});
  if (const std::int64_t groups = attribute(*from.node, "group", std::int64_t{1});
      groups != s.groups)
    fail(from.title(), " has ", plural(groups, "group"), ", ", layer.title(), " has ", s.groups);
}

void require_shape(const Operation& from, const Layer& layer, const Shape& shape) {
  const Dims kernel{shape.n, shape.c, shape.h, shape.w}, matrix{shape.n, shape.features()};
  if (from.dims != kernel && from.dims != matrix)
    fail(from.title(), " has weights of ", text_of(from.dims), ", ", layer.title(), " has ",
         text_of(layer.planned_convolution() ? kernel : matrix));
  require_geometry(from, layer);
}

class Importer {
 public:
  Importer(const OnnxModel& model, Network& net)
      : net_(net), operations_(ModelReader(model).operations()) {}

  std::int64_t run() {
    std::int64_t filled = 0;
    for (std::int64_t i = 0; i < net_.size(); ++i) {
      const ParametersByRole to = parameters_by_role(net_.layer(i));
      if (!has_any(to)) continue;
      if (to.weights && (!to.bias || to.weights->transposed))
        fail(net_.layer(i).title(),
             ": weights of such layers are not read from ONNX; train it here, or give the .weights "
             "file");
      to.weights ? fill_product(i, to) : fill_batch_norm(i, to);
      ++filled;
    }
    if (at_ < operations_.size())
      fail(operations_[at_].title(), ": ", to_string(net_.where()), " has no layer for it, only ",
           plural(filled, "layer"), " with weights");
    return filled;
  }

 private:
  Operation& next(const Layer& layer, bool with_weights) {
    if (at_ == operations_.size())
      fail(layer.title(), ": the model has no node for it, only ",
           plural(std::ssize(operations_), "node"), " with weights");
    Operation& one = operations_[at_++];
    if (one.weights.empty() == with_weights)
      fail(one.title(), ": ", layer.title(), " has ",
           with_weights ? "weights" : "batch normalisation alone", ", unlike it");
    return one;
  }

  bool next_layer_only_normalises(std::int64_t i) const {
    for (++i; i < net_.size(); ++i)
      if (const ParametersByRole p = parameters_by_role(net_.layer(i)); has_any(p))
        return !p.weights;
    return false;
  }

  void fill_product(std::int64_t i, const ParametersByRole& to) {
    const Layer& layer = net_.layer(i);
    Operation& from = next(layer, true);
    const Shape& shape = to.weights->value.shape();
    require_shape(from, layer, shape);
    if (from.bias.empty()) from.bias.resize(to_size(shape.n));
    if (!to.scale && from.normalised && next_layer_only_normalises(i))
      pending_ = std::move(from.normalised), from.normalised.reset();
    if (to.scale)
      set_batch_norm(
          to, from.normalised ? moved_by(*from.normalised, from.bias) : without_effect(from.bias));
    else if (from.normalised)
      fold(from);
    if (!to.scale) put(*to.bias, from.bias);
    put(*to.weights, in_memory_order(shape, from.weights));
  }

  void fill_batch_norm(std::int64_t i, const ParametersByRole& to) {
    const Layer& layer = net_.layer(i);
    const BatchNormValues from = pending_ ? std::move(*pending_) : *next(layer, false).normalised;
    pending_.reset();
    if (std::ssize(from.scale) != to.bias->value.size())
      fail(title_of(*from.node), " has ", from.scale.size(), " channels, ", layer.title(), " has ",
           to.bias->value.size());
    set_batch_norm(to, from);
  }

  // Of a product without bias.
  static BatchNormValues moved_by(BatchNormValues values, const std::vector<float>& bias) {
    for (std::size_t c = 0; c < bias.size(); ++c) values.mean[c] -= bias[c];
    return values;
  }

  // (x - 0) scale / sqrt(1 + epsilon) + bias with a scale that makes the factor 1 exactly.
  static BatchNormValues without_effect(const std::vector<float>& bias) {
    return {.scale = std::vector<float>(bias.size(), std::sqrt(1 + kBatchNormEpsilon)),
            .bias = bias,
            .mean = std::vector<float>(bias.size(), 0.f),
            .variance = std::vector<float>(bias.size(), 1.f),
            .epsilon = kBatchNormEpsilon};
  }

  static void fold(Operation& o) {
    const BatchNormValues& n = *o.normalised;
    const std::size_t columns = o.weights.size() / n.channels();
    for (std::size_t c = 0; c < n.channels(); ++c) {
      const double factor = n.factor(c);
      o.bias[c] = static_cast<float>((double{o.bias[c]} - n.mean[c]) * factor + n.bias[c]);
      for (std::size_t k = c * columns; k < (c + 1) * columns; ++k)
        o.weights[k] = static_cast<float>(o.weights[k] * factor);
    }
  }

  // Where the model's epsilon is another one, the scale makes up for it.
  void set_batch_norm(const ParametersByRole& to, const BatchNormValues& from) {
    std::vector<float> scale = from.scale;
    if (static_cast<float>(from.epsilon) != kBatchNormEpsilon)
      for (std::size_t c = 0; c < scale.size(); ++c)
        scale[c] = static_cast<float>(from.factor(c) *
                                      std::sqrt(double{from.variance[c]} + kBatchNormEpsilon));
    put(*to.scale, scale), put(*to.bias, from.bias);
    put(*to.mean, from.mean), put(*to.variance, from.variance);
  }

  void put(Parameter& to, const std::vector<float>& values) {
    to.value.copy_from(net_.stream(), values);
  }

  Network& net_;
  std::vector<Operation> operations_;
  std::size_t at_ = 0;
  std::optional<BatchNormValues> pending_;  // of the last product, for a layer of its own
};

}  // namespace

std::int64_t import_parameters(const OnnxModel& model, Network& net) {
  return Importer(model, net).run();
}

}  // namespace darknet
