#include "nn/onnx_builder.h"

#include <utility>

namespace darknet {
namespace {

// Activations as operators of ONNX: an overload for each struct of core/activation.h.
std::string add_activation(OnnxBuilder&, const std::string& x, activations::Linear) { return x; }
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Leaky leaky) {
  return graph.add("LeakyRelu", {x}, {{"alpha", leaky.value(-1.f) / -1.f}});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Relu) {
  return graph.add("Relu", {x});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Logistic) {
  return graph.add("Sigmoid", {x});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Tanh) {
  return graph.add("Tanh", {x});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Mish) {
  return graph.add("Mul", {x, graph.add("Tanh", {graph.add("Softplus", {x})})});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Swish) {
  return graph.add("Mul", {x, graph.add("Sigmoid", {x})});
}

}  // namespace

std::string OnnxBuilder::add_input(OnnxPort input) {
  model_.inputs.push_back(std::move(input));
  return unique(model_.inputs.back().name);
}

void OnnxBuilder::begin(std::string part, OnnxType floats) {
  part_ = std::move(part), floats_ = floats;
}

std::string OnnxBuilder::unique(const std::string& name) {
  const int count = ++used_[name];
  return count == 1 ? name : unique(name + "_" + std::to_string(count));
}

std::string OnnxBuilder::add(const std::string& op, std::vector<std::string> inputs,
                             std::vector<OnnxAttribute> attributes) {
  std::string name = used_.contains(part_) ? unique(part_ + "/" + op) : unique(part_);
  model_.nodes.push_back({op, name, std::move(inputs), {name}, std::move(attributes)});
  return name;
}

std::string OnnxBuilder::floats(const std::string& what, std::vector<std::int64_t> dims,
                                std::vector<float> values) {
  std::string name = unique(part_ + "." + what);
  model_.constants.push_back({name, std::move(dims), floats_, std::move(values), {}});
  return name;
}

std::string OnnxBuilder::floats32(const std::string& what, std::vector<float> values) {
  std::string name = unique(part_ + "." + what);
  const auto count = static_cast<std::int64_t>(values.size());
  model_.constants.push_back({name, {count}, OnnxType::f32, std::move(values), {}});
  return name;
}

std::string OnnxBuilder::integers(const std::string& what, std::vector<std::int64_t> values) {
  std::string name = unique(part_ + "." + what);
  const auto count = static_cast<std::int64_t>(values.size());
  model_.constants.push_back({name, {count}, OnnxType::i64, {}, std::move(values)});
  return name;
}

std::string OnnxBuilder::reshape(const std::string& x, std::vector<std::int64_t> dims) {
  return add("Reshape", {x, integers("shape", std::move(dims))});
}

std::string OnnxBuilder::transpose(const std::string& x, std::vector<std::int64_t> order) {
  return add("Transpose", {x}, {{"perm", std::move(order)}});
}

std::string OnnxBuilder::slice(const std::string& x, const std::vector<Range>& ranges) {
  std::vector<std::int64_t> begins, ends, axes, steps;
  for (const Range& r : ranges) {
    begins.push_back(r.begin), ends.push_back(r.end);
    axes.push_back(r.axis), steps.push_back(r.step);
  }
  return add("Slice", {x, integers("begins", begins), integers("ends", ends),
                       integers("axes", axes), integers("steps", steps)});
}

std::string OnnxBuilder::concat(std::vector<std::string> parts, std::int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return add("Concat", std::move(parts), {{"axis", axis}});
}

std::string OnnxBuilder::scale(const std::string& x, float factor) {
  if (factor == 1) return x;
  return add("Mul", {x, floats("factor", {1}, {factor})});
}

std::string OnnxBuilder::cast(const std::string& x, OnnxType to) {
  constexpr std::int64_t kFloat = 1, kInt64 = 7, kFloat16 = 10;  // onnx.TensorProto.DataType
  const std::int64_t type = to == OnnxType::f32 ? kFloat : to == OnnxType::f16 ? kFloat16 : kInt64;
  return add("Cast", {x}, {{"to", type}});
}

std::string OnnxBuilder::activate(const std::string& x, const Activation& activation) {
  return std::visit([&](auto a) { return add_activation(*this, x, a); }, activation);
}

}  // namespace darknet
