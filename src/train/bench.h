// Measures how fast a network runs and what it takes: whole iterations, their phases, every layer,
// and the convolutions alone next to them. Times are the device's own (Event), the warm-up
// is not among them. Prints nothing; cli/bench_report.h does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataset/labels.h"
#include "nn/network.h"
#include "train/step.h"

namespace darknet {

struct BenchOptions {
  std::filesystem::path cfg;
  std::vector<Section> sections;  // a cfg that is parsed already; empty: the file's
  std::filesystem::path data;     // training: images of its train list; "": synthetic pixels
  BadLabels bad_labels = BadLabels::stop;
  std::vector<std::string> overrides;  // -set
  Device device;
  TrainingRanks ranks = {};  // training: share each step, and make as many
  bool training = false, reference = false, exact = false, deterministic = false;
  bool int8 = false;       // inference in 8-bit integers, with the ranges of its own pixels
  std::int64_t batch = 0;  // images per forward pass, or per step; 0: one, or the cfg's
  std::int64_t iterations = 20;
  int threads = 0;               // of the loader; 0: chosen
  double max_bad = 0;            // share of the images that may be unreadable
  std::filesystem::path tuning;  // algorithms; "": heuristics
  std::function<bool()> stop;    // asked between measurements; once it says yes, none follows
};

// Of several iterations, seconds.
struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread_of(std::vector<double> seconds);

struct LayerBench {
  std::string type, size;
  bool head = false;  // a detection head
  Shape output;
  double forward = 0, backward = 0;                    // median seconds per iteration
  double forward_flops = 0, backward_flops = 0;        // per iteration; 0: not counted
  double baseline_forward = 0, baseline_backward = 0;  // with -reference, [convolutional] only
};

struct ReferenceBench {
  Spread planned;                               // the algorithms that the network uses
  Spread direct;                                // direct convolution throughout
  std::int64_t convolutions = 0, left_out = 0;  // left_out: [connected] layers
};

struct BenchReport {
  std::string library;          // name and version
  Shape input;                  // of one forward pass
  std::int64_t images = 0;      // per iteration
  std::int64_t iterations = 0;  // that were measured; 0: nothing else is known either
  double peak_flops = 0;        // of a large matrix product in this run, per second
  std::int64_t peak_size = 0;   // its rows and columns
  std::string peak_arithmetic;  // what it was computed in
  Spread total;                 // whole iterations
  // On the CPU: mean processor time of all threads in an iteration. The system adds that of a
  // running thread some milliseconds late, so the times of single iterations say little.
  std::optional<double> cpu;
  StepTimes phases;                // training: medians
  double load = 0;                 // training: median seconds of waiting for a batch
  std::vector<LayerBench> layers;  // from iterations of their own
  double heads = 0;                // seconds of `layers` in detection heads
  std::optional<double> idle;      // not on the CPU: share of the time in which the device had no
                                   // work: outside of `phases`, at inference of `layers`
  MemoryUse memory;                // what the network planned
  std::string device_memory;       // what takes the device's, as a line; "" for the CPU
  std::int64_t peak_memory = 0;    // bytes of the whole process; 0 where it is unknown
  std::optional<ReferenceBench> reference;
};

BenchReport bench(const BenchOptions&);

}  // namespace darknet
