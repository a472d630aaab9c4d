#include "nn/batch_norm_edits.h"

#include <cmath>
#include <utility>
#include <vector>

#include "core/index.h"
#include "kernels/batch_norm.h"
#include "nn/parameters_by_role.h"

namespace darknet {
namespace {

struct FoldedParameters {
  std::vector<float> weights, bias;  // weights in the order of the memory
};

// With batch normalisation, which `p` has.
FoldedParameters fold(const Stream& stream, const ParametersByRole& p) {
  const Tensor& weights = p.weights->value;
  const bool transposed = p.weights->transposed;
  const std::int64_t channels = p.bias->value.size(), others = weights.size() / channels;
  Tensor folded_weights(stream.device, weights.shape()), bias(stream.device, p.bias->value.shape());
  fold_batch_norm(stream,
                  {.scale = p.scale->value.data(),
                   .bias = p.bias->value.data(),
                   .rolling_mean = p.mean->value.data(),
                   .rolling_variance = p.variance->value.data()},
                  {weights.data(), folded_weights.data(), bias.data(),
                   transposed ? others : channels, transposed ? channels : others, transposed});
  return {folded_weights.to_host(stream), bias.to_host(stream)};
}

void fill_with(const Stream& stream, Parameter& p, float value) {
  p.value.copy_from(stream, std::vector<float>(to_size(p.value.size()), value));
}

// What normalises by scales of 1, means of 0 and variances of 1 and computes the same: the weights
// make up for the epsilon under the root.
void put_neutral(const Stream& stream, FoldedParameters values, const ParametersByRole& to) {
  const float root = std::sqrt(1 + kBatchNormEpsilon);
  for (float& w : values.weights) w *= root;
  to.weights->value.copy_from(stream, values.weights);
  to.bias->value.copy_from(stream, values.bias);
  fill_with(stream, *to.scale, 1);
  fill_with(stream, *to.mean, 0);
  fill_with(stream, *to.variance, 1);
}

void copy_parameter(Network& from, Parameter* source, Network& to, Parameter* target) {
  if (source && target) target->value.copy_from(to.stream(), source->value.to_host(from.stream()));
}

void convert_layer(Network& from, Network& to, std::int64_t i) {
  const ParametersByRole a = parameters_by_role(from.layer(i)), b = parameters_by_role(to.layer(i));
  if (!a.weights != !b.weights ||
      (a.weights && a.weights->value.shape() != b.weights->value.shape()))
    fail(to.layer(i).title(), ": has other weights than ", from.layer(i).title());
  if (a.weights && a.scale && !b.scale) {
    const FoldedParameters values = fold(from.stream(), a);
    b.weights->value.copy_from(to.stream(), values.weights);
    b.bias->value.copy_from(to.stream(), values.bias);
  } else if (a.weights && !a.scale && b.scale) {
    put_neutral(to.stream(),
                {a.weights->value.to_host(from.stream()), a.bias->value.to_host(from.stream())}, b);
  } else {
    const std::pair<Parameter*, Parameter*> pairs[] = {{a.weights, b.weights},
                                                       {a.bias, b.bias},
                                                       {a.scale, b.scale},
                                                       {a.mean, b.mean},
                                                       {a.variance, b.variance}};
    for (const auto& [source, target] : pairs) copy_parameter(from, source, to, target);
  }
}

}  // namespace

void convert_batch_norm(Network& from, Network& to) {
  if (from.size() != to.size()) fail("parameters of two networks do not correspond");
  for (std::int64_t i = 0; i < from.size(); ++i) convert_layer(from, to, i);
  to.parameters_changed();
}

std::int64_t reset_batch_norm(Network& net) {
  std::int64_t layers = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const ParametersByRole p = parameters_by_role(net.layer(i));
    if (!p.weights || !p.scale) continue;
    put_neutral(net.stream(), fold(net.stream(), p), p);
    ++layers;
  }
  net.parameters_changed();
  return layers;
}

}  // namespace darknet
