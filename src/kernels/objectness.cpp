#include "kernels/objectness.h"

#include "core/elementwise.h"
#include "core/math.h"
#include "core/parts.h"

namespace darknet {

namespace {

// What the loss of an anchor is multiplied by, but for its batch.
DN_HD inline float scale_of(const ObjectnessArguments& a, const AnchorRecord& r) {
  return r.state == AnchorState::ignored
             ? 0
             : r.weight * a.factor * (a.scale ? a.step->objectness_scale : 1);
}

template <class L>
struct ApplyObjectness {
  L loss;
  ObjectnessArguments a;
  // N anchors, from one of an image on.
  template <int N>
  DN_HD void run(std::int64_t image, std::int64_t anchor) const {
    const std::int64_t first = image * a.layout.anchors_of_image(a.logits.shape) + anchor;
    float x[N], target[N], w[N], gradient[N], value[N];
    std::int32_t positive[N];
    float* to[N];
    AnchorWalk at(a.layout, first);
    for (int k = 0; k < N; ++k, at.next(a.layout)) {
      const AnchorRecord& r = a.records[first + k];
      x[k] = a.logits.at(at.pixel, at.first + a.layout.objectness);
      target[k] = r.target, w[k] = scale_of(a, r);
      positive[k] = r.state == AnchorState::positive;
      to[k] = &a.gradient.at(at.pixel, at.first + a.layout.objectness);
    }
#pragma omp simd
    for (int k = 0; k < N; ++k) {
      const float g = loss.gradient(x[k], target[k], positive[k] != 0);
      const float v = loss.value(x[k], target[k], positive[k] != 0);
      gradient[k] = w[k] == 0 ? 0 : w[k] * g;
      value[k] = w[k] == 0 ? 0 : w[k] * v;
    }
    for (int k = 0; k < N; ++k) {
      *to[k] = gradient[k];
      a.records[first + k].objectness_loss = value[k];
    }
  }
};

// Of an objectness that goes through no sigmoid.
struct RawSquaredError {
  DN_HD float value(float x, float t, bool) const { return (x - t) * (x - t) / 2; }
  DN_HD float gradient(float x, float t, bool) const { return x - t; }
};

// A loss whose exponents rise over the first iterations.
template <losses::Focusing L>
struct Ramped {
  L loss;
  const StepState* step;
  std::int64_t over;
  DN_HD L now() const {
    return losses::with_focusing(loss, losses::ramp_share(step->iteration, over));
  }
  DN_HD float value(float x, float t, bool positive) const { return now().value(x, t, positive); }
  DN_HD float gradient(float x, float t, bool positive) const {
    return now().gradient(x, t, positive);
  }
};

// What the passes of a loss of its batch share.
template <losses::OfBatch L>
struct BatchPass {
  using Statistic = typename L::Statistic;
  L loss;
  ObjectnessArguments a;
  Statistic* known;
  losses::BatchCounts* counts;

