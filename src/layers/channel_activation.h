// Activations over all channels of a pixel (AlexeyAB), which [convolutional] takes next to those of
// core/activation.h.
#pragma once
#include <memory>
#include <string_view>

#include "core/activation.h"
#include "layers/output_stage.h"

namespace darknet {
namespace channel_activations {

// y = a / (sum of a over the channels + .0001), with a = max(x, 0), e^x or e^(x - the largest x).
struct Normalize {
  static constexpr std::string_view name = "normalize_channels";
};
struct Softmax {
  static constexpr std::string_view name = "normalize_channels_softmax";
};
struct SoftmaxOfDifferences {
  static constexpr std::string_view name = "normalize_channels_softmax_maxval";
};

}  // namespace channel_activations

using ConvolutionalActivation =
    Extended<Activation, channel_activations::Normalize, channel_activations::Softmax,
             channel_activations::SoftmaxOfDifferences>;

// What a plan and the launches of activations do of it: nothing of one over channels.
Activation by_element(const ConvolutionalActivation&);
// The stage that does the rest; null where there is none.
std::unique_ptr<OutputStage> over_channels(const ConvolutionalActivation&);

}  // namespace darknet
