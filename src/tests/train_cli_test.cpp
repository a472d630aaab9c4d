// Training runs through the built program: the same bytes from the same seed, whatever interrupts
// them.
#include <chrono>
#include <sstream>

#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "core/rng.h"

namespace darknet::test {
namespace {

using nlohmann::json;

constexpr int kIterations = 1500;  // the state is saved every 100

class TrainTest : public CliTest {
 protected:
  // Trains to the end in `folder`, which must succeed.
  CommandResult train_into(const std::string& folder, std::vector<std::string> more) const {
    more.insert(more.end(), {"-backup", folder});
    CommandResult ran = train(more);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran;
  }
  void expect_same(const std::string& a, const std::string& b, const std::string& name) const {
    ASSERT_TRUE(work_.has(a + "/" + name)) << a << '/' << name;
    ASSERT_TRUE(work_.has(b + "/" + name)) << b << '/' << name;
    EXPECT_TRUE(work_.get(a + "/" + name) == work_.get(b + "/" + name))
        << a << '/' << name << " and " << b << '/' << name << " differ";
  }
  std::vector<json> log(const std::string& folder) const {
    std::vector<json> lines;
    std::istringstream in(work_.get(folder + "/x_log.jsonl"));
    for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line));
    return lines;
  }
};

std::string max_batches(int n) { return cat("-max_batches=", n); }

struct Variant {
  const char* name;
  int iterations;
  std::vector<std::string> flags;
};

class Determinism : public TrainTest, public testing::WithParamInterface<Variant> {};

TEST_P(Determinism, TheSameSeedGivesTheSameBytes) {
  std::vector<std::string> flags = GetParam().flags;
  flags.push_back(max_batches(GetParam().iterations));
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), flags.begin(), flags.end());
    return more;
  };
  train_into("a", with({}));
  train_into("b", with({"-threads", "1", "-cache", "0"}));
  train_into("c", with({"-threads", "3"}));
  for (const auto& [name, bytes] : work_.tree("a"))
    if (name.ends_with(".weights") || name.ends_with(".state"))
      for (const char* other : {"b", "c"}) expect_same("a", other, name.substr(2));
  const auto a = log("a"), c = log("c");
  ASSERT_EQ(a.size(), to_size(GetParam().iterations));
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i]["loss"], c.at(i)["loss"]) << i;
}

const Variant kVariants[] = {
    {"plain", 40, {}},
    {"mosaic", 40, {"-set", "net.0.mosaic=1"}},
    {"mixup", 40, {"-set", "net.0.mixup=1"}},
    {"filters", 40, {"-set", "net.0.blur=9", "-set", "net.0.gaussian_noise=20"}},
    {"angle", 40, {"-set", "net.0.mosaic=1", "-set", "net.0.angle=15"}},
    {"random", 240, {"-set", "yolo.0.random=1"}},
    {"ema", 40, {"-set", "net.0.ema_alpha=0.99"}},
    {"adam", 40, {"-set", "net.0.adam=1"}},
    {"subdivisions", 40, {"-set", "net.0.subdivisions=2"}},
    {"map", 110, {"-map"}},
    {"focal", 40, {"-set", "yolo.0.obj_loss=focal", "-set", "yolo.0.obj_norm=positives"}},
    {"colours",
     40,
     {"-set", "net.0.hue=.1", "-set", "net.0.saturation=1.5", "-set", "net.0.exposure=1.5"}},
};
INSTANTIATE_TEST_SUITE_P(Cli, Determinism, testing::ValuesIn(kVariants),
                         [](const auto& info) { return info.param.name; });

TEST_F(TrainTest, FilesOfAnEarlierTrainingAreNamedBeforeTheyAreReplaced) {
  EXPECT_FALSE(said(train_into("a", {max_batches(1)}), "earlier training"));
  EXPECT_TRUE(said(train_into("a", {max_batches(1)}), "give its _last.weights"));
  for (const char* gone : {"x_last.weights", "x_last.state", "x_log.jsonl"})
    work_.remove(cat("a/", gone));
  EXPECT_TRUE(said(train_into("a", {max_batches(1)}),
                   "x_final.weights of an earlier training will be replaced; to keep them"));
}

