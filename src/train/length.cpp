#include "train/length.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace darknet {
namespace {

constexpr double kMaxIterations = 1e12;  // less than what [net] max_batches takes
constexpr std::int64_t kMaxBurnIn = 1000;

std::int64_t rounded(double iterations) {
  return static_cast<std::int64_t>(std::clamp(iterations, 1., kMaxIterations));
}

// A positive iteration number stays one; -1 of the older cfgs ("from the start") stays as it is.
std::int64_t scaled(std::int64_t value, double factor) {
  if (value <= 0) return value;
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(value) * factor));
}

}  // namespace

std::int64_t iterations_of_epochs(double epochs, std::int64_t images, std::int64_t batch) {
  return rounded(std::ceil(epochs * static_cast<double>(images) / static_cast<double>(batch)));
}

std::int64_t iterations_of_hours(double hours, double seconds) {
  return rounded(std::floor(hours * 3600 / seconds));
}

void set_run_length(Section& net, std::int64_t iterations, const Where& where) {
  Section given = net;  // reading marks keys as used; only the run itself decides about that
  const std::int64_t before = given.integer("max_batches", 0);
  net.set("max_batches", std::to_string(iterations), where);
  if (before <= 0) return;
  const double factor = static_cast<double>(iterations) / static_cast<double>(before);
  for (const char* key : {"burn_in", "step", "sgdr_cycle"})
    if (given.has(key)) net.set(key, std::to_string(scaled(given.integer(key, 0), factor)), where);
  std::string steps;
  for (const std::int64_t step : given.integers("steps"))
    steps += cat(steps.empty() ? "" : ",", scaled(step, factor));
  if (!steps.empty()) net.set("steps", steps, where);
}

Schedule schedule_of(std::int64_t iterations) {
  return {iterations, std::min(kMaxBurnIn, iterations / 15), iterations * 8 / 10,
          iterations * 9 / 10};
}

}  // namespace darknet
