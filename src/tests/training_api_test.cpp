// Training from a program: the weights of the command, bit for bit; what its observer is shown, how
// it ends, what it refuses, and that it leaves the process alone.
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "cli_harness.h"
#include "core/device.h"
#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "darknet/training.h"
#include "dataset/scene_set.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

constexpr int kMade = 12;  // iterations

class TrainingApi : public CliTest {
 protected:
  TrainerOptions options(const fs::path& backup, TrainerOptions o = {}) const {
    o.data = work_.path("x.data"), o.cfg = work_.path("x.cfg");
    o.backup = work_.path(backup);
    o.device = "cpu";
    if (o.max_batches == 0 && o.epochs == 0) o.max_batches = kMade;
    return o;
  }
  // Trains with the command into the folder.
  void command(const fs::path& backup, std::vector<std::string> flags) const {
    flags.insert(flags.end(), {"-backup", backup.string(), "-nogpu"});
    const CommandResult ran = train(std::move(flags));
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
  }
  void expect_same_weights(const std::string& a, const std::string& b,
                           const std::vector<std::string>& suffixes = {"final", "last"}) const {
    for (const std::string& suffix : suffixes) {
      const std::string name = cat("/x_", suffix, ".weights");
      ASSERT_TRUE(work_.has(a + name) && work_.has(b + name)) << name;
      EXPECT_TRUE(work_.get(a + name) == work_.get(b + name)) << name << " differ";
    }
  }
  std::vector<nlohmann::json> log(const std::string& folder) const {
    std::vector<nlohmann::json> lines;
    std::istringstream in(work_.get(folder + "/x_log.jsonl"));
    for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
    return lines;
  }
  std::string refused(const TrainerOptions& o) const try {
    darknet::train(o);
    return "";
  } catch (const Exception& e) {
    return e.what();
  }
};

TEST_F(TrainingApi, MakesTheWeightsOfTheCommandBitForBit) {
  put_tiny_weights(work_, "start.weights");
  struct Case {
    std::vector<std::string> flags;
    TrainerOptions options;
  };
  TrainerOptions plain{.max_batches = kMade}, loss, start, epochs, with_map;
  loss.seed = 7, loss.overrides = {"yolo.0.obj_loss=focal", "net.0.subdivisions=2"};
  start.weights = work_.path("start.weights"), start.freeze = 1, start.loader_threads = 2;
  start.precision = "f32";
  epochs.epochs = 2, epochs.exact = true;
  with_map.map = true, with_map.save_every = 5;
  const std::string made = cat("-max_batches=", kMade);
  const Case cases[] = {
      {{made}, plain},
      {{made, "-seed", "7", "-set", "yolo.0.obj_loss=focal", "-set", "net.0.subdivisions=2"}, loss},
      {{"start.weights", made, "-freeze", "1", "-threads", "2", "-precision", "f32"}, start},
      {{"-epochs", "2", "-exact"}, epochs},
      {{made, "-map", "-saveweights", "5"}, with_map}};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    SCOPED_TRACE(i);
    const std::string a = cat("command", i), b = cat("library", i);
    command(a, cases[i].flags);
    const TrainingResult result = darknet::train(options(b, cases[i].options));
    EXPECT_FALSE(result.stopped);
    EXPECT_EQ(result.weights, work_.path(b + "/x_final.weights"));
    EXPECT_EQ(result.best_map.has_value(), cases[i].options.map);
    expect_same_weights(a, b);
    if (i == 1 || i == 2) {
      EXPECT_NE(work_.get(b + "/x_final.weights"), work_.get("library0/x_final.weights"));
    }
  }
  expect_same_weights("command4", "library4", {"best", "5", "10"});
}

