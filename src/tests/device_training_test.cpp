// Whole training runs on the CPU, on a CUDA device and on two (simulated ones in a build without
// CUDA): the same log, the same weights within rounding, and on from a checkpoint bit for bit.
#include <gtest/gtest.h>

#include <numeric>
#include <sstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "dataset/scene_set.h"
#include "nn/checkpoint.h"
#include "nn/running_values.h"
#include "nn/weights.h"
#include "tests/temporary_folder.h"
#include "train/device_check.h"
#include "train/trainer.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxLogBytes = 64u << 20;

constexpr const char* kTrainingCfg =
    "[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nmax_batches=24\nlearning_rate=.001\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=16\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=10,10,25,25\nnum=2\nclasses=3\nobj_loss=focal\n"
    "jitter=.2\n";

class DeviceTraining : public testing_files::InFolder {
 protected:
  DeviceTraining() {
    SceneSetSettings set{.count = 12, .test = 4, .extension = ".png", .threads = 1};
    set.scenes.width = set.scenes.height = 96;
    set.scenes.max_objects = 2;
    write_scene_set(folder_ / "set", set);
    cfg_ = file("x.cfg", kTrainingCfg);
  }
  std::string train(const std::string& name, const std::vector<Device>& devices,
                    std::int64_t iterations, const fs::path& weights = {},
                    std::int64_t subdivisions = 2) const {
    std::vector<std::string> overrides = keys_;
    overrides.push_back(cat("net.0.subdivisions=", subdivisions));
    train_detector({.data = folder_ / "set/scenes.data",
                    .cfg = cfg_,
                    .weights = weights,
                    .overrides = std::move(overrides),
                    .backup = folder_ / name,
                    .device = devices.front(),
                    .others = {devices.begin() + 1, devices.end()},
                    .map = true,
                    .exact = true,
                    .deterministic = true,
                    .max_batches = iterations,
                    .threads = 1});
    return read_file(folder_ / name / "x_last.weights", kMaxLogBytes);
  }
  std::vector<nlohmann::json> log(const std::string& name) const {
    std::vector<nlohmann::json> lines;
    std::istringstream in(read_file(folder_ / name / "x_log.jsonl", kMaxLogBytes));
    for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
    return lines;
  }
  void expect_that_of_the_cpu(std::int64_t iterations) const;
  // Of a .state file: what its losses keep becomes `factor` times what it was, which it returns.
  std::vector<double> change_running(const fs::path& path, double factor) const;
  std::vector<double> running(const fs::path& path) const { return change_running(path, 1); }

  fs::path cfg_;
  std::vector<std::string> keys_;  // SECTION.KEY=VALUE
};

std::vector<float> values(const std::string& weights) {
  constexpr std::size_t kHeader = 20;  // bytes: version, images seen
  std::vector<float> v((weights.size() - kHeader) / sizeof(float));
  std::memcpy(v.data(), weights.data() + kHeader, v.size() * sizeof(float));
  return v;
}

Device cuda(int index) { return {.type = DeviceType::cuda, .index = index}; }

std::vector<double> DeviceTraining::change_running(const fs::path& path, double factor) const {
  Network net(read_cfg(cfg_), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  const TrainingState state = load_state(path, net, optimizer);
  std::vector<double> before;
  for (const RunningAt& at : running_values(net)) {
    std::vector<double> values = at.values->to_host(net.stream());
    before.insert(before.end(), values.begin(), values.end());
    for (double& v : values) v *= factor;
    at.values->copy_from(net.stream(), values);
  }
  EXPECT_GT(std::accumulate(before.begin(), before.end(), 0.), 0);
  if (factor != 1) save_state(path, state, net, optimizer);
  return before;
}

void DeviceTraining::expect_that_of_the_cpu(std::int64_t iterations) const {
  std::vector<std::vector<Device>> teams{{cuda(0)}};
  if (device_count(DeviceType::cuda) > 1) teams.push_back({cuda(0), cuda(1)});
  for (const auto& team : teams) {  // one device with as many parts has the same statistics
    const auto devices = std::ssize(team);
    const std::string cpu = cat("cpu", devices), name = cat("team", devices);
    const auto expected = values(train(cpu, {{}}, iterations, {}, 2 * devices));
    const auto got = values(train(name, team, iterations));
    EXPECT_LT(difference(got, expected).relative, 1e-3) << name;
    const auto lines = log(name), told = log(cpu);
    ASSERT_EQ(lines.size(), to_size(iterations));
    ASSERT_EQ(told.size(), lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["iteration"], i + 1);
      for (const char* key : {"images_seen", "width"}) EXPECT_EQ(lines[i][key], told[i][key]);
      const double loss = told[i]["loss"];
      EXPECT_NEAR(lines[i]["loss"].get<double>(), loss, 1e-3 * loss) << name << ", line " << i;
    }
  }
}

