// Losses that weight an anchor by what the other anchors of its batch are like. A first pass counts
// over the batch, a second multiplies value and gradient of every anchor by its weight, which
// counts as a constant. The batch is what a head sees at once: the anchors, without ignored ones,
// of all images of a micro-batch. The kernels are in kernels/objectness.cpp.
#pragma once
#include <concepts>
#include <cstdint>
#include <type_traits>
#include "core/hd.h"

namespace darknet::losses {

// An anchor as both passes see it.
struct BatchAnchor {
  float x, t;  // logit and target
  bool positive;
  float loss;   // times `scale`, which the keys of its head give
  float scale;  // equal for all background
};

inline constexpr int kBatchBins = 32;

// Where an anchor counts: by its state, and in a bin or, with -1, in none.
struct BatchHit {
  bool counts = false, positive = false;
  int bin = -1;
};

// What a round of counting gives; integers, so that no order of summation changes it.
struct BatchCounts {
  std::uint32_t positives = 0, negatives = 0;
  std::uint32_t bins[kBatchBins] = {};

  DN_HD BatchCounts& operator+=(const BatchHit& h) {
    if (!h.counts) return *this;
    h.positive ? ++positives : ++negatives;
    if (h.bin >= 0) ++bins[h.bin];
    return *this;
  }
  DN_HD BatchCounts& operator+=(const BatchCounts& o) {
    positives += o.positives, negatives += o.negatives;
    for (int b = 0; b < kBatchBins; ++b) bins[b] += o.bins[b];
    return *this;
  }
  // Without one, weights are those of a batch with one.
  DN_HD std::uint32_t at_least_one_positive() const { return positives > 0 ? positives : 1; }
};

inline constexpr int kMaxStatisticBytes = 256;

// Such a loss has value() and gradient(), which the weight multiplies, and
//   static constexpr int rounds                     how often the batch is counted
//   struct Statistic                                what is known of it; value-initialised at first
//   int bin(BatchAnchor, Statistic) const           of the next round, or -1
//   Statistic next(Statistic, BatchCounts) const    what a round adds
//   float weight(BatchAnchor, Statistic) const      after the last
template <class L>
concept OfBatch = requires(const L loss, const BatchAnchor& a, const typename L::Statistic& known,
                           const BatchCounts& counts) {
  { L::rounds } -> std::convertible_to<int>;
  { loss.bin(a, known) } -> std::same_as<int>;
  { loss.next(known, counts) } -> std::same_as<typename L::Statistic>;
  { loss.weight(a, known) } -> std::same_as<float>;
  requires std::is_trivially_copyable_v<typename L::Statistic>;
  requires sizeof(typename L::Statistic) <= kMaxStatisticBytes;
};

// One that keeps running counts of the bins while its momentum is above 0 has also
//   Statistic next(Statistic, BatchCounts, const double* running) const   running counts, or null
//   double averaged(double running, double count) const                   of a bin, after a batch
template <class L>
concept WithMomentum = OfBatch<L> && requires(const L loss, const typename L::Statistic& known,
                                              const BatchCounts& counts, const double* running) {
  { loss.momentum } -> std::convertible_to<float>;
  { loss.bins } -> std::convertible_to<std::int64_t>;
  { loss.next(known, counts, running) } -> std::same_as<typename L::Statistic>;
  { loss.averaged(0., 0.) } -> std::same_as<double>;
};

inline constexpr const char* kWeightsDependOnTheBatch = "whose weights depend on the batch";

}  // namespace darknet::losses
