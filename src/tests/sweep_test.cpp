// Sweeps as a user runs them, on tiny data: the order of the runs, what is added to a folder, runs
// that diverge, locks, shards, jobs and kills. Whatever way they are made, they are the same bytes.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/lock_file.h"
#include "eval/stored_detections.h"
#include "sweep_harness.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {

using testing_files::holds;

class SweepTest : public SweepFixture {
 protected:
  static constexpr const char* kLast = "r/focal-seed2";
};

TEST_F(SweepTest, SeedsAreTheOuterLoopAndEveryRunHasAllOfItsFiles) {
  const CommandResult ran = sweep(work_, {"-seeds", "1..2"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  std::size_t at = 0;
  for (const char* head : {"run 1 of 4: ce, seed 1: mAP@0.5 ", "run 2 of 4: focal, seed 1: ",
                           "run 3 of 4: ce, seed 2: ", "run 4 of 4: focal, seed 2: "}) {
    const auto next = ran.out.find(head, at);
    EXPECT_NE(next, ran.out.npos) << head << ran.all();
    at = std::max(at, next);
  }
  const auto result = json_of(work_, "r/focal-seed2/result.json");
  EXPECT_EQ(result["state"], "finished");
  const auto page = json_of(work_, "r/results.json");
  EXPECT_EQ(page["runs"].size(), 4u);
  EXPECT_EQ(page["runs"][3]["map50"], result["metrics"]["map50"]) << "read back, to the bit";
  EXPECT_TRUE(holds(work_.get("r/focal-seed2/x.cfg"), "obj_loss=focal\n"));
  EXPECT_TRUE(holds(work_.get("r/focal-seed2/x.cfg"), "max_batches=4\n"));
  // The command repeats the run.
  std::istringstream words(result["command"].get<std::string>());
  Words again;
  for (std::string word; words >> word;) again.push_back(word);
  const CommandResult repeated = work_.darknet({again.begin() + 1, again.end()});
  ASSERT_EQ(repeated.exit_code, 0) << repeated.all();
  EXPECT_TRUE(work_.get("r/focal-seed2/again/x_final.weights") ==
              work_.get("r/focal-seed2/x_final.weights"));
}

TEST_F(SweepTest, VariantsAndSeedsAreAddedAndNothingIsMadeTwice) {
  ASSERT_EQ(sweep(work_, {"-vary", "obj_loss=focal", "-vary", "obj_gamma=1,2"}).exit_code, 0);
  const auto before = results(work_);
  ASSERT_TRUE(before.contains("r/gamma1-seed1/result.json"));
  // The names would now be others; the runs are the same.
  const CommandResult ran = sweep(
      work_, {"-vary", "obj_loss=focal,ce", "-vary", "obj_gamma=1,2", "-seed", "1", "-seed", "5"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_FALSE(holds(ran.out, "== gamma1, seed 1\n")) << ran.out;
  EXPECT_TRUE(holds(ran.out, "== gamma1, seed 5\n")) << ran.out;
  EXPECT_TRUE(holds(ran.out, "== ce, seed 1\n")) << ran.out;
  for (const auto& [name, bytes] : results(work_)) {
    if (!before.contains(name) || holds(name, "results.json") || holds(name, "sweep.json"))
      continue;
    EXPECT_TRUE(before.at(name) == bytes) << name;
  }
  EXPECT_EQ(json_of(work_, "r/results.json")["runs"].size(), 6u);
  expect_refused(sweep(work_, {"-set", "net.0.momentum=.8"}), "of other data or settings (set)");
  // Nothing is left to do, and nothing is evaluated again.
  const CommandResult again = sweep(work_, {"-collect", "-baseline", "ce"});
  ASSERT_EQ(again.exit_code, 0) << again.all();
  EXPECT_FALSE(holds(again.out, "== ")) << again.out;
  EXPECT_EQ(json_of(work_, "r/results.json")["variants"][0]["name"], "ce");
  // The settings are the folder's, and the page's command makes the page again.
  const std::string page = work_.get("r/index.html");
  ASSERT_EQ(work_
                .darknet({"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-collect",
                          "-baseline", "ce", "-images", "0"})
                .exit_code,
            0);
  EXPECT_TRUE(work_.get("r/index.html") == page);
  EXPECT_TRUE(holds(page, "-max_batches 4 -seed 1 -seed 5")) << page.substr(page.size() - 2000);
  work_.put("x.cfg", replaced(work_.get("x.cfg"), "momentum=0.9", "momentum=0.8"));
  expect_refused(sweep(work_, {"-collect"}), "of other data or settings (inputs)");
}

TEST_F(SweepTest, OtherSettingsAreReportedWithTheirValues) {
  const auto call = [&](const Words& words) {
    Words all{"detector", "sweep",   "x.data", "x.cfg", "-out",
              "r",        "-images", "0",      "-vary", "obj_loss=ce,focal"};
    all.insert(all.end(), words.begin(), words.end());
    return work_.darknet(all);
  };
  const std::string a = "net.0.momentum=.8", b = "net.0.decay=.001",
                    short_run = "net.0.max_batches=2";
  const Words set{"-set", short_run, "-set", a, "-set", b};
  ASSERT_EQ(call(set).exit_code, 0);
  expect_refused(call({"-set", short_run, "-set", b, "-set", a}),
                 cat("(set); set was ", short_run, ' ', a, ' ', b, " and is ", short_run, ' ', b,
                     ' ', a, ';'));
  expect_refused(call({"-set", short_run, "-set", a, "-set", b, "-max_batches", "3"}),
                 "(max_batches); max_batches was not given and is 3;");
}

TEST_F(SweepTest, ARunThatDivergesIsRecordedAndTheRestGoesOn) {
  const Words words{"-variant", "bad: net.0.learning_rate=1e9", "-max_batches", "60"};
  Words all{"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-images", "0"};
  all.insert(all.end(), words.begin(), words.end());
  all.insert(all.end(), {"-variant", "good: net.0.learning_rate=.001"});
  const CommandResult ran = work_.darknet(all);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto bad = json_of(work_, "r/bad-seed1/result.json");
  EXPECT_EQ(bad["state"], "diverged");
  EXPECT_GT(bad["iteration"], 0);
  EXPECT_TRUE(holds(bad["reason"], "is not finite")) << bad;
  EXPECT_FALSE(holds(bad["reason"], "\n")) << bad;
  EXPECT_EQ(json_of(work_, "r/good-seed1/result.json")["state"], "finished");
  EXPECT_TRUE(holds(work_.get("r/index.html"), "diverged at iteration")) << ran.out;
  EXPECT_TRUE(holds(ran.out, "good diverged in 0 and bad in 1 of 1 seed")) << ran.out;
  const CommandResult same = work_.darknet(all);
  EXPECT_FALSE(holds(same.out, "== bad")) << same.out;
  all.push_back("-retry");
  const CommandResult retried = work_.darknet(all);
  EXPECT_TRUE(holds(retried.out, "== bad")) << retried.out;
  EXPECT_FALSE(holds(retried.out, "== good")) << retried.out;
  EXPECT_EQ(json_of(work_, "r/bad-seed1/result.json"), bad);
}

TEST_F(SweepTest, RunsOfOtherProcessesAreLeftToThemAndTakenOnceTheyAreFree) {
  std::filesystem::create_directories(work_.path("r/ce-seed1"));
  {
    const LockFile other(work_.path("r/ce-seed1/run.lock"), "a test");
    const CommandResult ran = sweep(work_, {});
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_FALSE(holds(ran.out, "== ce")) << ran.out;
    EXPECT_TRUE(holds(ran.out, "1 run is made by other processes now")) << ran.out;
    EXPECT_EQ(json_of(work_, "r/results.json")["runs"][0]["state"], "missing");
  }
  const CommandResult later = sweep(work_, {});
  EXPECT_TRUE(holds(later.out, "== ce, seed 1")) << later.all();
  EXPECT_FALSE(holds(later.out, "== focal")) << later.all();
  EXPECT_EQ(json_of(work_, "r/results.json")["runs"][0]["state"], "finished");
}

TEST_F(SweepTest, ShardsJobsAndKilledCallsGiveTheSameBytes) {
  const Words seeds{"-seeds", "1..2"};
  ASSERT_EQ(sweep(work_, seeds).exit_code, 0);
  const auto single = results(work_);
  const auto with = [&](const Words& more) {
    Words all = seeds;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  {
    const Workspace shards;
    put_tiny_data(shards);
    ASSERT_EQ(sweep(shards, with({"-shard", "2/2", "-no_page"})).exit_code, 0);
    EXPECT_FALSE(shards.has("r/index.html"));
    EXPECT_FALSE(shards.has("r/ce-seed1/result.json"));
    ASSERT_TRUE(shards.has(std::string(kLast) + "/result.json"));
    ASSERT_EQ(sweep(shards, with({"-shard", "1/2", "-no_page"})).exit_code, 0);
    const CommandResult ran = sweep(shards, {"-collect"});
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    expect_equal(single, results(shards));
  }
  {
    const Workspace jobs;
    put_tiny_data(jobs);
    const CommandResult ran = sweep(jobs, with({"-jobs", "2"}));
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_TRUE(holds(ran.out, "run 4 of 4: ")) << ran.all();
    expect_equal(single, results(jobs));
  }
  const Workspace killed;
  put_tiny_data(killed);
  int kills = 0;
  for (const double moment : {.03, .06, .1, .13, .17, .22, .3})
    kills += sweep(killed, seeds, {.signal_after = moment}).signal == SIGKILL;
  EXPECT_GT(kills, 3);
  ASSERT_EQ(sweep(killed, seeds).exit_code, 0);
  expect_equal(single, results(killed));
}

TEST_F(SweepTest, AnInterruptionReachesTheJobsWhichSave) {
  const Words words{"detector", "sweep",
                    "x.data",   "x.cfg",
                    "-out",     "r",
                    "-images",  "0",
                    "-jobs",    "2",
                    "-variant", "short: net.0.max_batches=2",
                    "-variant", "long: net.0.max_batches=1000000"};
  const CommandResult ran = work_.darknet(words, {.signal_when = "run 1 of 2: ", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_TRUE(work_.has("r/long-seed1/x_last.state")) << work_.get("r/job-2.log");
  EXPECT_TRUE(LockFile::try_lock(work_.path("r/long-seed1/run.lock"), "a test")) << "it has ended";
}

// Not the training alone: what comes after it may take as long.
TEST_F(SweepTest, AnInterruptedEvaluationIsMadeByTheSameCall) {
  std::string list;
  for (int k = 0; k < 400; ++k)
    for (int i = 0; i < kTinyImages; ++i) list += cat("images/", i, ".png\n");
  work_.put("valid.txt", list);
  work_.put("x.data", replaced(work_.get("x.data"), "valid = train.txt", "valid = valid.txt"));
  const CommandResult ran = sweep(work_, {}, {.signal_when = "done: ", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_TRUE(holds(ran.out, "interrupted while ce, seed 1 is evaluated")) << ran.all();
  EXPECT_FALSE(work_.has("r/ce-seed1/result.json"));
  const std::string weights = work_.get("r/ce-seed1/x_final.weights");
  const CommandResult again = sweep(work_, {});
  EXPECT_EQ(again.exit_code, 0) << again.all();
  EXPECT_TRUE(work_.get("r/ce-seed1/x_final.weights") == weights);
  EXPECT_TRUE(work_.has("r/focal-seed1/result.json"));
}

TEST_F(SweepTest, AJobThatFailsIsHeard) {
  work_.remove("images/7.png");
  work_.put("images/7.png", std::string("no image"));
  const CommandResult ran = sweep(work_, {"-jobs", "2"});
  expect_refused(ran, "images/7.png");
  EXPECT_TRUE(holds(ran.err, "job 1 failed: ") && holds(ran.err, "r/job-1.log")) << ran.all();
}

TEST_F(SweepTest, UnsoundCallsAreRefusedBeforeAnythingIsTrained) {
  expect_refused(work_.darknet({"detector", "sweep", "x.data", "x.cfg", "-out", "r"}),
                 "nothing varies", 2);
  expect_refused(sweep(work_, {"-collect"}), "there is no sweep in this folder yet");
  expect_refused(sweep(work_, {"-shard", "3/2"}), "'3/2'", 2);
  expect_refused(sweep(work_, {"-vary", "obj_loss=ce,foc"}), "variant foc: ");
  expect_refused(sweep(work_, {"-clear"}), "-clear needs -weights", 2);
  expect_refused(sweep(work_, {"-collect", "-retry"}), "give -retry without -collect", 2);
  expect_refused(sweep(work_, {"-collect", "-no_page"}), "give one of them", 2);
  EXPECT_FALSE(work_.has("r/sweep.json"));
}

TEST_F(SweepTest, HeadsThatDoNotGoTogetherAreRefusedBeforeAnythingIsTrained) {
  work_.put("x.cfg", kTinyCfg + "[route]\nlayers=-2\n" + kTinyCfg.substr(kTinyCfg.find("[yolo]")));
  const CommandResult ran =
      work_.darknet({"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-images", "0",
                     "-max_batches", "1", "-variant", "one:", "-variant",
                     "two: yolo.0.obj_norm=positives yolo.1.obj_norm=positives_ema"});
  expect_refused(ran, "variant two: ");
  EXPECT_TRUE(holds(ran.err, "heads that divide by positives share one count")) << ran.all();
  EXPECT_FALSE(holds(ran.out, "run 1")) << ran.all();
  EXPECT_FALSE(work_.has("r/sweep.json"));
}

// The first layer of the tiny network: biases, scales, mean, variance and weights behind a header
// of 20 bytes.
constexpr std::size_t kHeader = 20, kFirst = sizeof(float) * (4 * 4 + 4 * 3 * 9);

void expect_first_layer_kept(const Workspace& work, const std::string& trained_file) {
  const std::string start = work.get("start.weights"), trained = work.get(trained_file);
  ASSERT_EQ(trained.size(), start.size());
  EXPECT_TRUE(trained.substr(kHeader, kFirst) == start.substr(kHeader, kFirst)) << trained_file;
  EXPECT_FALSE(trained.substr(kHeader + kFirst, kFirst) == start.substr(kHeader + kFirst, kFirst))
      << trained_file;
}

TEST_F(SweepTest, StartsFromWeightsAndFreezesForAllVariants) {
  put_tiny_weights(work_, "start.weights");
  const Words words{"-weights", "start.weights", "-clear", "-freeze", "1"};
  const CommandResult ran = sweep(work_, words);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  for (const char* run : {"r/ce-seed1", "r/focal-seed1"})
    expect_first_layer_kept(work_, cat(run, "/x_final.weights"));
  EXPECT_TRUE(holds(work_.get("r/ce-seed1/x.cfg"), "stopbackward=1"));
  EXPECT_TRUE(holds(work_.get("r/index.html"), "-freeze 1"));
  const std::string was = "settings (set); set was convolutional.0.stopbackward=1 and is ";
  expect_refused(sweep(work_, {"-weights", "start.weights", "-clear"}), was + "nothing;");
  const Words other{"-weights", "start.weights", "-clear", "-freeze", "2"};
  expect_refused(sweep(work_, other), was + "convolutional.1.stopbackward=1;");
  Words collects = other;
  collects.emplace_back("-collect");
  expect_refused(sweep(work_, collects),
                 "this folder was made with -set convolutional.0.stopbackward=1, not "
                 "convolutional.1.stopbackward=1, and -collect takes its settings; call it without "
                 "-freeze");
  EXPECT_FALSE(holds(sweep(work_, words).out, "== ")) << "nothing is left to do";
  EXPECT_EQ(sweep(work_, {"-collect"}).exit_code, 0);
}

TEST_F(SweepTest, TrainFreezesTheSameLayers) {
  put_tiny_weights(work_, "start.weights");
  const CommandResult ran = train({"start.weights", "-clear", "-freeze", "1"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  expect_first_layer_kept(work_, "backup/x_final.weights");
  expect_refused(train({"-freeze", "1"}), "-freeze needs a weights file", 2);
  expect_refused(train({"start.weights", "-clear", "-freeze", "4"}), "expected 1 to 3", 2);
  expect_refused(sweep(work_, {"-freeze", "1"}), "-freeze needs -weights", 2);
}

// A step that leaves infinite weights behind and ends the run is seen by its weights.
TEST_F(SweepTest, WeightsThatAreNotFiniteAreDivergedToo) {
  const std::string steep =
      "far: net.0.learning_rate=1e30 obj_normalizer=1e6 net.0.width=320 net.0.height=320";
  const CommandResult ran =
      work_.darknet({"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-images", "0",
                     "-max_batches", "1", "-variant", steep, "-variant", "near:"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto far = json_of(work_, "r/far-seed1/result.json");
  EXPECT_EQ(far["state"], "diverged") << ran.all();
  EXPECT_EQ(far["iteration"], 1);
  EXPECT_NE(far["reason"].get<std::string>().find("the parameters of layer 0"), std::string::npos);
}

using LockTries = testing_files::InFolder;

TEST_F(LockTries, AHeldLockIsNoErrorAndStays) {
  const auto path = folder_ / "x.lock";
  {
    const auto lock = LockFile::try_lock(path, "a test");
    ASSERT_TRUE(lock);
    EXPECT_FALSE(LockFile::try_lock(path, "a test"));
    EXPECT_TRUE(std::filesystem::exists(path)) << "its holder has it still";
    EXPECT_THROW(LockFile(path, "a test"), Error);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(LockFile::try_lock(path, "a test"));
  EXPECT_THROW(LockFile::try_lock(folder_ / "none/x.lock", "a test"), Error);
}

using StoredDetections = testing_files::InFolder;

TEST_F(StoredDetections, AreReadToTheBitAndOnlyWhereTheyBelong) {
  EvaluationSet set;
  for (const char* image : {"a.png", "b.png"}) set.images.push_back(std::filesystem::path(image));
  const Truth truth{{.5f, .5f, .1f, .1f}, 2};
  set.truths.push_back(std::vector<Truth>{truth});
  set.truths.push_back(std::vector<Truth>{});
  std::vector<EvaluatedImage> images(2);
  images[0].width = 64, images[0].height = 48;
  images[0].detections = {{{.1f, 1.f / 3, 1e-30f, .25f}, 2, .7f, .005000001f}, {}};
  const auto path = folder_ / "d.bin";
  EXPECT_FALSE(stored_detections(path, set, 7));
  store_detections(path, images, 7);
  const auto read = stored_detections(path, set, 7);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->at(0).width, 64);
  EXPECT_EQ(read->at(0).truths.at(0).class_id, 2);
  ASSERT_EQ(read->at(0).detections.size(), 2u);
  const Detection &a = read->at(0).detections[0], &b = images[0].detections[0];
  EXPECT_TRUE(a.box.x == b.box.x && a.box.y == b.box.y && a.box.w == b.box.w &&
              a.box.h == b.box.h && a.class_id == b.class_id && a.objectness == b.objectness &&
              a.probability == b.probability);
  EXPECT_FALSE(stored_detections(path, set, 8)) << "of other weights";
  set.images.push_back(std::filesystem::path("c.png"));
  EXPECT_FALSE(stored_detections(path, set, 7)) << "of another list";
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{10}, bytes.size() / 2, bytes.size() - 1}) {
    file("d.bin", bytes.substr(0, cut));
    EXPECT_FALSE(stored_detections(path, set, 7)) << cut;
  }
}

}  // namespace
}  // namespace darknet::test
