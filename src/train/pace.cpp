#include "train/pace.h"

#include "train/bench_workload.h"

namespace darknet {
namespace {

constexpr int kWarmUp = 2;  // the first steps plan and decode
constexpr int kMinSteps = 3, kMaxSteps = 30;
constexpr double kSeconds = 4;

}  // namespace

double seconds_per_iteration(BenchOptions options) {
  options.training = true;
  const auto work = make_workload(options);
  for (int i = 0; i < kWarmUp; ++i) work->run();
  std::vector<double> seconds;
  double sum = 0;
  while (static_cast<int>(seconds.size()) < kMinSteps ||
         (static_cast<int>(seconds.size()) < kMaxSteps && sum < kSeconds)) {
    seconds.push_back(work->run().total);
    sum += seconds.back();
  }
  return spread_of(std::move(seconds)).median;
}

}  // namespace darknet
