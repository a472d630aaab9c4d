// Picks the instance of a launch that has an activation in it, outside of the loop.
#pragma once
#include <cstddef>
#include <type_traits>
#include <variant>
#include "core/activation.h"
#include "core/hd.h"
#include "core/tensor.h"

namespace darknet {

// Which activations have instances of their own: those that many networks use. All others share one
// instance of each launch, which chooses among them at every element: instances for all of the list
// take twice as long to compile. On an Intel Xeon with AVX-512 a shared one takes 4 to 9 ns an
// element, the others .3 to 1.3, because its loop does not vectorise.
template <class F, class... Common>
inline constexpr bool kIsAmong = (std::is_same_v<F, Common> || ...);
template <class F>
inline constexpr bool kHasOwnLaunches =
    kIsAmong<F, activations::Linear, activations::Leaky, activations::Relu, activations::Logistic,
             activations::Tanh, activations::Mish, activations::Swish, activations::Relu6>;

// The derivative at the input x. Of the sign it is taken from x itself: the chained comparisons of
// derivative(value(x)) keep GCC from vectorising.
template <class F, class T>
DN_HD T slope(const F& f, T x) {
  if constexpr (F::from == DerivativeFrom::output)
    return f.derivative(f.value(x));
  else
    return f.derivative(x);
}

// Any of the others. derivative(v) expects what the chosen one's does.
template <class List>
struct OneWithoutOwnLaunches;
template <class... Known>
struct OneWithoutOwnLaunches<std::variant<Known...>> {
  std::size_t chosen;  // its place in the list

  template <class T>
  DN_HD T value(T x) const {
    return of_chosen(x, [](const auto& f, T v) { return f.value(v); });
  }
  template <class T>
  DN_HD T derivative(T v) const {
    return of_chosen(v, [](const auto& f, T at) { return f.derivative(at); });
  }
  template <class T>
  DN_HD friend T slope(const OneWithoutOwnLaunches& one, T x) {
    return one.of_chosen(x, [](const auto& f, T at) { return slope(f, at); });
  }

 private:
  template <class T, class Formula>
  DN_HD T of_chosen(T x, Formula formula) const {
    T y{};
    std::size_t place = 0;
    (void)((is<Known>(place++) && (y = formula(Known{}, x), true)) || ...);
    return y;
  }
  template <class F>
  DN_HD bool is(std::size_t place) const {
    return !kHasOwnLaunches<F> && chosen == place;
  }
};

// launch(f, T{}) with the functor f of `a` and the element type T that `t` names.
template <class Launch>
void with_functor(const Activation& a, DType t, Launch launch) {
  with_element(t, [&](auto element) {
    std::visit(
        [&](auto f) {
          if constexpr (kHasOwnLaunches<decltype(f)>)
            launch(f, element);
          else
            launch(OneWithoutOwnLaunches<Activation>{a.index()}, element);
        },
        a);
  });
}

}  // namespace darknet
