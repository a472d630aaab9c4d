// The parameters that follow a convolution or a matrix, one value per channel: the bias and, with
// batch normalisation, scale and rolling statistics. Not the weights themselves.
#pragma once
#include <optional>
#include <string>
#include <vector>
#include "kernels/batch_norm.h"
#include "nn/layer.h"

namespace darknet {

// A zero-filled parameter of a layer, with a gradient where the layer's keys let it be trained.
// `normalised`: it belongs to batch normalisation (train_only_bn).
Parameter make_parameter(const Layer&, Role, const Shape&, bool normalised);

class ChannelParameters {
 public:
  ChannelParameters() = default;
  ChannelParameters(const Layer&, std::int64_t channels, bool batch_normalize);

  bool normalised() const { return !scale_.value.empty(); }
  bool empty() const { return bias_.value.empty(); }
  Parameter& bias() { return bias_; }
  const Parameter& bias() const { return bias_; }
  float* bias_gradient() const { return bias_.summed_gradient(); }    // null where not trained
  float* scale_gradient() const { return scale_.summed_gradient(); }  // likewise
  void append_bias(std::vector<Parameter*>& to) { to.push_back(&bias_); }
  void append_scales(std::vector<Parameter*>& to);  // scale, rolling mean, rolling variance
  void reset();                                     // bias 0, scale 1, rolling mean 0, variance 1

  // `kept`: 2 values per channel that live from forward to backward; null at inference.
  BatchNorm arrays(const Activation&, float* kept) const;

  // As constants of ONNX: the weights, of these dimensions, and the bias; with batch normalisation
  // folded in where the graph folds it. Without bias where the node of add_batch_norm() follows.
  std::vector<std::string> add_weights(OnnxBuilder&, const Parameter& weights,
                                       std::vector<std::int64_t> dims) const;
  // Appends the batch normalisation of x, unless there is none or it was folded.
  std::string add_batch_norm(OnnxBuilder&, const std::string& x) const;
  // Whether it is there or not: [batchnorm] has no weights to fold it into.
  std::string add_batch_norm_node(OnnxBuilder&, const std::string& x) const;

  static std::int64_t kept_bytes(std::int64_t channels) {
    return 2 * channels * std::int64_t{sizeof(float)};
  }

 private:
  Parameter bias_, scale_, rolling_mean_, rolling_variance_;
};

// Darknet (AlexeyAB): sqrt(2 / inputs) * uniform(-1, 1), inputs = those of one output: by default
// of a convolution or a matrix with these weights.
void initialise_weights(Parameter& weights, std::uint64_t seed, std::int64_t layer,
                        std::optional<double> inputs = {});

}  // namespace darknet