  DN_HD losses::BatchAnchor anchor(std::int64_t i) const {
    const AnchorRecord& r = a.records[i];
    return {a.logit(i), r.target, r.state == AnchorState::positive, r.objectness_loss,
            scale_of(a, r)};
  }
  DN_HD bool ignored(std::int64_t i) const { return a.records[i].state == AnchorState::ignored; }
};

template <class L>
struct ClearStatistic : BatchPass<L> {
  DN_HD void operator()(std::int64_t) const { *this->known = {}; }
};

template <class L>
struct CountAnchor : BatchPass<L> {
  DN_HD losses::BatchHit operator()(std::int64_t i) const {
    if (this->ignored(i)) return {};
    const losses::BatchAnchor anchor = this->anchor(i);
    return {true, anchor.positive, this->loss.bin(anchor, *this->known)};
  }
};

template <class L>
struct NextStatistic : BatchPass<L> {
  DN_HD void operator()(std::int64_t) const {
    if constexpr (losses::WithMomentum<L>) {
      *this->known = this->loss.next(*this->known, *this->counts, this->a.running.values);
      if (this->a.running.sums) add_to(this->a.running.sums);
    } else {
      *this->known = this->loss.next(*this->known, *this->counts);
    }
  }
  DN_HD void add_to(std::int64_t* sums) const {
    for (int b = 0; b < losses::kBatchBins; ++b) sums[b] += this->counts->bins[b];
    ++sums[losses::kBatchBins];
  }
};

template <class L>
struct KeepCounts {
  L loss;
  RunningArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t b) const {
    if (state->status != StepStatus::update || a.sums[b] == 0) return;
    const auto micro_batches = static_cast<double>(a.sums[losses::kBatchBins]);
    a.values[b] = loss.averaged(a.values[b], static_cast<double>(a.sums[b]) / micro_batches);
  }
};

// Value and gradient of an anchor times a constant.
DN_HD inline void multiply(const ObjectnessArguments& a, std::int64_t i, double w) {
  float& g = a.gradient_of(i);
  float& loss = a.records[i].objectness_loss;
  g = w == 0 ? 0 : static_cast<float>(w * g);
  loss = w == 0 ? 0 : static_cast<float>(w * loss);
}

template <class L>
struct WeightAnchor : BatchPass<L> {
  DN_HD void operator()(std::int64_t i) const {
    if (!this->ignored(i)) multiply(this->a, i, this->loss.weight(this->anchor(i), *this->known));
  }
};

constexpr std::int64_t kCountsAt = part_bytes(losses::kMaxStatisticBytes);

template <losses::OfBatch L>
void weight_by_batch(const Stream& s, const L& loss, const ObjectnessArguments& a, void* scratch) {
  const BatchPass<L> pass{loss, a, static_cast<typename L::Statistic*>(scratch),
                          part<losses::BatchCounts>(scratch, kCountsAt)};
  for_each(s, 1, ClearStatistic<L>{pass});
  for (int round = 0; round < L::rounds; ++round) {
    reduce(s, a.size(), CountAnchor<L>{pass}, pass.counts, pass.counts + 1);
    for_each(s, 1, NextStatistic<L>{pass});
  }
  for_each(s, a.size(), WeightAnchor<L>{pass});
}

struct LossSums {
  double objectness = 0;  // of all anchors
  double box = 0;         // of positive ones: others may have one that draws them to their prior
  DN_HD LossSums& operator+=(const LossSums& o) {
    objectness += o.objectness, box += o.box;
    return *this;
  }
};

struct LossesOf {
  const AnchorRecord* records;
  DN_HD LossSums operator()(std::int64_t i) const {
    const AnchorRecord& r = records[i];
    return {r.objectness_loss, r.state == AnchorState::positive ? r.box_loss : 0};
  }
};

struct Guide {
  ObjectnessArguments a;
  const LossSums* sums;
  DN_HD void operator()(std::int64_t i) const {
    multiply(a, i, sums->objectness == 0 ? 0 : a.guided * sums->box / sums->objectness);
  }
};

void guide(const Stream& s, const ObjectnessArguments& a, void* scratch) {
  auto* const sums = static_cast<LossSums*>(scratch);
  reduce(s, a.size(), LossesOf{a.records}, sums, sums + 1);
  for_each(s, a.size(), Guide{a, sums});
}

template <class L>
void apply(const Stream& s, const L& loss, const ObjectnessArguments& a) {
  for_each_vec<1>(s, a.layout.anchors_by_image(a.logits.shape), ApplyObjectness<L>{loss, a});
}

template <class L>
struct CalibrateObjectness {
  L loss;
  CalibrationArguments a;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t pixel = i / a.layout.anchors;
    const std::int64_t channel = i % a.layout.anchors * a.layout.entries + a.layout.objectness;
    a.out.at(pixel, channel) = posterior(loss, a.logits.at(pixel, channel), a.weights);
  }
};