// Layer 3 brings a stride of 16 back to 4: only multiples of 16 can be concatenated.
TEST_F(TrainTest, SizesThatDoNotFitTheNetworkAreRefusedAtTheStart) {
  const std::string text =
      replaced(kTinyCfg, "[convolutional]\nfilters=24",
               "[convolutional]\nfilters=4\nsize=3\nstride=4\npad=1\nactivation=leaky\n\n"
               "[upsample]\nstride=4\n\n[route]\nlayers=-1,1\n\n[convolutional]\nfilters=24");
  work_.put("x.cfg", text + "random=1\n");
  const CommandResult ran = train({max_batches(220), "-backup", "a"});
  expect_refused(ran, "[yolo] random: it trains with inputs of 24x24 too: layer 4 [route]");
  EXPECT_TRUE(said(ran, "set [net] resize_step=16, or random=0")) << ran.all();
  EXPECT_FALSE(work_.has("a/x_log.jsonl"));
  train_into("b", {max_batches(220), "-set", "net.0.resize_step=16"});
}

TEST_F(TrainTest, AnotherSeedGivesOtherBytes) {
  train_into("a", {});
  train_into("b", {"-seed", "2"});
  train_into("c", {"-seed", "2"});
  EXPECT_TRUE(work_.get("a/x_final.weights") != work_.get("b/x_final.weights"));
  expect_same("b", "c", "x_final.weights");
}

// Whatever networks are made of the cfg: one to train, one to evaluate, one to plan.
TEST_F(TrainTest, AWarningOfTheCfgIsGivenOnce) {
  work_.put("x.cfg", replaced(kTinyCfg, "resize_step=8\n", "resize_step=8\ntrack=1\nbatch=4\n"));
  const auto times = [](const std::string& text, const std::string& part) {
    int n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  const std::vector<std::vector<std::string>> all{{}, {"-map"}, {"-map", "-epochs=1"}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string err = train_into(cat("run", i), all[i]).err;
    EXPECT_EQ(times(err, "[net] track"), 1) << err;
    EXPECT_EQ(times(err, "batch was already set"), 1) << err;
  }
}

class ResumeTest : public TrainTest {
 protected:
  // Goes on from folder/x_last.weights where there is one.
  CommandResult go_on(const std::string& folder, std::vector<std::string> flags,
                      const CommandOptions& o = {}) const {
    if (const std::string last = folder + "/x_last.weights"; work_.has(last))
      flags.insert(flags.begin(), last);
    flags.insert(flags.end(), {"-backup", folder});
    return train(flags, o);
  }
  const std::vector<std::string> flags_ = {"-map",
                                           max_batches(kIterations),
                                           "-saveweights=350",
                                           "-set",
                                           "net.0.mosaic=1",
                                           "-set",
                                           "net.0.ema_alpha=0.99",
                                           "-set",
                                           "net.0.burn_in=50",
                                           "-set",
                                           "yolo.0.random=1"};
  void expect_same_training(const std::string& a, const std::string& b) const {
    for (const char* name : {"x_final.weights", "x_best.weights", "x_ema.weights", "x_last.weights",
                             "x_350.weights", "x_1400.weights"})
      expect_same(a, b, name);
    const auto lines = log(b), uninterrupted = log(a);
    ASSERT_EQ(lines.size(), to_size(kIterations));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["iteration"], i + 1);
      EXPECT_EQ(lines[i]["average_loss"], uninterrupted.at(i)["average_loss"]) << i;
    }
  }
};

