#include "kernels/update.h"

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
    if (*count == 0 || state->verdict == Verdict::fault) return;
    state->verdict = state->loss.scale > 1 ? Verdict::overflow : Verdict::fault;
  }
};

struct Tell {
  const StepOrder* order;
  StepState* state;
  bool begin;
  DN_HD void operator()(std::int64_t) const {
    static_cast<StepOrder&>(*state) = *order;
    if (begin && state->verdict != Verdict::fault) state->verdict = Verdict::update;
  }
};

struct AdaptLossScale {
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    LossScale& l = state->loss;
    if (state->verdict == Verdict::overflow) l = {l.scale / 2, 0};
    if (state->verdict != Verdict::update) return;
    if (++l.steps == kScaleRaisedAfter) l = {math::min(2 * l.scale, kMostLossScale), 0};
  }
};

DN_HD inline float clipped(float g, float limit) {
  return limit > 0 ? math::clamp(g, -limit, limit) : g;
}

// Whether this step updates; an overflow's gradient is cleared.
DN_HD inline bool updates(const StepState& state, float& gradient) {
  if (state.verdict == Verdict::overflow) gradient = 0;
  return state.verdict == Verdict::update;
}

struct Sgd {
  UpdateArrays a;
  SgdSettings s;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (!updates(*state, a.gradient[i])) return;
    const float g = clipped(a.gradient[i] / state->loss.scale, a.clip);
    a.gradient[i] = 0;
    const float v = s.momentum * a.first[i] + g + a.decay * s.images * a.value[i];
    a.first[i] = v;
    a.value[i] -= state->learning_rate * a.rate_factor / s.images * v;
  }
};

struct CorrectAdam {
  AdamSettings s;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    const auto t = static_cast<float>(state->iteration - s.frozen);
    state->adam_first = 1 - math::pow(s.b1, t);
    state->adam_second = 1 - math::pow(s.b2, t);
  }
};

struct Adam {
  UpdateArrays a;
  AdamSettings s;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (!updates(*state, a.gradient[i])) return;
    const float g =
        clipped(a.gradient[i] / state->loss.scale, a.clip) / s.images + a.decay * a.value[i];
    a.gradient[i] = 0;
    const float m = s.b1 * a.first[i] + (1 - s.b1) * g;
    const float v = s.b2 * a.second[i] + (1 - s.b2) * g * g;
    a.first[i] = m;
    a.second[i] = v;
    const float m_hat = m / state->adam_first, v_hat = v / state->adam_second;
    a.value[i] -= state->learning_rate * a.rate_factor * m_hat / (math::sqrt(v_hat) + s.epsilon);
  }
};

struct Average {
  AverageArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->verdict == Verdict::update)
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

void begin_step(const Stream& s, const StepOrder* order, StepState* state) {
  for_each(s, 1, Tell{order, state, true});
}

void tell_step(const Stream& s, const StepOrder* order, StepState* state) {
  for_each(s, 1, Tell{order, state, false});
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

void sgd_update(const Stream& s, const UpdateArrays& a, const SgdSettings& settings,
                const StepState* state) {
  for_each_in_rows(s, a.n, Sgd{a, settings, state});
}

void correct_adam(const Stream& s, const AdamSettings& settings, StepState* state) {
  for_each(s, 1, CorrectAdam{settings, state});
}

void adam_update(const Stream& s, const UpdateArrays& a, const AdamSettings& settings,
                 const StepState* state) {
  for_each_in_rows(s, a.n, Adam{a, settings, state});
}

void average_update(const Stream& s, const AverageArrays& a, const StepState* state) {
  for_each_in_rows(s, a.n, Average{a, state});
}

}  // namespace darknet
