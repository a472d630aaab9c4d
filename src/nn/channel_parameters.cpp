#include "nn/channel_parameters.h"

#include <cmath>
#include <utility>

#include "core/index.h"
#include "core/rng.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

Stream stream_of(const Tensor& t) { return {.device = t.device()}; }

void fill(Tensor& t, float value) {
  t.copy_from(stream_of(t), std::vector<float>(to_size(t.size()), value));
}

bool is_scale(Role role) { return role != Role::weights && role != Role::bias; }

}  // namespace

Parameter make_parameter(const Layer& layer, Role role, const Shape& shape, bool normalised) {
  const CommonKeys& keys = layer.keys();
  Parameter p{.role = role, .value = Tensor(layer.context().device, shape)};
  p.value.zero(stream_of(p.value));
  p.learning_rate = keys.learning_rate;
  p.update = p.trained() && keys.dont_update != 1 && (normalised || !keys.train_only_bn);
  p.load = !keys.dontload && !(keys.dontloadscales && is_scale(role));
  p.sums_gradient = p.update && layer.context().mode == Mode::training;
  return p;
}

ChannelParameters::ChannelParameters(const Layer& layer, std::int64_t channels,
                                     bool batch_normalize) {
  const Shape shape = vector_shape(channels);
  bias_ = make_parameter(layer, Role::bias, shape, batch_normalize);
  if (!batch_normalize) return;
  scale_ = make_parameter(layer, Role::scale, shape, true);
  rolling_mean_ = make_parameter(layer, Role::rolling_mean, shape, true);
  rolling_variance_ = make_parameter(layer, Role::rolling_variance, shape, true);
  reset();
}

void ChannelParameters::append_scales(std::vector<Parameter*>& to) {
  if (normalised()) to.insert(to.end(), {&scale_, &rolling_mean_, &rolling_variance_});
}

void ChannelParameters::reset() {
  fill(bias_.value, 0);
  if (!normalised()) return;
  fill(scale_.value, 1);
  fill(rolling_mean_.value, 0);
  fill(rolling_variance_.value, 1);
}

BatchNorm ChannelParameters::arrays(const Activation& a, float* kept) const {
  return {.activation = a,
          .scale = scale_.value.data(),
          .bias = bias_.value.data(),
          .rolling_mean = rolling_mean_.value.data(),
          .rolling_variance = rolling_variance_.value.data(),
          .mean = kept,
          .inverse_deviation = kept ? kept + bias_.value.size() : nullptr};
}

std::vector<std::string> ChannelParameters::add_weights(OnnxBuilder& graph,
                                                        const Parameter& weights,
                                                        std::vector<std::int64_t> dims) const {
  const Stream stream = stream_of(weights.value);
  const Shape& shape = weights.value.shape();
  const auto add = [&](const Tensor& values) {
    return graph.floats("weights", std::move(dims), in_file_order(shape, values.to_host(stream)));
  };
  const auto add_bias = [&](const Tensor& values) {
    return graph.floats("bias", {shape.n}, values.to_host(stream));
  };
  if (!normalised()) {
    const std::string name = add(weights.value);
    return {name, add_bias(bias_.value)};
  }
  if (!graph.folds_batch_norm()) return {add(weights.value)};
  Tensor folded(stream.device, shape), bias(stream.device, vector_shape(shape.n));
  fold_batch_norm(
      stream, arrays(activations::Linear{}, nullptr),
      {weights.value.data(), folded.data(), bias.data(), shape.n, shape.size() / shape.n});
  const std::string name = add(folded);
  return {name, add_bias(bias)};
}

std::string ChannelParameters::add_batch_norm(OnnxBuilder& graph, const std::string& x) const {
  return normalised() && !graph.folds_batch_norm() ? add_batch_norm_node(graph, x) : x;
}

std::string ChannelParameters::add_batch_norm_node(OnnxBuilder& graph, const std::string& x) const {
  std::vector<std::string> inputs{x};
  const std::pair<const char*, const Parameter*> parts[] = {{"scale", &scale_},
                                                            {"bias", &bias_},
                                                            {"mean", &rolling_mean_},
                                                            {"variance", &rolling_variance_}};
  for (const auto& [name, p] : parts)
    inputs.push_back(graph.floats(name, {p->value.size()}, p->value.to_host(stream_of(p->value))));
  return graph.add("BatchNormalization", inputs, {{"epsilon", kBatchNormEpsilon}});
}

void initialise_weights(Parameter& weights, std::uint64_t seed, std::int64_t layer,
                        std::optional<double> inputs) {
  const Shape& s = weights.value.shape();
  const auto fan_in = static_cast<float>(inputs.value_or(static_cast<double>(s.features())));
  const float bound = std::sqrt(2.f / fan_in);
  Rng rng(seed, static_cast<std::uint64_t>(layer) * 8 + static_cast<std::uint64_t>(Role::weights));
  std::vector<float> host(to_size(s.size()));
  for (float& w : host) w = rng.uniform(-bound, bound);
  weights.value.copy_from(stream_of(weights.value), host);
}

}  // namespace darknet
