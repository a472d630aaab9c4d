// [shortcut] with weights_type: a sum of layers of one size, each times a weight that is trained.
// And the keys of every [shortcut].
#pragma once
#include <cstdint>
#include <vector>
#include "nn/output_activation.h"

namespace darknet {

// How many weights a summed layer has, and what is made of them before they count.
enum class ShortcutWeights : std::uint8_t { none, per_feature, per_channel };
constexpr auto choices(ShortcutWeights) {
  return std::to_array<Named<ShortcutWeights>>({{"none", ShortcutWeights::none},
                                                {"per_feature", ShortcutWeights::per_feature},
                                                {"per_channel", ShortcutWeights::per_channel},
                                                {"per_layer", ShortcutWeights::per_feature}});
}
enum class ShortcutNormalization : std::uint8_t { none, relu, softmax };
constexpr auto choices(ShortcutNormalization) {
  return std::to_array<Named<ShortcutNormalization>>({{"none", ShortcutNormalization::none},
                                                      {"relu", ShortcutNormalization::relu},
                                                      {"softmax", ShortcutNormalization::softmax},
                                                      {"avg_relu", ShortcutNormalization::relu}});
}

struct ShortcutKeys {
  std::vector<std::int64_t> from;
  Activation activation = activations::Linear{};
  ShortcutWeights weights_type = ShortcutWeights::none;
  ShortcutNormalization weights_normalization = ShortcutNormalization::none;
  template <class V>
  void fields(V&& v) {
    v("from", from, ListOf<std::int64_t>{}, "what to add; negative: counted back");
    v("activation", activation, Choice<Activation>{}, "function of the sum");
    v("weights_type", weights_type, Choice<ShortcutWeights>{},
      "trained weights of the layers: one for each (per_layer: likewise), or one for each channel");
    v("weights_normalization", weights_normalization, Choice<ShortcutNormalization>{},
      "relu, avg_relu: max(w, 0) by their sum over the layers; softmax: exp(w) by their sum");
  }
};

// The layer before, then `from`.
std::vector<std::int64_t> shortcut_sources(const Section&, const LayerContext&,
                                           const ShortcutKeys&);
LayerPtr weighted_shortcut(Section&, const LayerContext&, const ShortcutKeys&);

}  // namespace darknet