TEST_F(ResumeTest, TwentyKillsChangeNothing) {
  const auto before = std::chrono::steady_clock::now();
  train_into("a", flags_);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - before;
  Rng rng(1, 2);
  int killed = 0;
  CommandResult ran;
  for (int i = 0; i < 20 && ran.exit_code != 0; ++i) {
    const double delay = whole.count() * rng.uniform(.01f, .1f);
    ran = go_on("b", flags_, {.signal_after = delay});
    killed += ran.signal == SIGKILL;
    ASSERT_TRUE(ran.exit_code == 0 || ran.signal == SIGKILL) << ran.all();
  }
  EXPECT_GE(killed, 5);  // of a run that was timed on a busier machine, some end before
  ran = go_on("b", flags_);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  expect_same_training("a", "b");
  for (const auto& [name, bytes] : work_.tree("b"))
    EXPECT_EQ(name.find(".tmp"), std::string::npos) << "left behind: " << name;
}

TEST_F(ResumeTest, ASignalSavesFirst) {
  train_into("a", flags_);
  CommandResult ran = go_on("b", flags_, {.signal_when = "\n130/", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_TRUE(said(ran,
                   "stopping after the step in progress; a second signal stops at once, without "
                   "saving"))
      << ran.all();
  EXPECT_TRUE(said(ran, "b/x_last.weights")) << ran.all();
  EXPECT_TRUE(work_.has("b/x_last.weights"));
  EXPECT_TRUE(work_.has("b/x_last.state"));
  EXPECT_FALSE(work_.has("b/x_final.weights"));
  ran = go_on("b", flags_, {.signal_when = "\n260/", .signal = SIGTERM});
  EXPECT_EQ(ran.exit_code, 143) << ran.all();
  EXPECT_TRUE(said(ran, "resumed from b/x_last.state at iteration ")) << ran.all();
  ran = go_on("b", flags_, {.signal_when = "\n390/", .signal = SIGHUP});
  EXPECT_EQ(ran.exit_code, 129) << ran.all();
  EXPECT_TRUE(said(ran, "b/x_last.weights")) << ran.all();
  ran = go_on("b", flags_);
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  expect_same_training("a", "b");
}

TEST_F(ResumeTest, UnderNohupASignalOfTheTerminalChangesNothing) {
  const CommandResult ran = go_on(
      "b", {max_batches(300)}, {.signal_when = "\n130/", .signal = SIGHUP, .ignores_hangup = true});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("b/x_final.weights"));
}

// The weights file may also be named without its folder.
TEST_F(ResumeTest, ClearCountsAnew) {
  train_into("backup", {max_batches(8)});
  CommandResult ran = train({"x_last.weights", max_batches(12)});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 9 to 12")) << ran.all();
  ran = train({"x_last.weights", "-clear", max_batches(12)});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 1 to 12")) << ran.all();
  EXPECT_EQ(log("backup").size(), 12u);
  ran = train({"x_final.weights", max_batches(14)});  // has no .state: counts from `seen`
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 13 to 14")) << ran.all();
}

TEST_F(ResumeTest, ARunShorterThanAnEpochSaysSo) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += cat("images/", i % kTinyImages, ".png\n");
  work_.put("train.txt", many);
  const CommandResult ran = train({max_batches(2)});
  EXPECT_TRUE(said(ran, "(less than 1 epoch in total)")) << ran.all();
}

TEST_F(ResumeTest, AFinishedTrainingHasNothingLeftToDo) {
  train_into("backup", {max_batches(8)});
  const std::string weights = work_.get("backup/x_final.weights");
  const CommandResult ran = train({"x_last.weights", max_batches(8)});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "nothing is left to do")) << ran.all();
  EXPECT_EQ(work_.get("backup/x_final.weights"), weights);
  work_.remove("backup/x_last.state");
  const auto files = work_.tree("backup");
  expect_refused(train({"x_final.weights", max_batches(8)}), "-clear counts anew");
  EXPECT_EQ(work_.tree("backup"), files);
}

