// The training step: working ahead of the host, several devices that share a batch, scaled losses
// and errors. Devices are the CPU, and two CUDA devices, simulated ones in a build without CUDA.
#include "train/step.h"
#include "core/index.h"
#include "nn/running_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <tuple>

#include "cfg/parse.h"
#include "kernels/update.h"
#include "tests/training_team.h"
#include "train/device_check.h"
#include "train/random_batch.h"
#include "train/trainer.h"

namespace darknet::testing_team {
namespace {

void expect_near(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b,
                 double tolerance, const std::string& where) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_LE(difference(a[i], b[i]).relative, tolerance) << where << "parameter " << i;
}

class SeveralDevices : public testing::TestWithParam<bool> {};  // summed in order, or by a library

TEST_P(SeveralDevices, TrainAsOneWithAsManyParts) {
  for (const auto& devices : pairs()) {
    Team one(4, {devices.front()}), two(2, devices, GetParam());
    ASSERT_EQ(two.members.front()->net.input_shape().n, one.members.front()->net.input_shape().n);
    for (std::int64_t k = 0; k < 4; ++k) {
      const StepResult a = one.run(k), b = two.run(k);
      ASSERT_TRUE(a.finite && b.finite);
      EXPECT_NEAR(a.loss, b.loss, 1e-5 * a.loss) << name_of(devices) << "step " << k;
      EXPECT_EQ(a.positives, b.positives);
      if (k == 0) {
        EXPECT_EQ(two.running(), one.running());
      }
      for (std::size_t h = 0; h < a.heads.size(); ++h) {
        EXPECT_EQ(a.heads[h].positives, b.heads[h].positives);
        EXPECT_EQ(a.heads[h].ignored, b.heads[h].ignored);
      }
    }
    expect_near(one.parameters(), two.parameters(), 2e-5, name_of(devices));
    EXPECT_EQ(two.parameters(0), two.parameters(1)) << "the same bytes on every device";
    EXPECT_EQ(two.running(0), two.running(1));
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_GT(one.running().at(i), 0);
      EXPECT_NEAR(one.running().at(i), two.running().at(i), 1e-4 * one.running().at(i));
    }
    one.members[0]->optimizer.swap_average();
    for (const auto& member : two.members) member->optimizer.swap_average();
    expect_near(one.parameters(), two.parameters(1), 2e-5, name_of(devices));
  }
}

INSTANTIATE_TEST_SUITE_P(Sums, SeveralDevices, testing::Bool());

// Momentum, averages and rolling statistics are taken over too.
TEST(SeveralDevicesTest, TakeUpATraining) {
  for (const auto& devices : pairs()) {
    Team one(4, {devices.front()}), two(2, devices);
    for (std::int64_t k = 0; k < 2; ++k) one.run(k);
    for (std::size_t m = 0; m < 2; ++m) copy_training(one.replica(0), two.replica(m));
    EXPECT_EQ(two.running(1), one.running());
    for (std::int64_t k = 2; k < 4; ++k) one.run(k), two.run(k);
    expect_near(one.parameters(), two.parameters(1), 2e-5, name_of(devices));
    EXPECT_EQ(two.running(0), two.running(1));
    one.members[0]->optimizer.swap_average();
    two.members[1]->optimizer.swap_average();
    expect_near(one.parameters(), two.parameters(1), 2e-5, name_of(devices));
  }
}

// Those of ghm with momentum: the mean of all micro-batches, wherever they are computed.
TEST(SeveralDevicesTest, ShareTheRunningCountsOfBins) {
  const auto cfg = [](std::int64_t subdivisions) {
    std::vector<Section> sections = cfg_of(subdivisions);
    for (Section& s : sections)
      if (s.type() == "yolo") {
        s.set("obj_loss", "ghm", {"test", 0});
        s.set("obj_momentum", ".5", {"test", 0});
      }
    return sections;
  };
  for (const auto& devices : pairs()) {
    Team one(cfg(4), {devices.front()}), two(cfg(2), devices);
    one.run(0), two.run(0);
    const std::vector<double> first = one.running();
    EXPECT_EQ(two.running(), first) << name_of(devices);
    EXPECT_GT(*std::ranges::max_element(first), 10);
    two.run(1);
    EXPECT_EQ(two.running(0), two.running(1));
    EXPECT_NE(two.running(), first);
  }
}

