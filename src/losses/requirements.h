// What a loss on one logit must have, as the compiler checks it: a message for each member that is
// missing or of another form. What a loss must compute is checked by tests/loss_test.cpp.
#pragma once
#include <concepts>
#include <string_view>
#include <type_traits>
#include <variant>
#include "losses/of_batch.h"
#include "losses/traits.h"

namespace darknet::losses {

struct AnyField {
  template <class... A>
  void operator()(A&&...) const {}
};

template <class L, class T>
concept ComputesIn = requires(const L loss, T x, T target, bool positive) {
  { loss.value(x, target, positive) } -> std::same_as<T>;
  { loss.gradient(x, target, positive) } -> std::same_as<T>;
};

template <class L>
constexpr bool is_complete() {
  static_assert(
      requires {
        { L::name } -> std::convertible_to<std::string_view>;
      },
      "a loss has `static constexpr std::string_view name`: what obj_loss= calls it");
  static_assert(
      requires {
        { L::traits } -> std::same_as<const LossTraits&>;
      },
      "a loss has `static constexpr LossTraits traits{}` (losses/traits.h)");
  static_assert(
      requires(L loss) { loss.fields(AnyField{}); },
      "a loss has `template <class V> void fields(V&& v)`, which declares its keys");
  static_assert(
      ComputesIn<L, float> && ComputesIn<L, double>,
      "a loss has const templates `T value(T x, T t, bool positive)` and `T gradient(...)` "
      "that compute in float and in double");
  static_assert(
      !requires { L::rounds; } || OfBatch<L>,
      "a loss that weights anchors by their batch has `rounds` and what losses/of_batch.h lists");
  static_assert(std::is_trivially_copyable_v<L> && std::is_default_constructible_v<L>,
                "kernels copy a loss to the device: its members are numbers with defaults");
  return true;
}

template <class List>
inline constexpr bool kComplete = false;
template <class... L>
inline constexpr bool kComplete<std::variant<L...>> = (is_complete<L>() && ...);

}  // namespace darknet::losses
