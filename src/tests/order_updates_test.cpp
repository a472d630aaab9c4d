// The launches of kernels/update.cpp and kernels/label_rejection.cpp in scattered order: a part of
// order_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/label_rejection.h"
#include "kernels/update.h"
#include "tests/order_check.h"
#include "tests/order_checks.h"

namespace darknet::testing_order {
namespace {

template <class Update>
Bytes updated(Update update, StepStatus status) {
  const Tensor rows = random_tensor({2 + kMaxOptimizerStates, 1, 1, kParameters}, 1);
  float* const row = rows.data();
  const std::int64_t n = kParameters;
  for (std::int64_t i = 2 * n; i < rows.size(); ++i) row[i] += .5f;  // Adam's v is not negative
  StepState state{{.iteration = 2, .learning_rate = .1f}, status};
  state.loss.scale = 4;
  UpdateArrays arrays{
      .value = row, .gradient = row + n, .n = kParameters, .decay = .01f, .clip = .4f};
  for (std::size_t k = 0; k < kMaxOptimizerStates; ++k)
    arrays.states[k] = row + static_cast<std::int64_t>(2 + k) * n;
  update(arrays, &state);
  Bytes all = bytes_of({&rows});
  append(all, std::span(&state.status, 1));
  return all;
}

}  // namespace

void check_update() {
  using Arrays = const UpdateArrays&;
  for (const StepStatus status :
       {StepStatus::update, StepStatus::overflow, StepStatus::non_finite}) {
    for (const OptimizerRule& rule : all_of<OptimizerRule>())
      EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
        return updated(
            [&](Arrays a, StepState* state) {
              const Buffer shared({}, kOptimizerStepBytes);
              update_parameters(s, {s, {a}}, {rule, 4, shared.data()}, state);
            },
            status);
      })) << name_of(rule);
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      return updated(
          [&](Arrays a, StepState* state) {
            update_averages(s, {s, {{a.states[0], a.value, a.n, .9f}}}, state);
          },
          status);
    }));
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      return updated(
          [&](Arrays a, StepState*) {
            centre_gradients(s, {s, {{a.gradient, 20, 500}}});
          },
          status);
    }));
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      return updated(
          [&](Arrays a, StepState* state) {
            const Buffer scratch({}, check_finite_scratch(a.n));
            if (status == StepStatus::overflow) a.gradient[a.n - 3] = INFINITY;
            const StepParams order{.iteration = 3};
            (status == StepStatus::update ? begin_step : set_step_params)(s, &order, state);
            check_finite(s, a.gradient, a.n, state, scratch.data());
            EXPECT_EQ(state->status, status);
            adapt_loss_scale(s, state);
            EXPECT_EQ(state->loss.scale, status == StepStatus::overflow ? 2 : 4);
          },
          status);
    }));
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      return updated(
          [&](Arrays a, StepState* state) {
            const Buffer scratch({}, check_finite_scratch(a.n));
            a.gradient[a.n - 3] = NAN;
            state->loss.scale = 1;
            zero_not_finite(s, a.gradient, a.n, state, scratch.data());
            EXPECT_EQ(state->fixed, status == StepStatus::non_finite ? 0 : 1);
            if (status != StepStatus::update) a.gradient[a.n - 3] = 0;  // NaN equals nothing
          },
          status);
    }));
  }
}

void check_label_rejection() {
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const Tensor gradient = random_tensor({2, 40, 40, 18}, 3);
    std::vector<double> values{.9, .4, .3, .8};
    std::vector<std::int64_t> sums(to_size(kRejectionSums));
    std::vector<char> scratch(to_size(rejection_scratch(gradient.size())));
    StepState state{{.iteration = 95}};
    reject_gradients(s,
                     {{.badlabels_rejection_percentage = 5,
                       .num_sigmas_reject_badlabels = 2,
                       .equidistant_point = 50},
                      100,
                      gradient.view().as<>(),
                      6,
                      {values.data(), sums.data()},
                      &state},
                     scratch.data());
    keep_rejection(s, {values.data(), sums.data()}, &state);
    Bytes all = bytes_of({&gradient});
    append(all, std::span(values));
    append(all, std::span(sums));
    return all;
  }));
}

}  // namespace darknet::testing_order