TEST(SeveralDevicesTest, LearnFromWhatEachOfThemSees) {
  for (const auto& devices : pairs()) {
    Team one(2, devices), other(2, devices);
    one.begin(0);
    other.begin(0, 20.f, kBatch - 1);  // a pixel of the second device's last image
    EXPECT_NE(one.step->finish().loss, other.step->finish().loss);
    EXPECT_NE(one.trained(0), other.trained(0)) << name_of(devices);
  }
}

TEST(SeveralDevicesTest, NeedABatchThatCanBeShared) {
  try {
    const Trainee odd(cfg_of(4), {.mode = Mode::training, .replicas = 3});
    FAIL() << "8 images in 12 parts";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("net.cfg:2: [net] batch: batch=8, but 3 devices"),
              std::string::npos)
        << e.what();
  }
}

TEST(WorkingAhead, GivesTheSameBytes) {
  for (const auto& devices : pairs()) {
    Team waiting(2, devices), ahead(2, devices);
    std::vector<double> expected, got;
    for (std::int64_t k = 0; k < 5; ++k) expected.push_back(waiting.run(k).loss);
    for (std::int64_t k = 0; k < 5; ++k) {
      ahead.begin(k);
      if (ahead.step->in_flight() == 2) got.push_back(ahead.step->finish().loss);
    }
    got.push_back(ahead.step->finish().loss);
    EXPECT_EQ(expected, got) << name_of(devices);
    EXPECT_EQ(waiting.parameters(), ahead.parameters()) << name_of(devices);
  }
}

TEST(WorkingAhead, ChangesOfSizeAreFollowed) {
  // Nothing is ignored: where a prediction is near that threshold, rounding would decide.
  std::vector<Section> cfg = cfg_of(2);
  for (Section& s : cfg)
    if (s.type() == "yolo") s.set("ignore_thresh", "1", {"test", 0});
  for (const auto& devices : pairs()) {
    Team expected(cfg, {devices.size(), Device{}}), team(cfg, devices);
    std::int64_t k = 0;
    for (const std::int64_t size : {64, 96, 64, 32})
      for (int twice = 0; twice < 2; ++twice, ++k) {  // as they stand, recorded, replayed twice
        for (Team* t : {&expected, &team}) t->resize(size);
        const double loss = expected.run(k).loss;
        team.begin(k);
        team.begin(++k);
        expected.run(k);
        EXPECT_NEAR(team.step->finish().loss, loss, 1e-3 * loss) << name_of(devices) << size;
        team.step->finish();
      }
    expect_near(expected.trained(), team.trained(1), 1e-3, name_of(devices));
  }
}

// A size that is used again reuses its plans and captured graphs, and computes what a new network
// computes. In 16 bits plans have copies of the weights.
void expect_replayed(const std::vector<Device>& devices, const char* keys) {
  const std::vector<Section> cfg = cfg_of(2, keys);
  Team team(cfg, devices);
  std::int64_t k = 300;
  for (const std::int64_t size : {64, 48, 32})
    for (int step = 0; step < 3; ++step, ++k) team.resize(size), team.run(k);
  const std::int64_t enqueued = team.enqueued();
  for (const std::int64_t size : {48, 64, 32, 48}) {
    team.resize(size);
    const Team fresh(cfg, devices);
    fresh.resize(size);
    for (std::size_t i = 0; i < devices.size(); ++i)
      copy_training(team.replica(i), fresh.replica(i));
    const double loss = team.run(k).loss;
    EXPECT_EQ(fresh.run(k).loss, loss) << name_of(devices) << keys << size;
    for (std::size_t i = 0; i < devices.size(); ++i)
      EXPECT_EQ(fresh.parameters(i), team.parameters(i)) << name_of(devices) << keys << size;
    ++k;
  }
  if (devices.front().type != DeviceType::cpu) {
    EXPECT_EQ(team.enqueued(), enqueued);
  }
}

