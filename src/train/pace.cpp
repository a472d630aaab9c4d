#include "train/pace.h"

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "core/together.h"
#include "train/bench_workload.h"
#include "train/join_devices.h"

namespace darknet {
namespace {

constexpr int kWarmUp = 2;  // the first steps plan and decode
constexpr int kMinSteps = 3, kMaxSteps = 30;

double median_of_steps(Workload& work, Ranks& ranks, double budget) {
  work.join_ranks();
  for (int i = 0; i < (budget > 0 ? kWarmUp : 1); ++i) work.run();
  const int min = budget > 0 ? kMinSteps : 1;
  std::vector<double> seconds;
  double sum = 0;
  while (static_cast<int>(seconds.size()) < min ||
         (static_cast<int>(seconds.size()) < kMaxSteps && sum < budget)) {
    seconds.push_back(ranks.broadcast_value(work.run().total));  // all end after the same one
    sum += seconds.back();
  }
  work.leave_ranks();
  return spread_of(std::move(seconds)).median;
}

}  // namespace

double seconds_per_iteration(BenchOptions options, double budget) {
  options.training = true;
  Ranks& ranks = *options.ranks.ranks;
  std::unique_ptr<Workload> work;
  together(ranks, [&] { work = make_workload(options); });
  try {
    return median_of_steps(*work, ranks, budget);
  } catch (const std::exception& e) {
    end_job_of_devices(ranks, options.device, e);
    throw;
  }
}

}  // namespace darknet