TEST_F(TrainingApi, ShowsEachIterationAsTheLogHasIt) {
  TrainerOptions o = options("a");
  o.map = true;
  std::vector<TrainingIteration> shown;
  const TrainingResult result = darknet::train(o, [&](const TrainingIteration& i) {
    shown.push_back(i);
    return true;
  });
  const auto lines = log("a");
  ASSERT_EQ(shown.size(), to_size(kMade));
  ASSERT_EQ(lines.size(), shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const TrainingIteration& s = shown[i];
    EXPECT_EQ(s.iteration, std::int64_t(i) + 1);
    EXPECT_EQ(s.max_batches, kMade);
    EXPECT_EQ(s.images_seen, lines[i]["images_seen"]);
    EXPECT_EQ(s.loss, lines[i]["loss"].get<double>());
    EXPECT_EQ(s.average_loss, lines[i]["average_loss"].get<double>());
    EXPECT_FLOAT_EQ(s.learning_rate, lines[i]["learning_rate"].get<double>());
    EXPECT_GT(s.images_per_second, 0);
    EXPECT_EQ(s.width, 32);
    EXPECT_EQ(s.height, 32);
    EXPECT_EQ(s.map.has_value(), lines[i].contains("map")) << i;
  }
  ASSERT_TRUE(shown.back().map);  // the last one is evaluated
  EXPECT_EQ(*shown.back().map, lines.back()["map"].get<double>());
  EXPECT_EQ(shown.back().best_map, result.best_map);
  EXPECT_EQ(result.iterations, kMade);
}

TEST_F(TrainingApi, EndsWhereItsObserverSaysSoAndResumes) {
  darknet::train(options("whole"));
  int calls = 0;
  const TrainingResult stopped = darknet::train(options("parts"), [&](const TrainingIteration& i) {
    ++calls;
    return i.iteration < 5;
  });
  EXPECT_TRUE(stopped.stopped);
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(stopped.iterations, 5);
  EXPECT_EQ(stopped.weights, work_.path("parts/x_last.weights"));
  EXPECT_FALSE(work_.has("parts/x_final.weights"));
  TrainerOptions on = options("parts");
  on.weights = stopped.weights;
  EXPECT_EQ(darknet::train(on).iterations, kMade);
  expect_same_weights("whole", "parts");
}

TEST_F(TrainingApi, EndsWhereStopSaysSo) {
  TrainerOptions o = options("a");
  int asked = 0;
  o.stop = [&] { return ++asked > 3; };
  const TrainingResult result = darknet::train(o);
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.iterations, 3);
  EXPECT_EQ(asked, 4);
  EXPECT_TRUE(work_.has("a/x_last.weights"));
  o.map = true, asked = 0;  // within the evaluation, which is done when the training is resumed
  o.stop = [&] { return ++asked > kMade; };
  o.backup = work_.path("b");
  EXPECT_TRUE(darknet::train(o).stopped);
  EXPECT_FALSE(work_.has("b/x_final.weights"));
  o.weights = work_.path("b/x_last.weights"), o.stop = nullptr;
  const TrainingResult resumed = darknet::train(o);
  EXPECT_FALSE(resumed.stopped);
  EXPECT_TRUE(resumed.best_map);
}

struct OfTheCaller {};

TEST_F(TrainingApi, WhatCallbacksThrowComesThroughAfterSaving) {
  EXPECT_THROW(darknet::train(options("a"),
                              [](const TrainingIteration& i) {
                                if (i.iteration == 4) throw OfTheCaller{};
                                return true;
                              }),
               OfTheCaller);
  TrainerOptions o = options("b");
  int asked = 0;
  o.stop = [&] { return ++asked > 4 ? throw OfTheCaller{} : false; };
  EXPECT_THROW(darknet::train(o), OfTheCaller);
  expect_same_weights("a", "b", {"last"});
  EXPECT_EQ(log("a").size(), 4u);
}

void (*handler_of(int signal))(int) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  return now.sa_handler;
}

extern "C" void ignore_signal(int) {}

