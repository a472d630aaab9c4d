// What `detector sweep` and `detector compare` do.
#pragma once
#include "cli/sweep_arguments.h"

namespace darknet::cli {

// Makes the runs, by itself or by several processes, and writes the page after each. The exit code.
int run_sweep(SweepArguments);

}  // namespace darknet::cli
