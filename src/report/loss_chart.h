// Losses on one logit as curves over p_t, the probability of the ground truth: their value and the
// size of their gradient (figure 1 of Lin et al. 2017, and its derivative).
#pragma once
#include <string>
#include <vector>

#include "losses/losses.h"
#include "report/chart.h"

namespace darknet {

struct LossCurve {
  std::string name;
  // Of one length: p_t from 0 to 1 without its ends, the loss, and |dL/dx| in the logit x.
  std::vector<double> p_t, loss, gradient;
};

struct NamedLoss {
  std::string name;
  LogitLoss loss;
};

// Hard targets. Of a loss that is not the same for objects and for background, a curve for each.
std::vector<LossCurve> loss_curves(const std::vector<NamedLoss>&);
// Focal loss without alpha for gamma 0, .5, 1, 2, 5, as in the figure.
std::vector<NamedLoss> focal_losses();

// The loss above its gradient; curves that coincide are one. Losses above 5 are cut off, as in the
// figure.
Chart loss_chart(const std::vector<LossCurve>&);
inline constexpr const char* kLossCsvHeader = "curve,p_t,loss,gradient\n";
std::string loss_csv(const std::vector<LossCurve>&);

}  // namespace darknet
