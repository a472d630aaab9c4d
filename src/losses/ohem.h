// Online hard example mining of the background (Shrivastava et al., CVPR 2016; with a ratio as in
// SSD, Liu et al., ECCV 2016, section 2.2): cross-entropy of all positives and of the
//   k = ratio * max(1, positives)
// background anchors of the batch with the largest loss; the others have none. Where a target is an
// IoU, the loss is never 0, so anchors are ranked by how far it lies above its least value, that at
// p = t. The k-th largest is found exactly, five bits a round. Anchors that equal it share the rest
// of k evenly.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>
#include "cfg/section.h"
#include "core/math.h"
#include "losses/cross_entropy.h"
#include "losses/of_batch.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Ohem : CrossEntropy {  // which the weights multiply
  static constexpr std::string_view name = "ohem";
  static constexpr LossTraits traits{.no_automatic_prior = kWeightsDependOnTheBatch};
  float ratio = 3;
  template <class V>
  void fields(V&& v) {
    v("ratio", ratio, Reals{.1f, 1e4f},
      "background anchors that learn, for each anchor with an object");
  }

  static constexpr int rounds = 7;  // of 5 bits: a float has 32
  struct Statistic {
    int round;
    std::uint64_t prefix;       // the leading bits of the k-th largest rank
    std::uint32_t left, equal;  // of k, anchors that begin with them; how many there are
  };
  DN_HD int bin(const BatchAnchor& a, const Statistic& known) const {
    const std::uint64_t own = rank(a) >> (kBits * (rounds - 1 - known.round));
    return a.positive || own >> kBits != known.prefix ? -1 : static_cast<int>(own % kBatchBins);
  }
  DN_HD Statistic next(const Statistic& known, const BatchCounts& counts) const {
    Statistic now = known;
    if (known.round == 0) now.left = kept(counts);
    int b = kBatchBins - 1;
    for (; b > 0 && counts.bins[b] < now.left; --b) now.left -= counts.bins[b];
    now.prefix = known.prefix * kBatchBins + static_cast<std::uint64_t>(b);
    now.equal = counts.bins[b];
    ++now.round;
    return now;
  }
  DN_HD float weight(const BatchAnchor& a, const Statistic& known) const {
    const std::uint64_t own = rank(a);
    if (a.positive || own > known.prefix) return 1;
    return own < known.prefix ? 0
                              : static_cast<float>(known.left) / static_cast<float>(known.equal);
  }

 private:
  static constexpr int kBits = 5;
  static_assert(1 << kBits == kBatchBins);

  // In the order of the losses above their least, which are not negative but for their rounding;
  // NaN is above all others, so that it is not lost.
  DN_HD static std::uint64_t rank(const BatchAnchor& a) {
    const float above = a.t > 0 && a.t < 1 ? a.loss - a.scale * least(a.t) : a.loss;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &above, sizeof bits);
    return bits & 0x7fffffffu;
  }

  // Cross-entropy at p = t: the entropy of t.
  DN_HD static float least(float t) { return -(t * math::log(t) + (1 - t) * math::log1p(-t)); }

  DN_HD std::uint32_t kept(const BatchCounts& counts) const {
    const double k = double{ratio} * counts.at_least_one_positive() + .5;  // rounded by the cast
    return k < 1 ? 1 : k < counts.negatives ? static_cast<std::uint32_t>(k) : counts.negatives;
  }
};

}  // namespace darknet::losses
