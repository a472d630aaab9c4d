// The closed set of losses on one logit, chosen by name in the cfg. A new loss is a header like
// focal.h and its name in the list below; parser, help, CPU, CUDA and tests follow.
#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>
#include "cfg/section.h"
#include "losses/balanced_ce.h"
#include "losses/cross_entropy.h"
#include "losses/focal.h"
#include "losses/mse.h"
#include "losses/quality_focal.h"

namespace darknet {

using LogitLoss = std::variant<losses::Mse, losses::CrossEntropy, losses::BalancedCrossEntropy,
                               losses::Focal, losses::QualityFocal>;

std::vector<std::string> logit_loss_names();
std::string_view name_of(const LogitLoss&);

// The loss called `name` with the keys <prefix>gamma, <prefix>alpha, ... of the section. A loss key
// that the chosen loss does not use gives a warning, so that sweeps can keep it.
LogitLoss read_logit_loss(Section&, const std::string& prefix, std::string_view name);
// The same keys for `darknet help`.
void describe_logit_losses(KeyDocs&, const std::string& prefix);

}  // namespace darknet
