// Squared error through the sigmoid, (p - t)^2 / 2: the objectness of [region] in the maintained
// Darknet forks and of heads with new_coords.
#pragma once
#include <string_view>
#include "losses/logit.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Mse {
  static constexpr std::string_view name = "mse";
  static constexpr LossTraits traits{
      .no_automatic_prior = "whose gradient vanishes at a small prior", .of_probability = true};
  template <class V>
  void fields(V&&) {}
  template <class T>
  DN_HD T value(T x, T t, bool) const {
    const T d = difference(logit_parts(x), t);
    return d * d / 2;
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool) const {
    const auto l = logit_parts(x);
    return difference(l, t) * l.p * l.q;
  }

 private:
  // p - t, without cancellation at t = 0 and 1.
  template <class T>
  DN_HD static T difference(const LogitParts<T>& l, T t) {
    return (1 - t) * l.p - t * l.q;
  }
};

}  // namespace darknet::losses
