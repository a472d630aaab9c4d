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
std::string shift(OnnxBuilder& graph, const std::string& x, float by) {
  return graph.add("Add", {x, graph.floats("shift", {1}, {by})});
}
// hi - max(hi - lo - max(x - lo, 0), 0): OpenCV 4.6 reads no Clip whose limits are inputs.
std::string clip(OnnxBuilder& graph, const std::string& x, float lo, float hi) {
  const std::string above = graph.add("Relu", {lo == 0 ? x : shift(graph, x, -lo)});
  const std::string left = shift(graph, graph.scale(above, -1), hi - lo);
  const std::string below = graph.scale(graph.add("Relu", {left}), -1);
  return hi == 0 ? below : shift(graph, below, hi);
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Relu6) {
  return clip(graph, x, 0, 6);
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::HardMish) {
  const std::string below = clip(graph, x, -2, 0);
  const std::string factor = shift(graph, graph.scale(below, .5f), 1);
  return graph.add("Add", {graph.add("Relu", {x}), graph.add("Mul", {below, factor})});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Gelu) {
  const std::string square = graph.add("Mul", {x, x});
  const std::string factor =
      shift(graph, graph.scale(square, activations::Gelu::kCubic), activations::Gelu::kLinear);
  const std::string t = graph.add("Tanh", {graph.add("Mul", {x, factor})});
  return graph.add("Mul", {graph.scale(x, .5f), shift(graph, t, 1)});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Elu) {
  return graph.add("Elu", {x});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Selu) {
  return graph.add("Selu", {x},
                   {{"alpha", activations::Selu::kAlpha}, {"gamma", activations::Selu::kScale}});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Relie relie) {
  return graph.add("LeakyRelu", {x}, {{"alpha", relie.derivative(-1.f)}});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Ramp ramp) {
  return graph.add("Add", {graph.add("Relu", {x}), graph.scale(x, ramp.derivative(-1.f))});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Loggy) {
  return graph.add("Tanh", {graph.scale(x, .5f)});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Hardtan) {
  return clip(graph, x, -1, 1);
}
// Slope `inside` from lo to hi, and `outside` elsewhere.
std::string three_slopes(OnnxBuilder& graph, const std::string& x, std::pair<float, float> range,
                         std::pair<float, float> slopes) {
  const auto [inside, outside] = slopes;
  const std::string middle = clip(graph, x, range.first, range.second);
  return graph.add("Add", {graph.scale(middle, inside - outside), graph.scale(x, outside)});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Lhtan f) {
  return three_slopes(graph, x, {0.f, 1.f}, {f.derivative(.5f), f.derivative(-1.f)});
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Plse f) {
  return shift(graph, three_slopes(graph, x, {-4.f, 4.f}, {f.derivative(0.f), f.derivative(-5.f)}),
               f.value(0.f));
}
std::string add_activation(OnnxBuilder& graph, const std::string& x, activations::Stair) {
  const std::string step = graph.add("Floor", {graph.scale(x, .5f)});
  const std::string above = shift(graph, graph.add("Sub", {x, graph.scale(step, 2)}), -1);
  return graph.add("Add", {step, graph.add("Relu", {above})});
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