TEST_F(DeviceTraining, IsThatOfTheCpu) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  expect_that_of_the_cpu(12);
}

// Where the objectness depends on other anchors, on the iteration, or on the box loss.
TEST_F(DeviceTraining, IsThatOfTheCpuHoweverTheObjectnessIsWeighted) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  const std::vector<std::string> kinds[] = {
      {"yolo.0.obj_loss=class_balanced", "yolo.0.obj_norm=positives_ema"},
      {"net.0.burn_in=2", "yolo.0.obj_loss=focal", "yolo.0.obj_gamma_ramp=1"},
      {"yolo.0.obj_loss=ce", "yolo.0.obj_guided=1"},
      {"yolo.0.cls_loss=equalized_focal"},
      {"yolo.0.obj_loss=ghm", "yolo.0.obj_momentum=.75"}};
  for (const std::vector<std::string>& keys : kinds) {
    SCOPED_TRACE(keys.back());
    keys_ = keys;
    expect_that_of_the_cpu(4);  // as they stand, recorded, replayed twice
    fs::remove_all(folder_ / "cpu1"), fs::remove_all(folder_ / "cpu2");
    fs::remove_all(folder_ / "team1"), fs::remove_all(folder_ / "team2");
  }
}

// Interrupted in an evaluation with -map, resumed without.
TEST_F(DeviceTraining, AnEvaluationThatNobodyAsksForAnyMoreIsDropped) {
  train("x", {{}}, 3);
  const fs::path weights = folder_ / "x/x_last.weights", path = state_path(weights);
  {
    Network net(read_cfg(cfg_), {.mode = Mode::training});
    Optimizer optimizer(net, net.settings());
    TrainingState state = load_state(path, net, optimizer);
    state.evaluation.pending = true;
    save_state(path, state, net, optimizer);
  }
  const TrainingOutcome outcome = train_detector({.data = folder_ / "set/scenes.data",
                                                  .cfg = cfg_,
                                                  .weights = weights,
                                                  .backup = folder_ / "x",
                                                  .exact = true,
                                                  .deterministic = true,
                                                  .max_batches = 5});
  EXPECT_EQ(outcome.iterations, 5);
  EXPECT_FALSE(read_state(path).evaluation.pending);
}

