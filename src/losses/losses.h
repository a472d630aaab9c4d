// The closed set of losses on one logit, chosen by name in the cfg. A new loss is a header like
// focal.h and its name in the list below; parser, help, CPU, CUDA and tests follow.
#pragma once
#include <variant>
#include "core/named_list.h"
#include "losses/asymmetric.h"
#include "losses/balanced_ce.h"
#include "losses/cross_entropy.h"
#include "losses/focal.h"
#include "losses/focal_star.h"
#include "losses/mse.h"
#include "losses/poly1.h"
#include "losses/quality_focal.h"
#include "losses/requirements.h"
#include "losses/traits.h"
#include "losses/varifocal.h"

namespace darknet {

using LogitLoss = std::variant<losses::Mse, losses::CrossEntropy, losses::BalancedCrossEntropy,
                               losses::Focal, losses::QualityFocal, losses::FocalStar,
                               losses::Varifocal, losses::Poly1, losses::Asymmetric>;

static_assert(losses::kComplete<LogitLoss>);

template <class... L>
LossTraits traits_of(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return l.traits; }, loss);
}

}  // namespace darknet