TEST(WorkingAhead, ASizeThatComesBackIsReplayed) {
  for (const auto& devices : pairs()) {
    expect_replayed(devices, "");
    if (devices.front().type != DeviceType::cpu) expect_replayed(devices, "precision=bf16\n");
  }
}

TEST(WorkingAhead, MayEndInTheMiddle) {
  std::vector<std::vector<Device>> all = pairs();
  for (const Device& device : singles()) all.push_back({device});
  for (const auto& devices : all) {
    {
      Team team(2, devices);
      team.begin(0);
      team.begin(1);  // and nobody asks what became of them
    }
    EXPECT_TRUE(Team(2, devices).run(0).finite) << "a device wrote into memory that was gone";
  }
}

TEST(WorkingAhead, HasItsLimit) {
  Team team(2, {{}});
  team.begin(0);
  team.begin(1);
  EXPECT_THROW(team.begin(2), Error);
}

TEST(Step, RejectsLabelsAlikeOnEveryDevice) {
  std::vector<std::vector<float>> trained;
  std::vector<double> kept;
  for (const char* keys : {"",
                           "max_batches=2\nnum_sigmas_reject_badlabels=.5\nequidistant_point=1\n"
                           "badlabels_rejection_percentage=5\n"})
    for (const auto& devices : pairs()) {
      Team team(cfg_of(2, keys), devices);
      for (std::int64_t k = 0; k < 4; ++k) team.run(k);
      if (*keys == 0) {
        trained = team.trained();
        continue;
      }
      EXPECT_NE(team.trained(), trained) << name_of(devices);
      EXPECT_EQ(team.trained(0), team.trained(1));
      EXPECT_EQ(team.running(0), team.running(1));
      if (kept.empty()) kept = team.running();
      ASSERT_EQ(team.running().size(), kept.size());
      for (std::size_t i = 0; i < kept.size(); ++i)
        EXPECT_NEAR(team.running()[i], kept[i], 1e-4 * std::fabs(kept[i])) << name_of(devices) << i;
      EXPECT_GT(kept[0], 0);
    }
}

TEST(TryFixNan, OvercomesTheErrorsOfAStep) {
  for (const auto& devices : pairs()) {
    Team team(cfg_of(2, "try_fix_nan=1\n"), devices);
    team.run(0);
    team.begin(1, std::numeric_limits<float>::quiet_NaN(), 5);
    const StepResult bad = team.step->finish();
    EXPECT_TRUE(bad.finite);
    EXPECT_GT(bad.fixed, 0);
    double sum = 0;
    for (const HeadTelemetry& head : bad.heads) {
      EXPECT_EQ(head.images_left_out, 2) << "one micro-batch of " << kBatch / 2 / 2;
      sum += head.loss();
    }
    EXPECT_NEAR(bad.loss, sum / (kBatch - 2), 1e-9 * sum);
    EXPECT_GT(sum, 0);
    EXPECT_NE(warning_of_fixed(bad).find("try_fix_nan"), std::string::npos);
    const auto after = team.parameters();
    for (const auto& values : after)
      for (const float v : values) ASSERT_TRUE(std::isfinite(v)) << name_of(devices);
    const StepResult good = team.run(2);
    EXPECT_TRUE(good.finite);
    EXPECT_EQ(good.fixed, 0);
    EXPECT_NE(team.parameters(), after);
    EXPECT_EQ(team.trained(0), team.trained(1));
  }
}

