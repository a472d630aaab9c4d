// Several processes of this program on one machine that share the runs of a sweep.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace darknet {

struct JobsOptions {
  int jobs = 2;
  std::vector<std::string> arguments;  // of each process, without the program's name
  std::filesystem::path folder;        // of their output, which is added to job-1.log ...
};

// Starts them, each with its share of the cores (OMP_NUM_THREADS, unless it is set), and waits
// until all have ended; `meanwhile` is called several times a second. A signal that asks this
// process to end is passed on, once; they end with it in any case. 0, or the exit code of an
// interruption. Throws, once all have ended, where one of them failed, with its message.
int run_jobs(const JobsOptions&, const std::function<void()>& meanwhile);

// The cores that each of so many processes gets.
int cores_of_job(int jobs);

}  // namespace darknet
