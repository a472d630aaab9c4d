// The output of `darknet bench`.
#pragma once
#include <string>

#include "train/bench.h"
#include "train/tune.h"

namespace darknet::cli {

void print_bench(const BenchOptions&, const BenchReport&);
std::string bench_json(const BenchOptions&, const BenchReport&);  // seconds, FLOP/s, bytes
void print_tuning(const TuneReport&);

}  // namespace darknet::cli
