// What `darknet bench` measures: medians, that every layer is timed, and that the convolutions
// alone are the ones that the network runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/bench_report.h"
#include "core/error.h"
#include "core/json.h"
#include "paths.h"
#include "train/bench.h"

namespace darknet {
namespace {

const std::filesystem::path kTinyYolo = test::source_dir() / "cfg/yolov3-tiny.cfg";

BenchOptions small() {
  return {.cfg = kTinyYolo,
          .overrides = {"net.0.width=64", "net.0.height=64", "net.0.subdivisions=2"},
          .reference = true,
          .iterations = 3};
}

TEST(Bench, Median) {
  const Spread odd = spread_of({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 3);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spread_of({}).median, 0);
}

TEST(Bench, InferenceTimesEveryLayer) {
  BenchOptions o = small();
  o.batch = 2;
  const BenchReport r = bench(o);
  EXPECT_EQ(r.images, 2);
  EXPECT_EQ(r.input, (Shape{2, 64, 64, 3}));
  ASSERT_EQ(r.layers.size(), 24u);
  double flops = 0;
  for (const LayerBench& b : r.layers) {
    EXPECT_GT(b.forward, 0) << b.type;
    EXPECT_EQ(b.backward, 0) << b.type;
    EXPECT_EQ(b.baseline_forward > 0, b.type == "convolutional");
    flops += b.forward_flops;
  }
  EXPECT_NEAR(flops, 2 * 5.565e9 * 64 * 64 / (416 * 416), .01 * flops);
  EXPECT_GT(r.peak_flops, 1e8);
  EXPECT_GE(r.peak_size, 512);
  EXPECT_EQ(r.peak_arithmetic, "f32");
  EXPECT_FALSE(r.idle);
  EXPECT_LE(r.total.min, r.total.median);
  ASSERT_TRUE(r.cpu);
  EXPECT_GT(*r.cpu, 0);
  EXPECT_EQ(r.reference->convolutions, 13);
  EXPECT_GT(r.reference->planned.min, 0);
  EXPECT_GT(r.reference->direct.min, 0);
}

TEST(Bench, StopsBetweenIterations) {
  constexpr int kWarmUp = 3, kIterations = 3;
  for (const int stopped : {2, 4, 5, kWarmUp + kIterations + 1}) {  // when asked so often
    BenchOptions o = small();
    o.reference = false, o.iterations = kIterations;
    o.stop = [asked = 0, stopped]() mutable { return ++asked >= stopped; };
    const BenchReport r = bench(o);
    EXPECT_EQ(r.iterations, std::max(stopped - kWarmUp - 1, 0));
    EXPECT_EQ(r.layers.empty(), r.iterations == 0);
    EXPECT_EQ(r.total.median > 0, r.iterations > 0);
    EXPECT_EQ(r.peak_size, r.iterations > 0 ? 512 : 0) << "the peak took longer than it had to";
  }
}

TEST(Bench, TrainingTimesStepsInTheirParts) {
  BenchOptions o = small();
  o.training = true;
  o.batch = 4;
  const BenchReport r = bench(o);
  EXPECT_EQ(r.images, 4);
  EXPECT_EQ(r.input.n, 2);
  EXPECT_GT(r.memory.parameter_gradients, 0);
  EXPECT_GT(r.phases.backward, 0);
  EXPECT_GT(r.phases.update, 0);
  EXPECT_LT(r.phases.forward, r.total.max);
  EXPECT_LT(r.phases.backward, r.total.max);
  const LayerBench &first = r.layers[0], &second = r.layers[2];
  EXPECT_EQ(first.backward_flops, first.forward_flops);  // nobody wants the pixels' gradient
  EXPECT_EQ(second.backward_flops, 2 * second.forward_flops);
  double heads = 0;
  for (const LayerBench& b : r.layers) {
    EXPECT_GT(b.backward, 0) << b.type;
    EXPECT_EQ(b.head, b.type == "yolo");
    if (b.head) heads += b.forward + b.backward;
  }
  EXPECT_DOUBLE_EQ(r.heads, heads);
  EXPECT_GT(r.heads, 0);
}

TEST(Bench, ADeviceReportsItsIdleShare) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  for (const bool training : {false, true}) {
    BenchOptions o{.cfg = std::filesystem::path(testing::TempDir()) / "bench_device.cfg",
                   .device = {.type = DeviceType::cuda},
                   .training = training,
                   .exact = training,
                   .batch = 2,
                   .iterations = 2};
    std::ofstream(o.cfg) << "[net]\nbatch=2\nwidth=16\nheight=16\n[convolutional]\nfilters=7\n"
                            "size=3\npad=1\nactivation=linear\n"
                            "[yolo]\nmask=0\nanchors=5,7\nnum=1\nclasses=2\n";
    const BenchReport r = bench(o);
    ASSERT_TRUE(r.idle);
    EXPECT_FALSE(r.cpu);
    EXPECT_GE(*r.idle, 0);
    EXPECT_LT(*r.idle, 1);
    EXPECT_EQ(r.peak_arithmetic == "f32", training);
    for (const LayerBench& b : r.layers) EXPECT_GT(b.forward, 0) << b.type;
    EXPECT_GT(r.heads, 0);
  }
}

// A step of 20 ms on a device of 400 TFLOP/s, with one layer and one head.
BenchReport synthetic_report(double peak) {
  BenchReport r{.library = "card", .input = {4, 8, 8, 3}, .images = 8, .peak_flops = peak};
  r.peak_size = 8192, r.peak_arithmetic = "TF32", r.total = {.02, .01, .03};
  r.phases = {.001, .004, .008, .002}, r.load = .003, r.heads = .004, r.idle = .25;
  r.layers = {{.type = "convolutional", .forward = .001, .forward_flops = 2e11},
              {.type = "yolo", .head = true, .forward = .001, .backward = .003}};
  return r;
}

std::string printed(const BenchReport& r) {
  testing::internal::CaptureStdout();
  cli::print_bench({.cfg = "x.cfg", .training = true}, r);
  return testing::internal::GetCapturedStdout();
}

TEST(BenchReport, ReportsSharesAndRatesInUnitsThatCanBeRead) {
  const std::string text = printed(synthetic_report(4e14));
  for (const char* part :
       {"peak: 400.0 TFLOP/s, the best of a 8192 x 8192 x 8192 matrix product in TF32",
        "forward TFLOP/s  peak", "1.000   200.0   50%", "20.0 ms (10.0 to 30.0), 400.00 images/s",
        "idle 25.0 % of the time", "detection heads 20.0 % of a step",
        "data (waiting and upload) 20.0 %"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  const std::string small = printed(synthetic_report(4e11));
  EXPECT_NE(small.find("peak: 400.0 GFLOP/s"), std::string::npos) << small;
  EXPECT_EQ(small.find("TFLOP"), std::string::npos) << small;
}

TEST(BenchReport, JsonHasTheFigures) {
  const auto figures = parse_json(cli::bench_json({.training = true}, synthetic_report(4e14)));
  EXPECT_EQ(figures["idle"], .25);
  EXPECT_EQ(figures["backward"], .008);
  EXPECT_EQ(figures["images_per_second"], 400);
  EXPECT_EQ(figures["layers"][1]["backward"], .003);
  EXPECT_FALSE(figures.contains("cpu_seconds"));  // of a GPU
  BenchReport r = synthetic_report(4e11);
  r.cpu = .04;
  EXPECT_EQ(parse_json(cli::bench_json({}, r))["cpu_seconds"], .04);
  EXPECT_NE(printed(r).find("processor time of all threads: 40.0 ms on average"),
            std::string::npos);
}

TEST(Bench, TrainingWantsAHead) {
  BenchOptions o = small();
  o.training = true;
  o.cfg = std::filesystem::path(testing::TempDir()) / "bench_no_head.cfg";
  std::ofstream(o.cfg) << "[net]\nwidth=8\nheight=8\n[convolutional]\nsize=3\n";
  o.overrides.clear();
  EXPECT_THROW(bench(o), Error);
}

}  // namespace
}  // namespace darknet
