#include "nn/schedule.h"

#include <cmath>
#include <numbers>

#include "core/rng.h"

namespace darknet {
namespace {

float steps_rate(const NetSettings& net, std::int64_t iteration) {
  float rate = net.learning_rate;
  for (std::size_t i = 0; i < net.steps.size() && net.steps[i] <= iteration; ++i)
    rate *= net.scales[i];
  return rate;
}

// Cosine annealing with warm restarts (Loshchilov and Hutter, ICLR 2017).
float sgdr_rate(const NetSettings& net, std::int64_t iteration) {
  std::int64_t start = 0, cycle = net.sgdr_cycle > 0 ? net.sgdr_cycle : net.max_batches;
  while (start + cycle < iteration) {
    start += cycle;
    cycle *= net.sgdr_mult;
  }
  const double phase = static_cast<double>(iteration - start) / static_cast<double>(cycle);
  return static_cast<float>(net.learning_rate_min +
                            .5 * (net.learning_rate - net.learning_rate_min) *
                                (1 + std::cos(phase * std::numbers::pi)));
}

// Of the learning rate after burn_in, by the policies that multiply it.
double factor_of(const NetSettings& net, std::int64_t iteration, std::uint64_t seed) {
  const auto it = static_cast<double>(iteration);
  switch (net.policy) {
    case Policy::step:
      return std::pow(net.scale, static_cast<double>(iteration / net.step));
    case Policy::exp:
      return std::pow(net.gamma, it);
    case Policy::poly:
      return std::pow(std::max(0., 1 - it / static_cast<double>(net.max_batches)), net.power);
    case Policy::sigmoid:
      return 1 / (1 + std::exp(net.gamma * (it - static_cast<double>(net.step))));
    case Policy::random:
      return std::pow(random_uniform(seed, 0x7A7E, static_cast<std::uint64_t>(iteration)),
                      net.power);
    case Policy::constant:
    case Policy::steps:
    case Policy::sgdr:
      break;
  }
  return 1;
}

}  // namespace

float learning_rate(const NetSettings& net, std::int64_t iteration, std::uint64_t seed) {
  const auto it = static_cast<double>(iteration);
  const double base = net.learning_rate;
  if (iteration < net.burn_in)
    return static_cast<float>(base * std::pow(it / static_cast<double>(net.burn_in), net.power));
  if (net.policy == Policy::steps) return steps_rate(net, iteration);
  if (net.policy == Policy::sgdr) return sgdr_rate(net, iteration);
  return static_cast<float>(base * factor_of(net, iteration, seed));
}

}  // namespace darknet