// A figure of anchors in another state than that of an anchor, to whose sum it adds nothing.
struct OfOthers {};
DN_HD inline void add_figure(double& sum, double value) { sum += value; }
DN_HD inline void add_figure(double&, OfOthers) {}

// The figures of one anchor in that state, each by a function of its name in detect/telemetry.def.
template <AnchorState state>
class AnchorFigures {
 public:
  DN_HD AnchorFigures(const ObjectnessArguments& a, const AnchorRecord& r, const AnchorWalk& at)
      : a_(a),
        r_(r),
        gradient_(&a.gradient.at(at.pixel, at.first)),
        p_(probability(a, a.logits.at(at.pixel, at.first + a.layout.objectness))),
        g_(math::abs(gradient_[a.layout.objectness])) {}

  DN_HD auto objectness_loss_positive() const { return of_positive(r_.objectness_loss); }
  DN_HD auto objectness_loss_negative() const { return of_negative(r_.objectness_loss); }
  DN_HD double class_loss() const { return r_.class_loss; }
  DN_HD double box_loss() const { return r_.box_loss; }
  DN_HD auto gradient_easy_negative() const { return of_negative(p_ < kEasyNegative ? g_ : 0); }
  DN_HD auto gradient_hard_negative() const { return of_negative(p_ < kEasyNegative ? 0 : g_); }
  DN_HD auto gradient_positive() const { return of_positive(g_); }
  DN_HD auto p_positive() const { return of_positive(p_); }
  DN_HD auto p_negative() const { return of_negative(p_); }
  DN_HD auto iou_positive() const { return of_positive(r_.iou); }
  DN_HD auto positives() const { return of_positive(1); }
  DN_HD auto negatives() const { return of_negative(1); }
  DN_HD auto ignored() const { return of<AnchorState::ignored>(1); }
  DN_HD double truths() const { return r_.truths; }
  DN_HD double truths_lost() const { return a_.last_truth_wins ? more_truths() : 0; }
  DN_HD double truths_sharing() const { return a_.last_truth_wins ? 0 : more_truths(); }
  DN_HD double not_finite() const {
    float sum = r_.class_loss + r_.box_loss + r_.objectness_loss;
    for (std::int64_t e = 0; e < a_.layout.entries; ++e) sum += gradient_[e];
    return sum - sum == 0 ? 0 : 1;
  }

 private:
  template <AnchorState wanted>
  DN_HD static auto of(double v) {
    if constexpr (state == wanted)
      return v;
    else
      return OfOthers{};
  }
  DN_HD static auto of_positive(double v) { return of<AnchorState::positive>(v); }
  DN_HD static auto of_negative(double v) { return of<AnchorState::negative>(v); }
  DN_HD static float probability(const ObjectnessArguments& a, float x) {
    return a.raw ? x : math::fast_sigmoid(x);
  }
  DN_HD double more_truths() const { return r_.truths > 1 ? r_.truths - 1 : 0; }

  const ObjectnessArguments& a_;
  const AnchorRecord& r_;
  const float* gradient_;  // in all logits of the anchor
  double p_, g_;           // objectness, and |gradient| in its logit
};

// An anchor as a term of the sums.
struct AnchorTerm {
  const ObjectnessArguments& a;
  std::int64_t i;

  template <AnchorState state>
  DN_HD void add(HeadTelemetry& sum) const {
    const AnchorFigures<state> figures(a, a.records[i], AnchorWalk(a.layout, i));
#define TELEMETRY(name, key, scale, panel, series) add_figure(sum.name, figures.name());
#include "detect/telemetry.def"
#undef TELEMETRY
  }
};
DN_HD inline HeadTelemetry& operator+=(HeadTelemetry& sum, const AnchorTerm& term) {
  switch (term.a.records[term.i].state) {
    case AnchorState::negative:
      term.add<AnchorState::negative>(sum);
      break;
    case AnchorState::positive:
      term.add<AnchorState::positive>(sum);
      break;
    case AnchorState::ignored:
      term.add<AnchorState::ignored>(sum);
  }
  return sum;
}

