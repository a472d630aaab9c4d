// GHM-C (Li et al., AAAI 2019, arXiv 1811.05181): cross-entropy over the density of gradients, so
// that no size of |p - t| outweighs the others by its number of anchors. |p - t| falls into M bins
// of equal width, and
//   weight = max(1, positives) / (bins that hold an anchor * anchors of the own bin).
// The paper's loss is a mean; times the positives it is a sum like that of the other losses. Bins
// without anchors are left out, as in its authors' code. Without their momentum.
#pragma once
#include <cstdint>
#include <string_view>
#include "cfg/section.h"
#include "core/math.h"
#include "losses/cross_entropy.h"
#include "losses/of_batch.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Ghm : CrossEntropy {  // which the weights multiply
  static constexpr std::string_view name = "ghm";
  static constexpr LossTraits traits{.no_automatic_prior = kWeightsDependOnTheBatch};
  std::int64_t bins = 30;
  template <class V>
  void fields(V&& v) {
    v("bins", bins, Integers{1, kBatchBins}, "bins of |p - t|, whose anchors share one weight");
  }

  static constexpr int rounds = 1;
  struct Statistic {
    float weights[kBatchBins];
  };
  DN_HD int bin(const BatchAnchor& a, const Statistic&) const {
    const float g = math::abs(gradient(a.x, a.t, a.positive)) * static_cast<float>(bins);
    const auto last = static_cast<int>(bins) - 1;
    return g < static_cast<float>(last) ? static_cast<int>(g) : last;  // NaN: the last
  }
  DN_HD Statistic next(const Statistic&, const BatchCounts& counts) const {
    std::uint32_t held = 0;
    for (const std::uint32_t n : counts.bins) held += n > 0 ? 1 : 0;
    Statistic known{};
    for (int b = 0; b < kBatchBins; ++b)
      if (counts.bins[b] > 0)
        known.weights[b] =
            static_cast<float>(static_cast<double>(counts.at_least_one_positive()) /
                               (static_cast<double>(held) * static_cast<double>(counts.bins[b])));
    return known;
  }
  DN_HD float weight(const BatchAnchor& a, const Statistic& known) const {
    return known.weights[bin(a, known)];
  }
};

}  // namespace darknet::losses