// The labels of the second run are in the wrong places, so that its mAP is lower.
TEST_F(ResumeTest, AWorseResumedRunKeepsTheBest) {
  work_.put("x.cfg", replaced(kTinyCfg, "filters=4", "filters=8"));
  CommandResult ran = train({"-map", max_batches(600), "-set", "net.0.learning_rate=0.01"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const double best = log("backup").back()["map"];
  ASSERT_GT(best, 0) << ran.all();
  const std::string bytes = work_.get("backup/x_best.weights");
  work_.put("other.txt", "other/0.png\n");
  work_.put("other/0.png", work_.get("images/0.png"));
  work_.put("other/0.txt", "1 .95 .95 .02 .02\n");
  work_.put("x.data", replaced(work_.get("x.data"), "valid = train.txt", "valid = other.txt"));
  ran = train({"x_last.weights", "-map", max_batches(700), "-set", "net.0.learning_rate=0.01"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_LT(log("backup").back()["map"].get<double>(), best);
  EXPECT_TRUE(work_.get("backup/x_best.weights") == bytes);
}

// A kill between the .state and the .weights leaves the older weights; twice, the same ones.
TEST_F(ResumeTest, TwoKillsBetweenStateAndWeights) {
  train_into("a", {max_batches(14)});
  train_into("b", {max_batches(8)});
  const std::string weights = work_.get("b/x_last.weights");
  for (const int end : {10, 12, 14}) {
    const CommandResult ran = go_on("b", {max_batches(end)});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_TRUE(said(ran, cat("b/x_last.state at iteration ", end - 2))) << ran.all();
    if (end < 14) work_.put("b/x_last.weights", weights);
  }
  expect_same("a", "b", "x_final.weights");
  expect_same("a", "b", "x_last.weights");
}

TEST_F(ResumeTest, ABackboneIsTakenWithTheNumberOfItsLayers) {
  put_tiny_weights(work_, "x.weights");
  ASSERT_EQ(work_.darknet({"partial", "x.cfg", "x.weights", "x.conv.2", "2"}).exit_code, 0);
  CommandResult ran = train({"x.conv.2"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "the first 2 of 4 layers")) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 1 to ")) << ran.all();
  ran = train({"x.weights", "-partial", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "the first 1 of 4 layers")) << ran.all();
}

TEST_F(ResumeTest, AStateOfOtherWeightsIsNotUsed) {
  train_into("backup", {max_batches(8)});
  put_tiny_weights(work_, "backup/x_last.weights", 99);
  CommandResult ran = train({"backup/x_last.weights", "-backup", "b"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "x_last.state does not belong to them and is not used")) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 1 to ")) << ran.all();
  // trains from those weights, not from what the state holds
  work_.remove("backup/x_last.state");
  train_into("c", {"backup/x_last.weights"});
  expect_same("b", "c", "x_final.weights");
}

TEST_F(ResumeTest, StatesThatDoNotFit) {
  train_into("backup", {max_batches(8)});
  const std::string state = work_.get("backup/x_last.state");
  const auto damaged = [&](const std::string& bytes) {
    work_.put("backup/x_last.state", bytes);
    CommandResult ran = train({"x_last.weights", max_batches(9)});
    EXPECT_NE(ran.err.find("remove this file or say -clear"), std::string::npos) << ran.all();
    return ran;
  };
  std::string flipped = state;
  flipped[flipped.size() / 2] ^= 1;
  expect_refused(damaged(flipped), "backup/x_last.state: the file is damaged");
  expect_refused(damaged(state.substr(0, state.size() - 9)),
                 "backup/x_last.state: the file is dam");
  expect_refused(damaged(""), "backup/x_last.state: this is not a .state file");
  expect_refused(damaged("some text of somebody else"),
                 "backup/x_last.state: this is not a .state");
  work_.put("backup/x_last.state", state);
  expect_refused(train({"x_last.weights", "-seed", "5", max_batches(9)}),
                 "that training ran with -seed 1, not 5");
  expect_refused(train({"x_last.weights", "-set", "net.0.adam=1", max_batches(9)}),
                 "backup/x_last.state: holds");
  EXPECT_EQ(work_.get("backup/x_last.state"), state);
  EXPECT_EQ(train({"x_last.weights", "-clear", "-set", "net.0.adam=1"}).exit_code, 0);
}

}  // namespace
}  // namespace darknet::test