TEST_F(DeviceTraining, AStateWithoutSenseIsRefused) {
  train("x", {{}}, 3);
  const fs::path path = folder_ / "x/x_last.state";
  Network net(read_cfg(cfg_), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  const TrainingState sound = load_state(path, net, optimizer);
  std::vector<TrainingState> damaged(4, sound);
  damaged[0].iteration = -5;
  damaged[1].positives_average = -1e-3;
  damaged[2].positives_average = 1e16;
  damaged[3].positives_average = 1e300;
  for (const TrainingState& state : damaged) {
    save_state(path, state, net, optimizer);
    EXPECT_EQ(testing_files::error_of([&] { read_state(path); }),
              path.string() + ": the file is damaged: its header makes no sense")
        << state.iteration << ' ' << state.positives_average;
  }
  save_state(path, sound, net, optimizer);
  read_state(path);
}

// The average of obj_norm=positives_ema is part of the state: without it the eighth step would
// divide by another number.
TEST_F(DeviceTraining, AnAverageOfPositivesResumesFromACheckpointBitForBit) {
  file("x.cfg", std::string(kTrainingCfg) + "obj_norm=positives_ema\n");
  const std::string whole = train("whole", {{}}, 14);
  train("half", {{}}, 7);
  const fs::path weights = folder_ / "half/x_last.weights";
  const TrainingState state = read_state(state_path(weights));
  EXPECT_GT(state.positives_average, 1);
  EXPECT_LT(state.positives_average, 100);
  EXPECT_TRUE(train("half", {{}}, 14, weights) == whole);
  EXPECT_EQ(read_state(state_path(weights)).positives_average,
            read_state(folder_ / "whole/x_last.state").positives_average);
}

// What the losses of the heads keep is part of the state: equalized focal loss its sums of
// gradients, GHM-C the running counts of its bins. Without them the eighth step would learn
// otherwise.
struct KeepingLoss {
  const char *name, *key, *kept;  // for the test; in [yolo]; what a .state file calls its values
};
class KeptByALoss : public DeviceTraining, public testing::WithParamInterface<KeepingLoss> {};

TEST_P(KeptByALoss, ResumesFromACheckpointBitForBit) {
  std::string cfg = kTrainingCfg;
  cfg.replace(cfg.find("obj_loss=focal"), 14, GetParam().key);
  file("x.cfg", cfg);
  const std::string whole = train("whole", {{}}, 14);
  train("half", {{}}, 7);
  fs::copy(folder_ / "half", folder_ / "without");
  change_running(folder_ / "without/x_last.state", 0);
  EXPECT_FALSE(train("without", {{}}, 14, folder_ / "without/x_last.weights") == whole);
  EXPECT_TRUE(train("half", {{}}, 14, folder_ / "half/x_last.weights") == whole);
  EXPECT_EQ(running(folder_ / "half/x_last.state"), running(folder_ / "whole/x_last.state"));
  const fs::path damaged = folder_ / "without/x_last.state";
  change_running(damaged, -1);
  EXPECT_EQ(testing_files::error_of([&] { running(damaged); }),
            cat(damaged.string(), ": the file is damaged: 'layer 3: ", GetParam().kept,
                "' in its header makes no sense"));
}

// What the network had before is not the training run's.
TEST_F(DeviceTraining, AStateWithoutWhatALossKeepsMakesIt0) {
  train("x", {{}}, 3);
  const fs::path path = folder_ / "x/x_last.state";
  std::string cfg = kTrainingCfg;
  cfg.replace(cfg.find("obj_loss=focal"), 14, "cls_loss=equalized_focal");
  file("x.cfg", cfg);
  Network net(read_cfg(cfg_), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  RunningValues& kept = *running_values(net).at(0).values;
  const std::vector<double> ones(to_size(kept.values()), 1), zeros(ones.size());
  kept.copy_from(net.stream(), ones);
  load_state(path, net, optimizer);
  EXPECT_EQ(kept.to_host(net.stream()), zeros);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, KeptByALoss,
    testing::Values(KeepingLoss{"EqualizedFocal", "cls_loss=equalized_focal", "class gradients"},
                    KeepingLoss{"Ghm", "obj_loss=ghm\nobj_momentum=.75", "ghm counts of 30 bins"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(DeviceTraining, ResumesFromACheckpointBitForBit) {
  const int there = device_count(DeviceType::cuda);
  if (there == 0) GTEST_SKIP() << why_no_cuda();
  std::vector<Device> team{cuda(0)};
  if (there > 1) team.push_back(cuda(1));
  const std::string whole = train("whole", team, 14);
  train("half", team, 7);
  EXPECT_TRUE(train("half", team, 14, folder_ / "half/x_last.weights") == whole);
}

}  // namespace
}  // namespace darknet
