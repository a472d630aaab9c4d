#include "kernels/update.h"

#include <iterator>
#include <type_traits>
#include <utility>

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {
namespace {

constexpr std::int64_t kRow = 1024;

struct NotFinite {
  const float* x;
  DN_HD std::int64_t operator()(std::int64_t i) const { return x[i] - x[i] == 0 ? 0 : 1; }
};

struct MarkNotFinite {
  const std::int64_t* count;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (*count == 0 || state->status == StepStatus::non_finite) return;
    state->status = state->loss.scale > 1 ? StepStatus::overflow : StepStatus::non_finite;
  }
};

struct SetParams {
  const StepParams* params;
  StepState* state;
  bool begin;
  DN_HD void operator()(std::int64_t) const {
    static_cast<StepParams&>(*state) = *params;
    if (begin && state->status != StepStatus::non_finite) state->status = StepStatus::update;
  }
};

struct AdaptLossScale {
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    LossScale& l = state->loss;
    if (state->status == StepStatus::overflow) l = {l.scale / 2, 0};
    if (state->status != StepStatus::update) return;
    if (++l.steps == kScaleRaisedAfter) l = {math::min(2 * l.scale, kMaxLossScale), 0};
  }
};

DN_HD inline float clipped(float g, float limit) {
  return limit > 0 ? math::clamp(g, -limit, limit) : g;
}

// Whether this step updates; an overflow's gradient is cleared.
DN_HD inline bool updates(const StepState& state, float& gradient) {
  if (state.status == StepStatus::overflow) gradient = 0;
  return state.status == StepStatus::update;
}

template <class Rule>
struct BeginUpdate {
  Rule rule;
  typename Rule::Step* shared;
  std::int64_t frozen;
  const StepState* state;
  DN_HD void operator()(std::int64_t) const { *shared = rule.step(state->iteration - frozen); }
};

template <class Rule, class States>
struct Update;
template <class Rule, std::size_t... k>
struct Update<Rule, std::index_sequence<k...>> {
  Rule rule;
  UpdateArrays a;
  float images;
  const typename Rule::Step* shared;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (!updates(*state, a.gradient[i])) return;
    const UpdateElement e{clipped(a.gradient[i] / state->loss.scale, a.clip),
                          state->learning_rate * a.rate_factor, a.decay, images};
    a.gradient[i] = 0;
    rule.update(*shared, e, a.value[i], a.states[k][i]...);
  }
};

struct Average {
  AverageArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->status == StepStatus::update)
      a.average[i] = a.alpha * a.average[i] + (1 - a.alpha) * a.value[i];
  }
};

// An array as rows of kRow elements, whose loop for_each_pixel vectorises, and what is left over.
template <class F>
struct InRows {
  F f;
  std::int64_t begin;
  DN_HD void operator()(std::int64_t row, std::int64_t i) const { f(begin + row * kRow + i); }
};

template <class F>
void for_each_in_rows(const Stream& s, std::int64_t n, F f) {
  const std::int64_t rows = n / kRow;
  for_each_pixel(s, {1, 1, rows, kRow}, InRows<F>{f, 0});
  for_each_pixel(s, {1, 1, 1, n - rows * kRow}, InRows<F>{f, rows * kRow});
}

}  // namespace

void begin_step(const Stream& s, const StepParams* params, StepState* state) {
  for_each(s, 1, SetParams{params, state, true});
}

void set_step_params(const Stream& s, const StepParams* params, StepState* state) {
  for_each(s, 1, SetParams{params, state, false});
}

void adapt_loss_scale(const Stream& s, StepState* state) { for_each(s, 1, AdaptLossScale{state}); }

std::int64_t check_finite_scratch(std::int64_t n) {
  return reduce_scratch<std::int64_t>(n) + std::int64_t{sizeof(std::int64_t)};
}

void check_finite(const Stream& s, const float* gradient, std::int64_t n, StepState* state,
                  void* scratch) {
  auto* const count = static_cast<std::int64_t*>(scratch);
  reduce(s, n, NotFinite{gradient}, count, count + 1);
  for_each(s, 1, MarkNotFinite{count, state});
}

void begin_update(const Stream& s, const OptimizerStep& step, const StepState* state) {
  std::visit(
      [&](const auto& rule) {
        using Rule = std::remove_cvref_t<decltype(rule)>;
        using Shared = typename Rule::Step;
        static_assert(sizeof(Shared) <= kOptimizerStepBytes);
        if constexpr (!std::is_empty_v<Shared>)
          for_each(s, 1,
                   BeginUpdate<Rule>{rule, static_cast<Shared*>(step.shared), step.frozen, state});
      },
      step.rule);
}

void parameter_update(const Stream& s, const UpdateArrays& a, const OptimizerStep& step,
                      const StepState* state) {
  std::visit(
      [&](const auto& rule) {
        using Rule = std::remove_cvref_t<decltype(rule)>;
        using States = std::make_index_sequence<std::size(Rule::states)>;
        for_each_in_rows(
            s, a.n,
            Update<Rule, States>{rule, a, step.images,
                                 static_cast<typename Rule::Step*>(step.shared), state});
      },
      step.rule);
}

void average_update(const Stream& s, const AverageArrays& a, const StepState* state) {
  for_each_in_rows(s, a.n, Average{a, state});
}

}  // namespace darknet
