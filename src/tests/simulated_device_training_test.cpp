// A training asks its device for the same thing whatever the device does late: on every schedule of
// the simulated devices it leaves the same bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "core/device_guard.h"
#include "core/for_each.h"
#include "core/index.h"
#include "core/rng.h"
#include "nn/weights.h"
#include "tests/simulated_device.h"
#include "train/step.h"

namespace darknet {
namespace {

using simulated::Schedule;
using simulated::ScheduleHere;

const char* const kNetwork =
    "[net]\nbatch=4\nsubdivisions=2\nwidth=32\nheight=32\nmomentum=.9\nema_alpha=.9\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=2\nobj_loss=focal\n";

std::vector<std::vector<float>> train_on(const Device& device) {
  std::istringstream cfg(kNetwork);
  Network net(parse_cfg(cfg, "net.cfg"), {.device = device, .mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  TrainingStep step(net, optimizer, 3);
  std::vector<float> pixels(to_size(4 * net.input_shape().features()));
  const std::vector<std::vector<Truth>> truths(4, {{{.4f, .6f, .3f, .4f}, 1}});
  for (std::int64_t k = 0; k < 4; ++k) {
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = random_uniform(5, static_cast<std::uint64_t>(k), i);
    step.run({pixels, truths}, {.iteration = k + 1, .learning_rate = .01f}, 4 * k, true);
  }
  optimizer.swap_average();
  std::vector<std::vector<float>> parameters;
  for (const Parameter* p : net.parameters()) parameters.push_back(p->value.to_host(net.stream()));
  return parameters;
}

TEST(SimulatedTraining, LeavesTheSameBytesOnEverySchedule) {
  for (int index = 0; index < 2; ++index) {
    const Device device{.type = DeviceType::cuda, .index = index};
    std::vector<std::vector<std::vector<float>>> found;
    for (const Schedule schedule : {Schedule::late, Schedule::others_first}) {
      const ScheduleHere here(schedule);
      found.push_back(train_on(device));
    }
    for (const std::uint64_t seed : {1, 2, 3}) {
      const ScheduleHere here(Schedule::shuffled, seed);
      found.push_back(train_on(device));
    }
    for (const auto& parameters : found) EXPECT_EQ(parameters, found.front());
    for (const auto& values : found.front())
      for (const float v : values) ASSERT_TRUE(std::isfinite(v));
  }
}

struct SetOne {
  float* x;
  DN_HD void operator()(std::int64_t) const { *x = 1; }
};

TEST(SimulatedTraining, AnOptimizersStepLeavesTheDeviceOfItsCaller) {
  const Device first{.type = DeviceType::cuda, .index = 0},
      second{.type = DeviceType::cuda, .index = 1};
  std::istringstream cfg(kNetwork);
  Network net(parse_cfg(cfg, "net.cfg"), {.device = second, .mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  const StepState begun;
  Buffer state(second, sizeof begun), x(first, sizeof(float));
  memory(second.type).copy_in(net.stream(), state.data(), &begun, sizeof begun);
  const DeviceGuard guard(first);
  const OwnedStream stream({.device = first});
  optimizer.step(static_cast<StepState*>(state.data()), 4, true);
  EXPECT_NO_THROW(for_each(stream.get(), 1, SetOne{static_cast<float*>(x.data())}));
}

}  // namespace
}  // namespace darknet