class StepErrors : public testing::TestWithParam<bool> {};  // summed in order, or by a library

TEST_P(StepErrors, OfOneDeviceHoldBackAllAndStay) {
  constexpr std::int64_t kImage = 5;  // of the second device
  for (const auto& devices : pairs()) {
    Team team(2, devices, GetParam());
    team.run(0);
    const auto parameters = [&] {
      return std::tuple(team.trained(0), team.trained(1), team.running(0), team.running(1));
    };
    const auto before = parameters();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    team.begin(1, nan, kImage);
    team.begin(2);  // asked for before anyone knew
    const StepResult bad = team.step->finish(), after = team.step->finish();
    EXPECT_FALSE(bad.finite);
    EXPECT_EQ(bad.non_finite_image, kImage / 2 * 2) << "the first of its part";
    EXPECT_FALSE(after.finite);
    EXPECT_EQ(parameters(), before) << name_of(devices);
    std::vector<float> pixels = random_pixels(kBatch * team.features(), 1);
    pixels[to_size(kImage * team.features() + 11)] = nan;
    const auto truths = random_truths(kBatch, 2, 1);
    EXPECT_EQ(team.step->non_finite_layer({pixels, truths}, bad),
              "layer 0 [convolutional] (net.cfg:9)");
  }
}

INSTANTIATE_TEST_SUITE_P(Sums, StepErrors, testing::Bool());

TEST(LossScaling, ByAPowerOfTwoChangesNothing) {
  for (const Device& device : singles()) {
    Team plain(2, {device}), scaled(2, {device});
    scaled.step->set_loss_scale({.scale = 1024});
    for (std::int64_t k = 0; k < 3; ++k)
      EXPECT_EQ(plain.run(k).loss, scaled.run(k).loss) << to_string(device);
    EXPECT_EQ(plain.parameters(), scaled.parameters()) << to_string(device);
  }
}

TEST(LossScaling, AnOverflowSkipsTheUpdateAndTheTrainingGoesOn) {
  for (const auto& devices : pairs()) {
    Team expected(2, devices), team(2, devices);
    team.step->set_loss_scale({.scale = 0x1p127f});
    const StepResult lost = team.run(7);
    EXPECT_TRUE(lost.finite);
    EXPECT_TRUE(lost.overflow);
    team.step->set_loss_scale({.scale = 1});
    for (std::int64_t k = 0; k < 2; ++k) {
      EXPECT_FALSE(team.run(k).overflow);
      expected.run(k);
    }
    EXPECT_EQ(team.trained(), expected.trained()) << "the lost step's gradients are gone";
    EXPECT_EQ(team.running(), expected.running());
  }
}

// obj_norm=positives_ema: what the step before left has the weight .9.
TEST(PositivesAverage, IsUsedAndReportedWithTheStepsOwnCount) {
  Trainee trainee(cfg_of(2, "", "positives_ema,positives_ema"), {.mode = Mode::training});
  TrainingStep step(trainee.net, trainee.optimizer, 3);
  const auto pixels = random_pixels(kBatch * trainee.net.input_shape().features(), 1);
  double average = 100;
  std::set<std::int64_t> counts;
  for (std::int64_t k = 1; k < 6; ++k) {
    std::vector<std::vector<Truth>> truths(kBatch);
    if (k != 3) truths = random_truths(kBatch, 2, static_cast<std::uint64_t>(k));
    const StepResult r = step.run({pixels, truths}, {.iteration = k}, 0, false);
    EXPECT_EQ(r.positives, count_positives(trainee.net, truths));
    counts.insert(r.positives);
    average = .9 * average + (1 - .9) * static_cast<double>(std::max<std::int64_t>(1, r.positives));
    EXPECT_DOUBLE_EQ(r.positives_average, average);
    EXPECT_FLOAT_EQ(r.params.objectness_scale, static_cast<float>(kBatch / average));
  }
  EXPECT_TRUE(counts.contains(0));
  EXPECT_GT(counts.size(), 1u);
}

