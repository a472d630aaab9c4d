// What is reported of a device's memory is what its buffers take, and all of it before the first
// step.
#include "train/memory_report.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "train/random_batch.h"

namespace darknet {
namespace {

const char* const kNetwork =
    "[net]\nbatch=8\nsubdivisions=2\nwidth=32\nheight=32\nmomentum=.9\nema_alpha=.9\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=2\n";
constexpr std::int64_t kReportedBatch = 8;

// A training run on the first `devices` devices.
struct TrainingRun {
  explicit TrainingRun(int devices);
  MemoryReport report(std::size_t place) {
    return memory_report(*nets[place], *optimizers[place], *step, place).value();
  }
  std::int64_t used(std::size_t place) const {
    return memory_in_use(nets[place]->options().device).value().used;
  }
  std::vector<std::unique_ptr<Network>> nets;
  std::vector<std::unique_ptr<Optimizer>> optimizers;
  std::unique_ptr<TrainingStep> step;
};

TrainingRun::TrainingRun(int devices) {
  std::vector<Replica> replicas;
  for (int i = 0; i < devices; ++i) {
    std::istringstream cfg(kNetwork);
    nets.push_back(std::make_unique<Network>(
        parse_cfg(cfg, "net.cfg"),
        NetworkOptions{
            .device = {DeviceType::cuda, i}, .mode = Mode::training, .replicas = devices}));
    optimizers.push_back(std::make_unique<Optimizer>(*nets.back(), nets.back()->settings()));
    nets.back()->initialise();
    nets.back()->parameters_changed();
    replicas.push_back({nets.back().get(), optimizers.back().get()});
  }
  step = std::make_unique<TrainingStep>(replicas, 1);
}

void expect_every_part(const MemoryReport& r, const Network& net, bool several) {
  std::int64_t values = 0, trained = 0;
  for (const Parameter* p : net.parameters())
    values += p->value.bytes(), trained += p->trained() ? p->value.bytes() : 0;
  EXPECT_EQ(r.network.parameters, values);
  EXPECT_EQ(r.optimizer, values + trained);  // the average and the momentum
  const Shape in = net.input_shape();
  const std::int64_t pixels = in.size() * std::int64_t{sizeof(float)};
  EXPECT_GE(r.inputs, 2 * pixels);  // while one is read, the next is filled
  EXPECT_GE(r.network.activations, pixels);
  EXPECT_EQ(r.all_reduce > 0, several);  // of the gradients, none: they are summed where they are
  EXPECT_GE(r.in_use.used, r.network.total() + r.optimizer + r.inputs + r.all_reduce);
  EXPECT_GT(r.in_use.free, 0);
}

TEST(DeviceMemory, AllOfItIsReportedAndTakenBeforeTheFirstStep) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  for (int devices = 1; devices <= std::min(2, device_count(DeviceType::cuda)); ++devices) {
    TrainingRun run(devices);
    std::vector<MemoryReport> reports;
    for (int i = 0; i < devices; ++i) {
      const auto place = to_size(std::int64_t{i});
      reports.push_back(run.report(place));
      expect_every_part(reports.back(), *run.nets[place], devices > 1);
    }
    const auto pixels = random_pixels(kReportedBatch * run.nets[0]->input_shape().features(), 1);
    const auto truths = random_truths(kReportedBatch, 2, 1);
    for (std::int64_t k = 0; k < 3; ++k)
      run.step->run({pixels, truths}, {.iteration = k + 1, .learning_rate = .01f},
                    kReportedBatch * k, true);
    for (std::size_t i = 0; i < reports.size(); ++i)
      EXPECT_EQ(run.used(i), reports[i].in_use.used) << "a step took memory of device " << i;
  }
}

TEST(DeviceMemory, WhatWasReleasedIsFree) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  constexpr std::int64_t kBytes = 1 << 20;
  const Device device{.type = DeviceType::cuda};
  const std::int64_t before = memory_in_use(device)->used;
  {
    const Buffer local(device, kBytes), peer(device, kBytes, MemoryAccess::peer);
    EXPECT_GE(memory_in_use(device)->used, before + 2 * kBytes);
  }
  EXPECT_EQ(memory_in_use(device)->used, before);
}

TEST(DeviceMemory, TheCpusIsNotReported) { EXPECT_FALSE(memory_in_use({})); }

TEST(DeviceMemory, APartOfNothingIsNotInTheLine) {
  MemoryReport r{.device = {DeviceType::cuda, 1}};
  r.network.parameters = 3 << 20, r.inputs = 1 << 19, r.in_use = {.used = 4 << 20, .free = 1 << 20};
  EXPECT_EQ(to_string(r),
            "memory of cuda:1, MiB: parameters 3.0, upload buffers 0.5, others 0.5; 4.0 in all, "
            "1.0 free");
  r.network.parameters = 1234, r.inputs = 99 << 10, r.in_use.used = 1234 + (99 << 10);
  EXPECT_EQ(
      to_string(r),
      "memory of cuda:1, MiB: parameters 0.0012, upload buffers 0.097, others 0; 0.098 in all, "
      "1.0 free");
}

}  // namespace
}  // namespace darknet
