// Measures the loader of training images alone: reading, decoding, warping and labels, without a
// network's step. Prints nothing; cli/bench_data.cpp does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dataset/batches.h"
#include "dataset/labels.h"

namespace darknet {

struct LoaderBenchOptions {
  std::filesystem::path data, cfg;
  BadLabels bad_labels = BadLabels::stop;
  double max_bad = .01;                // share of images that may be unreadable
  std::vector<std::string> overrides;  // -set
  std::int64_t images = 512;           // at least, in whole batches
  int threads = 0;                     // 0: one per core
  std::function<bool()> stop;          // asked between batches; once it says yes, none follows
};

// Seconds of processor time per image, summed over threads.
struct LoaderTimes {
  double read = 0, decode = 0, warp = 0, labels = 0;
  double other = 0;  // of the whole process: queues, random numbers, system calls
  double total() const { return read + decode + warp + labels + other; }
};

struct LoaderBenchReport {
  InputSize size;           // of the network's input
  std::int64_t images = 0;  // that were waited for; 0: nothing else is known
  int threads = 0;
  double seconds = 0;  // of waiting for them
  LoaderTimes times;
};

// The images of data's train list, augmented as cfg says, in the cfg's batches and size (random= is
// left out). Nothing is kept decoded; the first batch is not counted. Throws Error where a file is
// wrong, and where cfg has no detection head.
LoaderBenchReport bench_loader(const LoaderBenchOptions&);

}  // namespace darknet
