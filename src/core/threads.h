// How many cores there are, and how many of them the work of one thread may use.
#pragma once

namespace darknet {

int core_count();  // at least 1

int launch_threads();  // how many the launches of the calling thread use

// Launches and library calls made by the calling thread use at most so many threads from now on.
void limit_threads(int max);

// Processor time in seconds: of the calling thread, and of the whole program.
double thread_cpu_seconds();
double process_cpu_seconds();

}  // namespace darknet
