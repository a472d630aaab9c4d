#include "kernels/update.h"

#include <iterator>
#include <type_traits>
#include <utility>

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {
namespace {

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

struct AddFixed {
  const std::int64_t* count;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (*count == 0 || state->status == StepStatus::non_finite) return;
    if (state->loss.scale > 1)
      state->status = StepStatus::overflow;
    else
      state->fixed += *count;
  }
};

struct ZeroNotFinite {
  float* x;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (x[i] - x[i] != 0 && state->status == StepStatus::update) x[i] = 0;
  }
};

struct SetParams {
  const StepParams* params;
  StepState* state;
  bool begin;
  DN_HD void operator()(std::int64_t) const {
    static_cast<StepParams&>(*state) = *params;
    if (begin && state->status != StepStatus::non_finite) state->status = StepStatus::update;
    if (begin) state->fixed = 0;
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

// What all elements of a parameter share in one step.
template <class Rule>
struct BeginUpdate {
  Rule rule;
  const UpdateArrays* arrays;
  typename Rule::Step* shared;
  const StepState* state;
  DN_HD void operator()(std::int64_t entry) const {
    shared[entry] = rule.step(state->iteration - arrays[entry].frozen);
  }
};

template <class Rule, class States>
struct Update;
template <class Rule, std::size_t... k>
struct Update<Rule, std::index_sequence<k...>> {
  Rule rule;
  float images;
  const typename Rule::Step* shared;  // null where it is nothing
  const StepState* state;

  struct PerEntry {
    UpdateArrays a;
    typename Rule::Step step;
    float unscaled, rate;
    bool updates, clears;
  };
  DN_HD PerEntry prepare(const UpdateArrays& a, std::int64_t entry) const {
    const bool active = state->iteration > a.frozen;
    return {.a = a,
            .step = shared ? shared[entry] : typename Rule::Step{},
            .unscaled = 1 / state->loss.scale,  // a power of 2: exact
            .rate = state->learning_rate * a.rate_factor,
            .updates = active && state->status == StepStatus::update,
            .clears = active && state->status == StepStatus::overflow};
  }
  struct Element {
    float gradient, value;
    float states[sizeof...(k)];
  };
  DN_HD Element read(const PerEntry& known, std::int64_t i) const {
    return {known.a.gradient[i], known.a.value[i], {known.a.states[k][i]...}};
  }
  DN_HD void write(const PerEntry& known, std::int64_t i, Element x) const {
    const UpdateArrays& a = known.a;
    if (known.updates || known.clears) a.gradient[i] = 0;
    if (!known.updates) return;
    const UpdateElement e{clipped(x.gradient * known.unscaled, a.clip), known.rate, a.decay,
                          images};
    rule.update(known.step, e, x.value, x.states[k]...);
    a.value[i] = x.value;
    ((a.states[k][i] = x.states[k]), ...);
  }
  DN_HD void operator()(const PerEntry& known, std::int64_t i) const {
    write(known, i, read(known, i));
  }
};

struct CentreGradients {
  DN_HD CentreArrays prepare(const CentreArrays& a, std::int64_t) const { return a; }
  DN_HD void operator()(const CentreArrays& a, std::int64_t filter) const {
    float* const gradient = a.gradient + filter * a.size;
    double sum = 0;
    for (std::int64_t k = 0; k < a.size; ++k) sum += gradient[k];
    const auto mean = static_cast<float>(sum / static_cast<double>(a.size));
    for (std::int64_t k = 0; k < a.size; ++k) gradient[k] -= mean;
  }
};

struct Average {
  const StepState* state;
  struct PerEntry {
    AverageArrays a;
    bool changes;
  };
  DN_HD PerEntry prepare(AverageArrays a, std::int64_t) const {
    const bool moves = state->iteration > a.frozen;
    if (!moves) a.alpha = 0;
    return {a, !moves || state->status == StepStatus::update};
  }
  struct Element {
    float average, value;
  };
  DN_HD Element read(const PerEntry& known, std::int64_t i) const {
    return {known.a.average[i], known.a.value[i]};
  }
  DN_HD void write(const PerEntry& known, std::int64_t i, const Element& x) const {
    if (known.changes)
      known.a.average[i] = known.a.alpha * x.average + (1 - known.a.alpha) * x.value;
  }
  DN_HD void operator()(const PerEntry& known, std::int64_t i) const {
    write(known, i, read(known, i));
  }
};

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

void zero_not_finite(const Stream& s, float* gradient, std::int64_t n, StepState* state,
                     void* scratch) {
  auto* const count = static_cast<std::int64_t*>(scratch);
  reduce(s, n, NotFinite{gradient}, count, count + 1);
  for_each(s, 1, AddFixed{count, state});
  for_each(s, n, ZeroNotFinite{gradient, state});
}

void centre_gradients(const Stream& s, const ArrayTable<CentreArrays>& table) {
  for_each_array(s, table, CentreGradients{});
}

void update_parameters(const Stream& s, const ArrayTable<UpdateArrays>& table,
                       const OptimizerStep& step, const StepState* state) {
  std::visit(
      [&](const auto& rule) {
        using Rule = std::remove_cvref_t<decltype(rule)>;
        using Shared = typename Rule::Step;
        using States = std::make_index_sequence<std::size(Rule::states)>;
        static_assert(sizeof(Shared) <= kOptimizerStepBytes);
        Shared* shared = nullptr;
        if constexpr (!std::is_empty_v<Shared>) {
          shared = static_cast<Shared*>(step.shared);
          for_each(s, table.size(), BeginUpdate<Rule>{rule, table.list().on_device, shared, state});
        }
        for_each_array(s, table, Update<Rule, States>{rule, step.images, shared, state});
      },
      step.rule);
}

void update_averages(const Stream& s, const ArrayTable<AverageArrays>& table,
                     const StepState* state) {
  for_each_array(s, table, Average{state});
}

}  // namespace darknet
