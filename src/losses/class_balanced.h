// Class-balanced cross-entropy (Cui et al., CVPR 2019, arXiv 1901.05555) of the two states object
// and background: alpha_c is in inverse proportion to the effective number of samples,
//   E_c = (1 - beta^n_c) / (1 - beta),      alpha_+ + alpha_- = 2,
// with the anchors n_c of each state counted in the batch.
#pragma once
#include <string_view>
#include "cfg/section.h"
#include "core/math.h"
#include "losses/cross_entropy.h"
#include "losses/of_batch.h"
#include "losses/traits.h"

namespace darknet::losses {

struct ClassBalanced : CrossEntropy {  // which the weights multiply
  static constexpr std::string_view name = "class_balanced";
  static constexpr LossTraits traits{.no_automatic_prior = kWeightsDependOnTheBatch};
  float beta = .999f;
  template <class V>
  void fields(V&& v) {
    v("effective_beta", beta, Reals{0, .999999f},
      "beta: the effective number of samples ends at 1 / (1 - beta); 0: no weights");
  }

  static constexpr int rounds = 1;
  struct Statistic {
    float positive, negative;  // alpha of both states
  };
  DN_HD int bin(const BatchAnchor&, const Statistic&) const { return -1; }
  DN_HD Statistic next(const Statistic&, const BatchCounts& counts) const {
    const double p = effective(counts.at_least_one_positive()),
                 n = effective(counts.negatives > 0 ? counts.negatives : 1);
    return {static_cast<float>(2 * n / (p + n)), static_cast<float>(2 * p / (p + n))};
  }
  DN_HD float weight(const BatchAnchor& a, const Statistic& known) const {
    return a.positive ? known.positive : known.negative;
  }

 private:
  DN_HD double effective(std::uint32_t n) const {
    return (1 - math::exp(n * math::log(double{beta}))) / (1 - double{beta});
  }
};

}  // namespace darknet::losses
