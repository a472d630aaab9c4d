// The length of a training run as users give it, in epochs or hours, and the keys of [net] that
// follow from it. Measuring how long an iteration takes is train/pace.h.
#pragma once
#include <cstdint>

#include "cfg/section.h"

namespace darknet {

// At most one of the two; 0: not given.
struct RunLength {
  double epochs = 0, hours = 0;
  bool given() const { return epochs > 0 || hours > 0; }
};

// Iterations of `batch` images each that show every one of `images` images `epochs` times, rounded
// up; at least 1.
std::int64_t iterations_of_epochs(double epochs, std::int64_t images, std::int64_t batch);
// Iterations that fit into `hours` at `seconds` each; at least 1.
std::int64_t iterations_of_hours(double hours, double seconds);

// Sets max_batches of a [net] section and moves burn_in, steps, step and sgdr_cycle in proportion,
// so that the schedule keeps its shape. Without max_batches in the section there is no proportion:
// the others stay. `where`: the origin of the new values, for messages about them.
void set_run_length(Section& net, std::int64_t iterations, const Where& where);

// The schedule of a fresh cfg: policy=steps at 80 % and 90 % of the run. burn_in is a fifteenth of
// it (Darknet: 1000 iterations of a run of many thousands), at most 1000 iterations.
struct Schedule {
  std::int64_t iterations = 0, burn_in = 0, first_step = 0, second_step = 0;
};
Schedule schedule_of(std::int64_t iterations);

}  // namespace darknet
