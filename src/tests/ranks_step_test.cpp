// Training steps of several ranks, on CPUs and on devices, of which each rank may have several.
// Where mpirun starts this program (CMakeLists.txt), else skipped.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/ranks.h"
#include "nn/running_values.h"
#include "train/device_check.h"
#include "train/random_batch.h"
#include "train/step.h"

namespace darknet {
namespace {

constexpr std::int64_t kImages = 8, kSteps = 3;  // of a batch: each a micro-batch

// One image in each micro-batch, on so many devices of a rank.
std::vector<Section> cfg_for(std::int64_t devices) {
  std::istringstream in(
      cat("[net]\nbatch=", kImages, "\nsubdivisions=", kImages / devices,
          "\nwidth=32\nheight=32\nmomentum=.9\nema_alpha=.9\n"
          "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\n"
          "activation=leaky\n[dropout]\nprobability=.2\n"
          "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
          "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=2\nobj_loss=ghm\nobj_momentum=.5\n"
          "obj_norm=positives_ema\n"));
  return parse_cfg(in, "net.cfg");
}

struct Learned {
  std::vector<std::vector<float>> parameters;
  std::vector<double> running;
  std::vector<StepResult> steps;
};

Learned train(const std::vector<Device>& devices, const TrainingRanks& ranks, bool in_order) {
  struct Member {
    Member(const std::vector<Section>& cfg, const NetworkOptions& options)
        : net(cfg, options), optimizer(net, net.settings()) {
      net.initialise();
      net.parameters_changed();
    }
    Network net;
    Optimizer optimizer;
  };
  std::vector<std::unique_ptr<Member>> members;
  std::vector<Replica> replicas;
  for (const Device& d : devices) {
    members.push_back(std::make_unique<Member>(cfg_for(std::ssize(devices)),
                                               NetworkOptions{.device = d,
                                                              .mode = Mode::training,
                                                              .exact = true,
                                                              .deterministic = in_order,
                                                              .replicas = std::ssize(devices),
                                                              .seed = 5}));
    replicas.push_back({&members.back()->net, &members.back()->optimizer});
  }
  TrainingStep step(replicas, 3, ranks);
  step.join_ranks();
  const Network& net = members.back()->net;
  const std::int64_t features = net.input_shape().features();
  const auto first = to_size(step.first_image()), count = to_size(step.count());
  Learned learned;
  for (std::int64_t k = 0; k < kSteps; ++k) {
    const auto seed = static_cast<std::uint64_t>(k);
    const std::vector<float> pixels = random_pixels(kImages * features, seed);
    const auto truths = random_truths(kImages, 2, seed);
    const auto floats = to_size(features);
    step.begin({std::span(pixels).subspan(first * floats, count * floats),
                std::span(truths).subspan(first, count)},
               {.iteration = k + 1, .learning_rate = .01f}, k * kImages, true);
    learned.steps.push_back(step.finish());
  }
  for (const Parameter* p : net.parameters())
    learned.parameters.push_back(p->value.to_host(net.stream()));
  for (const RunningAt& at : running_values(net))
    for (const double v : at.values->to_host(net.stream())) learned.running.push_back(v);
  return learned;
}

std::vector<std::vector<Device>> sets_of_devices() {
  const auto cuda = [](int index) { return Device{.type = DeviceType::cuda, .index = index}; };
  std::vector<std::vector<Device>> sets{{{}}, {{}, {}}};
  const int count = device_count(DeviceType::cuda);
  if (count > 0) sets.push_back({cuda(0)});
  if (count > 1) sets.push_back({cuda(0), cuda(1)});
  return sets;
}

TEST(StepsUnderMpirun, AreThoseOfOneProcess) {
  if (launch_of_environment().count == 1) GTEST_SKIP() << "one process: mpirun starts several";
  const TrainingRanks all{.ranks = &launched_ranks(), .bucket_bytes = 256};
  for (const std::vector<Device>& devices : sets_of_devices())
    for (const bool in_order : {true, false}) {
      const Learned one = train({devices.front()}, {}, true), many = train(devices, all, in_order);
      const std::string where =
          cat(devices.size(), " of ", to_string(devices.front()), in_order ? " in order" : "");
      for (std::size_t p = 0; p < one.parameters.size(); ++p)
        EXPECT_LE(difference(one.parameters[p], many.parameters[p]).relative, 2e-5)
            << where << " parameter " << p;
      ASSERT_EQ(one.running.size(), many.running.size());
      for (std::size_t i = 0; i < one.running.size(); ++i)
        EXPECT_NEAR(one.running[i], many.running[i], 1e-3 * one.running[i]) << where;
      for (std::size_t k = 0; k < one.steps.size(); ++k) {
        const StepResult &a = one.steps[k], &b = many.steps[k];
        EXPECT_NEAR(a.loss, b.loss, 1e-5 * a.loss) << where;
        EXPECT_EQ(a.positives, b.positives) << where;
        EXPECT_EQ(a.heads[0].positives, b.heads[0].positives) << where;
      }
    }
}

// All know of it, and the rank that computed the image says which layer it was.
TEST(StepsUnderMpirun, ShareAnErrorOfOne) {
  if (launch_of_environment().count == 1) GTEST_SKIP() << "one process: mpirun starts several";
  Ranks& ranks = launched_ranks();
  Network net(cfg_for(1), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  TrainingStep step({{&net, &optimizer}}, 3, {.ranks = &ranks});
  step.join_ranks();
  std::vector<float> pixels = random_pixels(step.count() * net.input_shape().features(), 0);
  const auto truths = random_truths(step.count(), 2, 0);
  if (ranks.rank() == 1) pixels[11] = NAN;
  const StepInput input{pixels, truths};
  step.begin(input, {.iteration = 1, .learning_rate = .01f}, 0, false);
  const StepResult result = step.finish();
  EXPECT_FALSE(result.finite);
  EXPECT_EQ(result.non_finite_image, kImages / ranks.count());
  EXPECT_EQ(step.non_finite_layer(input, result).empty(), ranks.rank() != 1);
}

}  // namespace
}  // namespace darknet
