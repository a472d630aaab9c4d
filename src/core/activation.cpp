#include "core/activation.h"

#include <array>

namespace darknet {
namespace {
constexpr std::array<std::string_view, 7> kNames = {"linear", "leaky", "relu", "logistic",
                                                    "tanh",   "mish",  "swish"};
}

std::string_view to_string(Activation a) { return kNames[static_cast<std::size_t>(a)]; }

std::optional<Activation> activation_by_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Activation>(i);
  return std::nullopt;
}

std::string activation_names() {
  std::string all;
  for (const std::string_view n : kNames) all += (all.empty() ? "" : ", ") + std::string(n);
  return all;
}

namespace activations {
Any functor(Activation a) {
  switch (a) {
    case Activation::linear:
      return Linear{};
    case Activation::leaky:
      return Leaky{};
    case Activation::relu:
      return Relu{};
    case Activation::logistic:
      return Logistic{};
    case Activation::tanh:
      return Tanh{};
    case Activation::mish:
      return Mish{};
    case Activation::swish:
      return Swish{};
  }
  return Linear{};
}
}  // namespace activations
}  // namespace darknet
