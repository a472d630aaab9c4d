// The order in which the simulated devices (simulated_device.cpp) do what was asked of them: for
// tests that must not depend on it. Not in CUDA builds.
#pragma once
#include <cstdint>

namespace darknet::simulated {

// Work is done only when something waits, and then
enum class Schedule : std::uint8_t {
  late,          // no more than what is waited for: other streams stay behind
  others_first,  // first whatever another stream can do: other streams run ahead
  shuffled,      // by a seed, now this stream and now that
};

// Until it goes, all devices work in this order; before and after it in that of the environment
// variable DARKNET_SIMULATED_SCHEDULE: late (also when unset), others_first or a seed.
class ScheduleHere {
 public:
  explicit ScheduleHere(Schedule, std::uint64_t seed = 1);
  ScheduleHere(const ScheduleHere&) = delete;
  ScheduleHere& operator=(const ScheduleHere&) = delete;
  ~ScheduleHere();

 private:
  Schedule before_;
  std::uint64_t seed_before_;
};

}  // namespace darknet::simulated