struct AnchorSums {
  ObjectnessArguments a;
  DN_HD AnchorTerm operator()(std::int64_t i) const { return {a, i}; }
};

struct AddTelemetry {
  MicroBatchTelemetry a;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (a.first) *a.total = {};
    if (a.passes_not_finite && a.sums->not_finite != 0) {
      ++state->fixed;
      a.total->images_left_out += a.images;
      return;
    }
    *a.total += *a.sums;
    if (a.sums->not_finite == 0 || state->status == StepStatus::non_finite) return;
    state->status = StepStatus::non_finite;
    state->non_finite_micro_batch = a.micro_batch;
  }
};

struct Backward {
  View<const float> gradient;
  GradientFactor factor;
  View<float> to;
  bool add;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float g = factor.value() * gradient.at(p, c);
    to.at(p, c) = add ? to.at(p, c) + g : g;
  }
};

}  // namespace

std::int64_t objectness_scratch(std::int64_t anchors) {
  static_assert(sizeof(losses::BatchCounts) >= sizeof(LossSums));
  return kCountsAt + std::int64_t{sizeof(losses::BatchCounts)} +
         reduce_scratch<losses::BatchCounts>(anchors);
}

void apply_objectness(const Stream& s, const LogitLoss& loss, const ObjectnessArguments& a,
                      void* scratch) {
  const auto apply_loss = [&](const auto& l) {
    using L = std::decay_t<decltype(l)>;
    if constexpr (losses::Focusing<L>)
      if (a.gamma_ramp > 0) return apply(s, Ramped<L>{l, a.step, a.gamma_ramp}, a);
    apply(s, l, a);
    if constexpr (losses::OfBatch<L>) weight_by_batch(s, l, a, scratch);
  };
  if (a.raw)
    apply(s, RawSquaredError{}, a);
  else
    std::visit(apply_loss, loss);
  if (a.guided > 0) guide(s, a, scratch);
}

void keep_counts(const Stream& s, const LogitLoss& loss, const RunningArrays& a,
                 const StepState* state) {
  std::visit(
      [&](const auto& l) {
        using L = std::decay_t<decltype(l)>;
        if constexpr (losses::WithMomentum<L>)
          for_each(s, kRunningCounts, KeepCounts<L>{l, a, state});
      },
      loss);
}

void calibrate_objectness(const Stream& s, const LogitLoss& loss, const CalibrationArguments& a) {
  std::visit(
      [&](const auto& l) {
        for_each(s, a.logits.shape.pixels() * a.layout.anchors,
                 CalibrateObjectness<std::decay_t<decltype(l)>>{l, a});
      },
      loss);
}

std::int64_t telemetry_scratch(std::int64_t anchors) {
  return reduce_scratch<HeadTelemetry>(anchors);
}

void sum_telemetry(const Stream& s, const ObjectnessArguments& a, HeadTelemetry* out,
                   void* scratch) {
  reduce(s, a.size(), AnchorSums{a}, out, scratch);
}

void add_telemetry(const Stream& s, const MicroBatchTelemetry& micro_batch, StepState* state) {
  for_each(s, 1, AddTelemetry{micro_batch, state});
}

HeadTelemetry to_host(const Stream& stream, const HeadTelemetry* on_device) {
  HeadTelemetry s;
  memory(stream.device.type).copy_out(stream, &s, on_device, sizeof s);
  memory(stream.device.type).synchronize(stream);
  return s;
}

void head_backward(const Stream& s, View<const float> gradient, const GradientFactor& factor,
                   View<float> to, bool add) {
  for_each_pixel(s, to.shape, Backward{gradient, factor, to, add});
}

}  // namespace darknet