TEST_F(TrainingApi, IsSilentAndLeavesSignalsAlone) {
  const auto before = std::signal(SIGINT, ignore_signal);
  work_.put("x.cfg", replaced(kTinyCfg, "filters=24", "filters=24\nflipped=1"));
  std::vector<std::pair<LogLevel, std::string>> messages;
  TrainerOptions o = options("a");
  o.map = true;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  darknet::train(o, [](const TrainingIteration&) {
    EXPECT_EQ(handler_of(SIGINT), ignore_signal);
    EXPECT_EQ(handler_of(SIGTERM), SIG_DFL);
    return true;
  });
  EXPECT_EQ(handler_of(SIGINT), ignore_signal);
  o.backup = work_.path("b");
  o.log = [&](LogLevel level, const std::string& text) { messages.emplace_back(level, text); };
  darknet::train(o);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  std::signal(SIGINT, before);
  int of_the_key = 0;
  for (const auto& [level, text] : messages)
    of_the_key += level == LogLevel::warning && text.find("flipped") != text.npos;
  EXPECT_EQ(of_the_key, 1);  // the network of the evaluations gives it no second time
  EXPECT_NE(messages.back().second.find("done: "), std::string::npos) << messages.back().second;
}

TEST_F(TrainingApi, WhatCannotBeTrainedIsAnExceptionThatSaysWhy) {
  const auto with = [&](auto change) {
    TrainerOptions o = options("a");
    change(o);
    return refused(o);
  };
  using O = TrainerOptions;
  EXPECT_NE(with([&](O& o) { o.data = work_.path("none.data"); }).find("none.data"),
            std::string::npos);
  EXPECT_NE(with([&](O& o) { o.cfg = work_.path("none.cfg"); }).find("none.cfg"),
            std::string::npos);
  EXPECT_NE(with([](O& o) { o.cfg = ""; }), "");
  EXPECT_NE(with([](O& o) { o.max_batches = -1; }).find("max_batches -1"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.epochs = 2; }).find("leave one of them out"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.max_batches = 0, o.epochs = -1; }).find("epochs -1"),
            std::string::npos);
  EXPECT_NE(with([](O& o) { o.map = true, o.map_epochs = 0; }).find("map_epochs 0"),
            std::string::npos);
  EXPECT_NE(with([](O& o) { o.patience = 3; }).find("patience needs map"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.freeze = 1; }).find("weights"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.partial = 1; }).find("weights"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.loader_threads = -1; }).find("loader_threads -1"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.cache_mb = -1; }).find("cache_mb -1"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.max_bad = 2; }).find("max_bad 2"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.bad_labels = "no"; }).find("'no'"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.device = "cuda:4711"; }).find("cuda:4711"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.precision = "int8"; }).find("int8"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.overrides = {"net.0.nothing=1"}; }).find("nothing"),
            std::string::npos);
  work_.put("images/3.txt", "7 .5 .5 .1 .1\n");
  EXPECT_NE(with([](O&) {}).find("3.txt"), std::string::npos);
  EXPECT_EQ(with([](O& o) { o.bad_labels = "skip"; }), "");
}

TEST_F(TrainingApi, ATrainingThatDivergesIsAnException) {
  TrainerOptions o = options("a");
  o.overrides = {"net.0.learning_rate=1e30"};
  EXPECT_NE(refused(o).find("iteration "), std::string::npos);
}

TEST_F(TrainingApi, OneTrainingAtATime) {
  std::string second;
  darknet::train(options("a"), [&](const TrainingIteration&) {
    second = refused(options("b"));
    return false;
  });
  EXPECT_NE(second.find("one network at a time"), std::string::npos);
  EXPECT_EQ(refused(options("b")), "");
}

// A simulated one in a build without CUDA.
TEST_F(TrainingApi, ADetectorOnTheGpuThatTrainsIsRefusedInTheObserver) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  TrainerOptions o = options("a");
  o.device = "cuda";
  put_tiny_weights(work_, "x.weights");
  std::string refusal;
  const TrainingResult result = darknet::train(o, [&](const TrainingIteration& i) {
    try {
      Detector(work_.path("x.cfg"), work_.path("x.weights"), {.device = "cuda"});
    } catch (const Exception& e) {
      refusal = e.what();
    }
    return i.iteration < 3;
  });
  EXPECT_NE(refusal.find("cuda:0 is at work in this thread already"), std::string::npos) << refusal;
  EXPECT_TRUE(result.stopped);
  EXPECT_GE(result.iterations, 3);  // and one that was computed meanwhile
  EXPECT_LE(result.iterations, 4);
  Detector(work_.path("x.cfg"), result.weights, {.device = "cuda"});
}

}  // namespace
}  // namespace darknet::test