TEST(PositivesAverage, IsOneForAllHeads) {
  for (const char* norms : {"positives,positives_ema", "positives_ema,positives"}) {
    try {
      const Network net(cfg_of(2, "", norms), {.mode = Mode::training});
      FAIL() << norms;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("heads that divide by positives share one count"),
                std::string::npos)
          << e.what();
    }
  }
  const Network at_inference(cfg_of(2, "", "positives,positives_ema"), {});
  Trainee trainee(cfg_of(2, "", "images,positives_ema"), {.mode = Mode::training});
  const TrainingStep step(trainee.net, trainee.optimizer, 3);
}

// The plain loops compute in f16 on the CPU.
TEST(LossScaling, InF16FindsItsScaleAndTrainsLikeF32) {
  std::vector<Section> cfg = cfg_of(2);
  NetworkOptions options{.mode = Mode::training, .reference = true, .seed = 5};
  Trainee wide(cfg, options);
  cfg.front().set("precision", "f16", {"test", 0});
  Trainee half(cfg, options);
  ASSERT_TRUE(half.optimizer.scales_loss());
  TrainingStep wide_step(wide.net, wide.optimizer, 3), step(half.net, half.optimizer, 3);
  const auto pixels = random_pixels(kBatch * half.net.input_shape().features(), 1);
  const auto truths = random_truths(kBatch, 2, 1);
  const auto run = [&](TrainingStep& s, std::int64_t k) {
    return s.run({pixels, truths}, {.iteration = k, .learning_rate = .001f}, 0, true);
  };
  step.set_loss_scale({.scale = kMaxLossScale});
  int overflows = 0;
  StepResult r;
  for (; (r = run(step, 1)).overflow; ++overflows) ASSERT_TRUE(r.finite);
  EXPECT_GT(overflows, 0) << "so large a scale fits into no f16";
  EXPECT_EQ(r.loss_scale.scale, kMaxLossScale / static_cast<float>(1 << overflows));
  EXPECT_EQ(r.loss_scale.steps, 1);
  const double loss = run(wide_step, 1).loss;
  EXPECT_NEAR(r.loss, loss, .01 * loss);
  for (std::int64_t k = 2; k < 6; ++k) {
    const double expected = run(wide_step, k).loss;
    r = run(step, k);
    ASSERT_FALSE(r.overflow);
    EXPECT_NEAR(r.loss, expected, .02 * expected);
  }
  EXPECT_LT(r.loss, .9 * loss) << "it learns";
}

// Sums of integers are exact over so many summands alone (kernels/all_reduce.h).
TEST(TrainingStep, OfTooManyDevicesIsRefusedWhereLossesKeepSums) {
  struct Many final : Ranks {
    std::int64_t count() const override { return kMaxIntegerSummands + 1; }
  } many;
  const Team team(1, {{}});
  try {
    const TrainingStep step({team.replica(0)}, 3, {.ranks = &many});
    ADD_FAILURE() << "not refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("256 devices at most can form together"),
              std::string::npos)
        << e.what();
  }
}

TEST(LossScaling, IsRaisedAfterManyUpdates) {
  StepState state;
  state.loss = {.scale = 8, .steps = kScaleRaisedAfter - 2};
  adapt_loss_scale({}, &state);
  EXPECT_EQ(state.loss.scale, 8);
  adapt_loss_scale({}, &state);
  EXPECT_EQ(state.loss.scale, 16);
  EXPECT_EQ(state.loss.steps, 0);
  state.loss = {.scale = kMaxLossScale, .steps = kScaleRaisedAfter - 1};
  adapt_loss_scale({}, &state);
  EXPECT_EQ(state.loss.scale, kMaxLossScale);
}

}  // namespace
}  // namespace darknet::testing_team
