#include "kernels/all_reduce.h"

#include "core/for_each.h"

namespace darknet {
namespace {

constexpr std::int64_t kBitsPerFloat = 16, kFloatMask = (1 << kBitsPerFloat) - 1;

struct AddArray {
  const float* from;
  float* to;
  DN_HD void operator()(std::int64_t i) const { to[i] += from[i]; }
};

struct KeepRolling {
  DN_HD RollingArrays prepare(const RollingArrays& a, std::int64_t) const { return a; }
  DN_HD void operator()(const RollingArrays& a, std::int64_t i) const { a.kept[i] = a.value[i]; }
};

struct ShareRolling {
  float keep, weight;
  DN_HD RollingArrays prepare(const RollingArrays& a, std::int64_t) const { return a; }
  DN_HD void operator()(const RollingArrays& a, std::int64_t i) const {
    a.shared[i] = weight * (a.value[i] - keep * a.kept[i]);
  }
};

struct TakeRolling {
  float keep;
  const StepState* state;
  struct PerEntry {
    RollingArrays a;
    bool changes;
  };
  DN_HD PerEntry prepare(const RollingArrays& a, std::int64_t) const {
    return {a, state->iteration > a.frozen};
  }
  DN_HD void operator()(const PerEntry& known, std::int64_t i) const {
    const RollingArrays& a = known.a;
    if (known.changes) a.value[i] = keep * a.kept[i] + a.shared[i];
  }
};

struct ShareIntegers {
  const std::int64_t* values;
  float* shared;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t bits = i % kFloatsPerInteger * kBitsPerFloat;
    shared[i] = static_cast<float>(values[i / kFloatsPerInteger] >> bits & kFloatMask);
  }
};

struct TakeIntegers {
  const float* shared;
  std::int64_t* values;
  DN_HD void operator()(std::int64_t i) const {
    std::int64_t sum = 0;
    for (std::int64_t k = kFloatsPerInteger; k-- > 0;)
      sum = (sum << kBitsPerFloat) + static_cast<std::int64_t>(shared[i * kFloatsPerInteger + k]);
    values[i] = sum;
  }
};

struct ShareError {
  const StepState* state;
  float* shared;
  DN_HD void operator()(std::int64_t) const {
    *shared = state->status == StepStatus::non_finite ? 1.f : 0.f;
  }
};

struct TakeError {
  const float* shared;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (!(*shared == 0)) state->status = StepStatus::non_finite;
  }
};

}  // namespace

void add_array(const Stream& s, const float* from, float* to, std::int64_t n) {
  for_each(s, n, AddArray{from, to});
}

void keep_rolling(const Stream& s, const RollingTable& table) {
  for_each_array(s, table, KeepRolling{});
}

void share_rolling(const Stream& s, const RollingTable& table, float keep, float weight) {
  for_each_array(s, table, ShareRolling{keep, weight});
}

void take_rolling(const Stream& s, const RollingTable& table, float keep, const StepState* state) {
  for_each_array(s, table, TakeRolling{keep, state});
}

void share_integers(const Stream& s, const std::int64_t* values, float* shared, std::int64_t n) {
  for_each(s, n * kFloatsPerInteger, ShareIntegers{values, shared});
}

void take_integers(const Stream& s, const float* shared, std::int64_t* values, std::int64_t n) {
  for_each(s, n, TakeIntegers{shared, values});
}

void share_error(const Stream& s, const StepState* state, float* shared) {
  for_each(s, 1, ShareError{state, shared});
}

void take_error(const Stream& s, const float* shared, StepState* state) {
  for_each(s, 1, TakeError{shared, state});
}

}  // namespace darknet
