// The closed set of losses on one logit, chosen by name in the cfg. A new loss is a header like
// focal.h and its name in one of the two lists below; parser, help, CPU, CUDA and tests follow.
#pragma once
#include <type_traits>
#include <variant>
#include "core/named_list.h"
#include "losses/asymmetric.h"
#include "losses/balanced_ce.h"
#include "losses/class_balanced.h"
#include "losses/cross_entropy.h"
#include "losses/focal.h"
#include "losses/focal_star.h"
#include "losses/focusing.h"
#include "losses/ghm.h"
#include "losses/mse.h"
#include "losses/of_batch.h"
#include "losses/ohem.h"
#include "losses/poly1.h"
#include "losses/quality_focal.h"
#include "losses/requirements.h"
#include "losses/traits.h"
#include "losses/varifocal.h"

namespace darknet {

// Losses of each logit by itself: of the objectness and of the class scores.
using PointwiseLoss = std::variant<losses::Mse, losses::CrossEntropy, losses::BalancedCrossEntropy,
                                   losses::Focal, losses::QualityFocal, losses::FocalStar,
                                   losses::Varifocal, losses::Poly1, losses::Asymmetric>;
// And those that weight it by its batch (losses/of_batch.h): of the objectness alone.
using LogitLoss = Extended<PointwiseLoss, losses::ClassBalanced, losses::Ghm, losses::Ohem>;

static_assert(losses::kComplete<LogitLoss>);

template <class... L>
LossTraits traits_of(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return l.traits; }, loss);
}

// Whether it weights a logit by its batch, and so is of the objectness alone.
template <class... L>
bool is_of_batch(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return losses::OfBatch<std::decay_t<decltype(l)>>; }, loss);
}

// Of the running counts of its bins; 0: it keeps none.
template <class... L>
float momentum_of(const std::variant<L...>& loss) {
  return std::visit(
      [](const auto& l) -> float {
        if constexpr (losses::WithMomentum<std::decay_t<decltype(l)>>) return l.momentum;
        return 0;
      },
      loss);
}

// Whether its exponents can be scaled down to 0, and the loss with them so scaled.
template <class... L>
bool has_focusing(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return losses::Focusing<std::decay_t<decltype(l)>>; },
                    loss);
}
template <class... L>
std::variant<L...> with_focusing(std::variant<L...> loss, float share) {
  std::visit(
      [&](auto& l) {
        if constexpr (losses::Focusing<std::decay_t<decltype(l)>>)
          l = losses::with_focusing(l, share);
      },
      loss);
  return loss;
}

}  // namespace darknet
