// GHM-C (Li et al., AAAI 2019, arXiv 1811.05181): cross-entropy over the density of gradients, so
// that no size of |p - t| outweighs the others by its number of anchors. |p - t| falls into M bins
// of equal width, and
//   weight = max(1, positives) / (bins that hold an anchor * anchors of the own bin).
// The paper's loss is a mean; times the positives it is a sum like that of the other losses. Bins
// without anchors are left out, as in its authors' code. With their momentum the anchors of a bin
// are a running count, S <- momentum S + (1 - momentum) anchors, where the bin holds any.
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
  float momentum = 0;
  template <class V>
  void fields(V&& v) {
    v("bins", bins, Integers{1, kBatchBins}, "bins of |p - t|, whose anchors share one weight");
    v("momentum", momentum, Reals{0, .999f},
      "of the running count of anchors in each bin; 0: the counts of the batch alone");
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
  DN_HD Statistic next(const Statistic& known, const BatchCounts& counts) const {
    return next(known, counts, nullptr);
  }
  // `running`: the running counts from before the batch; null: none.
  DN_HD Statistic next(const Statistic&, const BatchCounts& counts, const double* running) const {
    std::uint32_t held = 0;
    for (const std::uint32_t n : counts.bins) held += n > 0 ? 1 : 0;
    Statistic known{};
    for (int b = 0; b < kBatchBins; ++b)
      if (counts.bins[b] > 0)
        known.weights[b] = static_cast<float>(
            static_cast<double>(counts.at_least_one_positive()) /
            (static_cast<double>(held) * averaged(running ? running[b] : 0, counts.bins[b])));
    return known;
  }
  // The running count of a bin after a batch with so many of its anchors; before the first it is 0.
  DN_HD double averaged(double running, double anchors) const {
    const double keep = momentum;
    return running > 0 ? keep * running + (1 - keep) * anchors : anchors;
  }
  DN_HD float weight(const BatchAnchor& a, const Statistic& known) const {
    return known.weights[bin(a, known)];
  }
};

}  // namespace darknet::losses
