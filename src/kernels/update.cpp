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
    if (*count > 0) state->finite = 0;
  }
};

DN_HD inline float clipped(float g, float limit) {
  return limit > 0 ? math::clamp(g, -limit, limit) : g;
}

struct Sgd {
  UpdateArrays a;
  SgdSettings s;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->finite == 0) return;
    const float g = clipped(a.gradient[i], a.clip);
    a.gradient[i] = 0;
    const float v = s.momentum * a.first[i] + g + a.decay * s.images * a.value[i];
    a.first[i] = v;
    a.value[i] -= state->learning_rate * a.rate_factor / s.images * v;
  }
};

struct Adam {
  UpdateArrays a;
  AdamSettings s;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->finite == 0) return;
    const float g = clipped(a.gradient[i], a.clip) / s.images + a.decay * a.value[i];
    a.gradient[i] = 0;
    const float m = s.b1 * a.first[i] + (1 - s.b1) * g;
    const float v = s.b2 * a.second[i] + (1 - s.b2) * g * g;
    a.first[i] = m;
    a.second[i] = v;
    const auto t = static_cast<float>(state->iteration);
    const float m_hat = m / (1 - math::pow(s.b1, t)), v_hat = v / (1 - math::pow(s.b2, t));
    a.value[i] -= state->learning_rate * a.rate_factor * m_hat / (math::sqrt(v_hat) + s.epsilon);
  }
};

struct Average {
  AverageArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->finite != 0) a.average[i] = a.alpha * a.average[i] + (1 - a.alpha) * a.value[i];
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

void adam_update(const Stream& s, const UpdateArrays& a, const AdamSettings& settings,
                 const StepState* state) {
  for_each_in_rows(s, a.n, Adam{a, settings, state});
}

void average_update(const Stream& s, const AverageArrays& a, const StepState* state) {
  for_each_in_rows(s, a.n, Average{a, state});
}

}  // namespace darknet
