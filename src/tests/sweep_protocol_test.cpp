// The tuning protocol as a user runs it: a tuning split, a choice, and its confirmation with other
// seeds on the validation list. Whatever way the runs are made, they are the same bytes.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <sstream>
#include <thread>

#include "core/json.h"
#include "core/lock_file.h"
#include "paths.h"
#include "shell_command.h"
#include "sweep_harness.h"
#include "temporary_folder.h"
#include "train/sweep_folder.h"

namespace darknet::test {
namespace {

using namespace std::string_literals;
using testing_files::holds;

class ProtocolTest : public SweepFixture {
 protected:
  ProtocolTest() { part_lists(work_); }
};

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

const Words kConfirm = plus(kTune, {"-confirm", "2"});

// Of a run whose result is put as where it diverged, and stays.
void expect_retry_refused(const Workspace& work, const std::string& run, const std::string& said) {
  const std::string result = run + "/result.json";
  auto record = json_of(work, result);
  record["state"] = "diverged", record["reason"] = "it is not finite", record["iteration"] = 3;
  work.put(result, dump_json(record));
  expect_refused(sweep(work, plus(kConfirm, {"-retry"})), "-retry: " + said);
  EXPECT_EQ(work.get(result), dump_json(record));
}

TEST_F(ProtocolTest, TuningLeavesValidAloneAndItsImagesOutOfTheTraining) {
  for (const char* unseen : {"images/6.png", "images/6.txt", "images/7.png", "images/7.txt"})
    work_.remove(unseen);
  const CommandResult ran = sweep(work_, kTune);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto train = lines_of(work_.get("r/tuning-train.txt")),
             tuning = lines_of(work_.get("r/tuning-valid.txt"));
  EXPECT_EQ(train.size(), 5u);
  EXPECT_EQ(tuning.size(), 1u);
  EXPECT_FALSE(train.contains(*tuning.begin()));
  EXPECT_TRUE(holds(ran.out, "training images: 5 with")) << ran.out;
  const auto page = json_of(work_, "r/results.json");
  EXPECT_EQ(page["test_images"], 1);
  EXPECT_EQ(page["choice"]["groups"].size(), 2u);
  EXPECT_TRUE(holds(ran.out, "obj_loss=focal: focal is chosen of 1 variant with 2 seeds each"))
      << ran.out;
  EXPECT_TRUE(holds(work_.get("r/index.html"), "Nothing is confirmed yet"));
  EXPECT_TRUE(holds(json_of(work_, "r/ce-seed1/result.json")["command"], " r/tuning.data "));
  expect_refused(sweep(work_, plus(kTune, {"-tune_share", ".5"})),
                 "is by -tune_share 0.2, not by -tune_share 0.5");
  expect_refused(sweep(work_, plus(kTune, {"-per", "net.0.momentum"})), "settings (tune)");
}

// A split is that of its images, not of the spelling of the call.
TEST_F(ProtocolTest, PathsOfTheSameSplitMayBeWrittenOtherwise) {
  const auto tune = [&](const std::string& data, const std::string& out) {
    return work_.darknet({"detector", "sweep", data, "x.cfg", "-out", out, "-images", "0",
                          "-threads", "1", "-max_batches", "4", "-vary", "obj_loss=ce,focal",
                          "-tune"});
  };
  ASSERT_EQ(tune("x.data", "r").exit_code, 0);
  for (const std::string& out : {std::string("./r"), work_.path("r").string()})
    for (const std::string& data : {std::string("./x.data"), work_.path("x.data").string()}) {
      const CommandResult same = tune(data, out);
      EXPECT_EQ(same.exit_code, 0) << same.all();
      EXPECT_FALSE(holds(same.out, "== ")) << same.out;
    }
  work_.put("other.names", work_.get("x.names"));
  work_.put("named.data", replaced(work_.get("x.data"), "x.names", "other.names"));
  expect_refused(tune("named.data", "r"), "r/tuning.data: its classes or names are not those of");
  work_.put("train.txt", work_.get("train.txt") + "images/6.png\n");
  work_.put("valid.txt", std::string("images/7.png\n"));
  expect_refused(tune("x.data", "r"), "the tuning split of other lists than those of x.data");
}

TEST_F(ProtocolTest, SeveralKeysMakeTheGroups) {
  const CommandResult ran = sweep(work_, {"-tune", "-per", "obj_loss, obj_gamma", "-vary",
                                          "obj_loss=ce,focal", "-vary", "obj_gamma=1,2"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  std::set<std::string> groups;
  const auto results = json_of(work_, "r/results.json");
  for (const auto& group : results["choice"]["groups"]) groups.insert(group["value"]);
  EXPECT_EQ(groups, (std::set<std::string>{"ce", "focal,2", "focal,1"})) << ran.out;
}

// Its command has one variant, to which a key of the others means nothing.
TEST_F(ProtocolTest, TheCommandOfAMissingRunMakesIt) {
  const Words call = {"-tune", "-per",          "obj_loss,obj_gamma", "-vary", "obj_loss=ce,focal",
                      "-vary", "obj_gamma=1,2", "-confirm",           "1"};
  ASSERT_EQ(sweep(work_, plus(call, {"-shard", "2/3", "-no_page"})).exit_code, 1);
  ASSERT_EQ(sweep(work_, plus(call, {"-shard", "3/3", "-no_page"})).exit_code, 1);
  const CommandResult ran = sweep(work_, plus(call, {"-shard", "2/3", "-no_page"}));
  expect_refused(ran, "1 of 3 are missing, the first is ce, seed 1; make it by darknet ");
  const std::size_t begin = ran.err.find("by darknet ") + 11;
  const std::string command = ran.err.substr(begin, ran.err.find(" or copy") - begin);
  const ShellResult made =
      run_in_shell(cat("cd '", work_.path("").string(), "' && OMP_WAIT_POLICY=passive '",
                       program().string(), "' ", command));
  EXPECT_EQ(made.exit_code, 0) << command << '\n' << made.output;
  EXPECT_EQ(json_of(work_, "r/ce-seed1/result.json")["state"], "finished");
}

TEST_F(ProtocolTest, UnsoundCallsAreRefused) {
  expect_refused(sweep(work_, {"-confirm", "2"}), "-confirm needs -tune", 2);
  expect_refused(sweep(work_, plus(kTune, {"-per", "obj_los"})), "obj_los", 2);
  expect_refused(sweep(work_, plus(kTune, {"-per", "obj_loss,"})), "a key is empty", 2);
  expect_refused(sweep(work_, plus(kTune, {"-per", "obj_loss,obj_loss"})), "given twice", 2);
  expect_refused(sweep(work_, {"-seeds", "5..1"}), "ends before it begins", 2);
  work_.put("x.data", work_.get("x.data") + "tune = valid.txt\n");
  expect_refused(sweep(work_, kTune), "2 images of the tuning split are in this list too");
  expect_refused(sweep(work_, plus(kTune, {"-tune_share", ".5"})), "has tune=", 2);
  EXPECT_FALSE(work_.has("r/sweep.json"));
}

TEST_F(ProtocolTest, CheckReadsTheTuningListToo) {
  work_.put("images/9.png", work_.get("images/0.png"));
  work_.put("images/9.txt", std::string("no label\n"));
  work_.put("tune.txt", "images/9.png\n");
  work_.put("x.data", work_.get("x.data") + "tune = tune.txt\n");
  expect_refused(work_.darknet({"detector", "check", "x.data"}), "images/9.txt:1");
}

TEST_F(ProtocolTest, TheChosenAreConfirmedWithOtherSeedsOnAllOfTrain) {
  const CommandResult ran = sweep(work_, kConfirm);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto contents = json_of(work_, "r/confirm/sweep.json");
  EXPECT_EQ(contents["seeds"], (std::vector<int>{1001, 1002}));
  EXPECT_EQ(contents["variants"].size(), 2u);
  EXPECT_EQ(contents["baseline"], "ce");
  EXPECT_EQ(contents["variants"][1]["group"], "obj_loss=focal");
  EXPECT_TRUE(holds(ran.out, "training images: 6 with"));
  const auto found = json_of(work_, "r/confirm/results.json");
  EXPECT_EQ(found["test_images"], 2);
  EXPECT_EQ(found["training_images"], 6);
  EXPECT_EQ(found["runs"].size(), 4u);
  EXPECT_EQ(found["variants"][1]["group"], "obj_loss=focal");
  const auto heading =
      ran.out.find("Confirmation: 2 variants with 2 seeds that tuning did not use");
  EXPECT_NE(heading, ran.out.npos) << ran.out;
  EXPECT_NE(ran.out.find("nothing is claimed from fewer than 3 seeds", heading), ran.out.npos);
  const std::string page = work_.get("r/index.html");
  EXPECT_LT(page.find("<h1>Confirmation:"), page.find("<h1>Tuning:"));
  EXPECT_TRUE(holds(page, "-tune -confirm 2"));
  // Nothing is made twice, and the page of -collect is the same.
  const CommandResult same = sweep(work_, kConfirm);
  ASSERT_EQ(same.exit_code, 0) << same.all();
  EXPECT_FALSE(holds(same.out, ", seed 1")) << same.out;
  const auto before = results(work_);
  const CommandResult collected = sweep(work_, {"-collect"});
  ASSERT_EQ(collected.exit_code, 0) << collected.all();
  expect_equal(before, results(work_));
  EXPECT_TRUE(holds(work_.get("r/index.html"), "<h1>Confirmation:"));
  expect_refused(sweep(work_, {"-seeds", "1..2"}), "of other data or settings (inputs, tune)");
  // valid= is looked at once.
  expect_refused(sweep(work_, plus(kTune, {"-confirm", "3"})), "was begun with 2 seeds, not 3");
  expect_refused(sweep(work_, {"-tune", "-seed", "1002"}), "seed 1002 is one of the confirmation");
}

// Before they are trained for hours.
TEST_F(ProtocolTest, NothingIsAddedToATuningThatIsConfirmed) {
  ASSERT_EQ(sweep(work_, kConfirm).exit_code, 0);
  const std::string contents = work_.get("r/sweep.json"),
                    said =
                        "this confirmation of ce, focal with 2 seeds has begun, so nothing is "
                        "added to the tuning any more (";
  for (const Words& asked : {kTune, kConfirm}) {
    expect_refused(sweep(work_, plus(asked, {"-variant", "mse: obj_loss=mse"})),
                   said + "variant mse)");
    expect_refused(sweep(work_, plus(asked, {"-vary", "obj_loss=ce,poly1", "-seed", "3"})),
                   said + "variant poly1, seed 3)");
  }
  EXPECT_EQ(work_.get("r/sweep.json"), contents);
  EXPECT_FALSE(work_.has("r/mse-seed1") || work_.has("r/ce-seed3"));
  const CommandResult fewer = sweep(work_, {"-tune", "-seed", "2", "-confirm", "2"});
  EXPECT_EQ(fewer.exit_code, 0) << fewer.all();
  expect_retry_refused(work_, "r/focal-seed1",
                       "focal, seed 1 diverged in the tuning, whose confirmation has begun");
}

TEST_F(ProtocolTest, AConfirmationOfOtherVariantsIsASecondTry) {
  const Words words{"-tune", "-confirm", "1", "-variant", "other: obj_loss=ce net.0.momentum=.8"};
  const CommandResult ran = sweep(work_, plus(words, {"-baseline", "ce"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  expect_refused(sweep(work_, plus(words, {"-baseline", "other"})),
                 ", and tuning now chooses other, ");
}

TEST_F(ProtocolTest, NothingIsChosenWhereNothingIsFound) {
  work_.put("images/9.png", work_.get("images/0.png"));
  work_.put("images/9.txt", std::string("0 .1 .1 .005 .005\n"));  // far smaller than any anchor
  work_.put("tune.txt", "images/9.png\n");
  work_.put("x.data", work_.get("x.data") + "tune = tune.txt\n");
  const std::string said =
      "nothing can be chosen, since no variant that finished reaches a mAP@0.5 of 0.1 % on the "
      "tuning "
      "split; train longer (-max_batches) or check the data (darknet detector check)";
  const CommandResult ran =
      sweep(work_, {"-tune", "-confirm", "1", "-vary", "obj_loss=focal", "-vary", "obj_gamma=1,2"});
  expect_refused(ran, "nothing is confirmed: with obj_loss=focal " + said);
  EXPECT_FALSE(holds(ran.all(), "value tried")) << ran.all();
  EXPECT_TRUE(holds(ran.out, "With obj_loss=focal " + said + ".")) << ran.out;
  EXPECT_TRUE(holds(work_.get("r/index.html"), said));
  EXPECT_FALSE(work_.has("r/confirm"));
}

bool holds_lists(const Workspace& work) {
  return work.has("r/tuning.data") || work.has("r/tuning-train.txt") ||
         work.has("r/tuning-valid.txt");
}

TEST_F(ProtocolTest, ARefusedCallLeavesNoLists) {
  ASSERT_EQ(sweep(work_, {}).exit_code, 0);
  expect_refused(sweep(work_, kTune), "settings (inputs, tune)");
  EXPECT_FALSE(holds_lists(work_));
  work_.remove("r");
  const std::string list = work_.get("train.txt");
  work_.put("train.txt", list + "images/9.png\n");
  work_.put("tune.txt", "images/9.png\n");
  work_.put("x.data", work_.get("x.data") + "tune = tune.txt\n");
  work_.put("images/9.png", work_.get("images/0.png"));
  work_.put("images/9.txt", std::string("no label\n"));
  expect_refused(sweep(work_, kTune), "images/9.txt:1");
  EXPECT_FALSE(holds_lists(work_)) << "the next call may be of other lists";
  work_.put("tune.txt", "images/0.png\n");
  work_.put("train.txt", list);
  EXPECT_EQ(sweep(work_, kTune).exit_code, 0);
  EXPECT_TRUE(holds_lists(work_));
}

TEST_F(ProtocolTest, AMissingImageIsThatOfTheUsersList) {
  work_.put("tune.txt", "images/7.png\nimages/none.png\n");
  work_.put("valid.txt", "images/6.png\n");
  const std::string data = work_.get("x.data");
  work_.put("x.data", data + "tune = tune.txt\n");
  work_.put("images/none.txt", work_.get("images/0.txt"));
  expect_refused(sweep(work_, kTune), "darknet: tune.txt:2: no such image: images/none.png");
  EXPECT_FALSE(work_.has("r/sweep.json"));
  // And of a share of the training list.
  work_.put("x.data", data);
  ASSERT_EQ(sweep(work_, kTune).exit_code, 0);
  const std::string kept = work_.get("r/tuning-valid.txt");
  ASSERT_TRUE(kept.starts_with("../images/") && kept.ends_with(".png\n")) << kept;
  const std::string image = kept.substr(3, kept.size() - 4);
  work_.remove("r"), work_.remove(image);
  const int line = image["images/"s.size()] - '0' + 1;
  expect_refused(sweep(work_, kTune), cat("darknet: train.txt:", line, ": no such image: ", image));
}

TEST_F(ProtocolTest, ItsFolderHoldsFromEveryWorkingDirectory) {
  ASSERT_EQ(sweep(work_, kTune).exit_code, 0);
  const auto in = [&](const char* folder, const std::string& command) {
    return run_in_shell(cat("cd '", work_.path(folder).string(), "' && OMP_WAIT_POLICY=passive '",
                            program().string(), "' detector ", command));
  };
  const std::string settings =
      " -images 0 -threads 1 -max_batches 4 -vary obj_loss=ce,focal -tune -seeds 1..2";
  const ShellResult same = in("images", "sweep ../x.data ../x.cfg -out ../r" + settings);
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_FALSE(holds(same.output, "== ")) << same.output;
  const ShellResult repeated = in(
      "images", "train ../r/tuning.data ../r/ce-seed1/x.cfg -threads 1 -backup ../again -seed 1");
  EXPECT_EQ(repeated.exit_code, 0) << repeated.output;
  EXPECT_TRUE(work_.get("again/x_final.weights") == work_.get("r/ce-seed1/x_final.weights"));
  // Paths hold from the working directory first: other images there are not taken for these.
  for (int i = 0; i < kTinyImages; ++i)
    work_.put(cat("far/images/", i, ".png"), work_.get(cat("images/", i, ".png")));
  work_.put("far/away/x.txt", std::string());
  const ShellResult other =
      in("far/away", "sweep ../../x.data ../../x.cfg -out ../../r" + settings);
  EXPECT_EQ(other.exit_code, 1) << other.output;
  EXPECT_TRUE(
      holds(other.output, "r/tuning-train.txt: this folder holds the tuning split of other"))
      << other.output;
}

TEST_F(ProtocolTest, AConfirmationIsNoOrdinarySweepAndItsRunsAreMadeOnce) {
  ASSERT_EQ(sweep(work_, kConfirm).exit_code, 0);
  const std::string contents = work_.get("r/confirm/sweep.json");
  const Words inner{"detector", "sweep", "x.data",   "x.cfg", "-out",         "r/confirm",
                    "-images",  "0",     "-threads", "1",     "-max_batches", "4"};
  for (const Words& more :
       {Words{"-collect"}, Words{"-vary", "obj_loss=ce,focal", "-seeds", "1..2"}})
    expect_refused(work_.darknet(plus(inner, more)), "r -tune -confirm 2, or -collect in place");
  EXPECT_EQ(work_.get("r/confirm/sweep.json"), contents);
  expect_retry_refused(work_, "r/confirm/focal-seed1001",
                       "focal, seed 1001 diverged in the confirmation, whose runs are made once");
  EXPECT_EQ(sweep(work_, kConfirm).exit_code, 0);
}

TEST_F(ProtocolTest, TheBaselineIsOfItsOwnGroupOrThereIsNone) {
  const Words far{"-tune",
                  "-confirm",
                  "1",
                  "-vary",
                  "obj_loss=focal",
                  "-variant",
                  "far: obj_loss=ce net.0.learning_rate=1e30 obj_normalizer=1e6"};
  expect_refused(
      sweep(work_, far),
      "every variant with obj_loss=ce, that of the baseline far, has a run that diverged");
  EXPECT_FALSE(work_.has("r/confirm/sweep.json"));
  const CommandResult ran = sweep(work_, plus(far, {"-baseline", "focal"}));
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(json_of(work_, "r/confirm/sweep.json")["baseline"], "focal");
}

using FixedFolder = testing_files::InFolder;

TEST_F(FixedFolder, IsBegunOnceAndTakesTheSameAlone) {
  const nlohmann::json settings{{"confirms", true}};
  SweepFolder folder(folder_ / "confirm");
  std::vector<PlannedVariant> two{{{"a", {"yolo.*.x=1"}}, true}, {{"b", {"yolo.*.x=2"}}, true}};
  std::vector<PlannedVariant> one{two.front()}, three = two;
  three.push_back({{"c", {"yolo.*.x=3"}}, true});
  folder.add(settings, two, {1, 2}, "a", Additions::refused);
  folder.add(settings, two, {1, 2}, "a", Additions::refused);
  for (std::vector<PlannedVariant>* other : {&one, &three})
    EXPECT_THROW(folder.add(settings, *other, {1, 2}, "a", Additions::refused), Error);
  for (const std::vector<std::uint64_t>& seeds : {std::vector<std::uint64_t>{1}, {1, 3}, {1, 2, 3}})
    EXPECT_THROW(folder.add(settings, two, seeds, "a", Additions::refused), Error);
  const SweepContents kept = folder.contents(settings);
  EXPECT_EQ(kept.variants.size(), 2u);
  EXPECT_EQ(kept.seeds, (std::vector<std::uint64_t>{1, 2}));
  folder.add(settings, three, {1, 2, 3}, "a");
  EXPECT_EQ(folder.contents(settings).variants.size(), 3u);
}

// Of equal figures the first variant is chosen: after one iteration nothing is found by any.
TEST_F(ProtocolTest, AnOptimumAtTheEdgeIsRefusedAndMarked) {
  const auto tune = [&](const char* values, const char* out) {
    return work_.darknet({"detector", "sweep", "x.data", "x.cfg", "-out", out, "-images", "0",
                          "-vary", "obj_loss=focal", "-vary", values, "-tune", "-confirm", "1",
                          "-max_batches", "1", "-set", "net.0.learning_rate=0"});
  };
  const CommandResult ran = tune("obj_gamma=1,2", "r");
  const std::string said =
      "obj_gamma=1 of gamma1 is the smallest value tried with obj_loss=focal, so the optimum may "
      "lie beyond: add 0.5 to -vary obj_gamma.";
  expect_refused(ran, "nothing is confirmed. " + said);
  EXPECT_TRUE(holds(work_.get("r/index.html"), said));
  EXPECT_FALSE(work_.has("r/confirm"));
  const CommandResult limit = tune("obj_gamma=0,1", "limit");
  EXPECT_EQ(limit.exit_code, 0) << limit.all();
  EXPECT_TRUE(work_.has("limit/confirm/gamma0-seed1001/result.json"));
}

TEST_F(ProtocolTest, ShardsJobsAndKilledCallsGiveTheSameBytes) {
  ASSERT_EQ(sweep(work_, kConfirm).exit_code, 0);
  const auto single = results(work_);
  ASSERT_TRUE(single.contains("r/confirm/focal-seed1002/result.json"));
  {
    const Workspace shards;
    put_tiny_data(shards), part_lists(shards);
    ASSERT_EQ(sweep(shards, plus(kTune, {"-shard", "2/2", "-no_page"})).exit_code, 0);
    expect_refused(sweep(shards, plus(kConfirm, {"-shard", "2/2", "-no_page"})),
                   "-confirm needs all tuning runs: 2 of 4 are missing, the first is ce, seed 1; "
                   "make it by darknet detector sweep x.data x.cfg -out r -variant 'ce: "
                   "yolo.*.obj_loss=ce' -tune -max_batches 4 -seed 1 or copy its folder here");
    ASSERT_EQ(shards
                  .darknet({"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-variant",
                            "ce: yolo.*.obj_loss=ce", "-tune", "-max_batches", "4", "-seed", "1",
                            "-no_page"})
                  .exit_code,
              0);
    EXPECT_TRUE(shards.has("r/ce-seed1/result.json"));
    EXPECT_FALSE(shards.has("r/ce-seed2/result.json"));
    ASSERT_EQ(sweep(shards, plus(kTune, {"-shard", "1/2", "-no_page"})).exit_code, 0);
    ASSERT_EQ(sweep(shards, plus(kConfirm, {"-shard", "2/2", "-no_page"})).exit_code, 0);
    EXPECT_FALSE(shards.has("r/confirm/ce-seed1001/result.json"));
    ASSERT_EQ(sweep(shards, plus(kConfirm, {"-shard", "1/2", "-no_page"})).exit_code, 0);
    EXPECT_FALSE(shards.has("r/index.html"));
    ASSERT_EQ(sweep(shards, {"-collect"}).exit_code, 0);
    expect_equal(single, results(shards));
  }
  {
    const Workspace jobs;
    put_tiny_data(jobs), part_lists(jobs);
    const CommandResult ran = sweep(jobs, plus(kConfirm, {"-jobs", "2"}));
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_TRUE(jobs.has("r/confirm/job-2.log"));
    expect_equal(single, results(jobs));
  }
  const Workspace killed;
  put_tiny_data(killed), part_lists(killed);
  int kills = 0;
  for (const double moment : {.05, .1, .2, .3, .3, .3, .3})
    kills += sweep(killed, kConfirm, {.signal_after = moment}).signal == SIGKILL;
  EXPECT_GT(kills, 3);
  ASSERT_EQ(sweep(killed, kConfirm).exit_code, 0);
  expect_equal(single, results(killed));
}

// While another process makes a run, which it does not end.
CommandResult confirm_beside_others(const Workspace& work, const Words& words) {
  std::filesystem::create_directories(work.path("r/ce-seed1"));
  auto other = std::make_unique<LockFile>(work.path("r/ce-seed1/run.lock"), "a test");
  bool begun_too_early = false;
  std::thread ends([&] {
    constexpr auto kPoll = std::chrono::milliseconds(50);
    const auto others_have_ended = [&] {
      return work.has("r/focal-seed1/result.json") && work.has("r/ce-seed2/result.json") &&
             work.has("r/focal-seed2/result.json");
    };
    for (int k = 0; k < 1000 && !others_have_ended(); ++k) std::this_thread::sleep_for(kPoll);
    std::this_thread::sleep_for(std::chrono::seconds(2));  // a call that does not wait ends here
    begun_too_early = work.has("r/confirm");
    other.reset();
  });
  CommandResult ran = sweep(work, plus(kConfirm, words));
  ends.join();
  EXPECT_FALSE(begun_too_early);
  return ran;
}

TEST_F(ProtocolTest, TheConfirmationWaitsForTheTuningRunsOfOthers) {
  const CommandResult ran = confirm_beside_others(work_, {});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(json_of(work_, "r/results.json")["runs"][0]["state"], "finished");
  EXPECT_TRUE(work_.has("r/confirm/focal-seed1002/result.json"));
}

TEST_F(ProtocolTest, JobsOfACallThatWaitsKeepTheirLogs) {
  const CommandResult ran = confirm_beside_others(work_, {"-jobs", "2"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const std::string logs = work_.get("r/job-1.log") + work_.get("r/job-2.log");
  for (const char* run :
       {"== ce, seed 1\n", "== ce, seed 2\n", "== focal, seed 1\n", "== focal, seed 2\n"})
    EXPECT_TRUE(holds(logs, run)) << run << logs;
}

// The script of a SLURM task, with programs in place of darknet and scontrol.
TEST_F(ProtocolTest, ATaskOfSlurmWhoseProgramIsKilledGoesBackIntoTheQueue) {
  work_.put("bin/scontrol", "#!/bin/sh\necho \"$@\" >> requeued\n");
  work_.put("bin/well", "#!/bin/sh\necho \"$OMP_NUM_THREADS: $@\" > asked\n");
  work_.put("bin/killed", "#!/bin/sh\nkill -9 $$\n");
  work_.put("bin/wrong", "#!/bin/sh\nexit 2\n");
  work_.put("bin/saves",
            "#!/bin/sh\ntrap 'echo saved > saved; exit 143' TERM\nwhile :; do sleep .1; done\n");
  const auto task = [&](const std::string& program, const std::string& before = "") {
    return run_in_shell(cat("cd '", work_.path("").string(),
                            "' && chmod +x bin/* && export PATH=\"$PWD/bin:$PATH\" ",
                            "SLURM_JOB_ID=7 SLURM_CPUS_PER_TASK=3 DARKNET=bin/", program, " && ",
                            before, " '", source_dir().string(),
                            "/scripts/sweep.sbatch' x.data 'a b'"))
        .exit_code;
  };
  EXPECT_EQ(task("well"), 0);
  EXPECT_EQ(work_.get("asked"), "3: detector sweep x.data a b\n");
  EXPECT_EQ(task("wrong"), 2);
  EXPECT_FALSE(work_.has("requeued"));
  EXPECT_EQ(task("killed"), 137);
  EXPECT_EQ(work_.get("requeued"), "requeue 7\n");
  EXPECT_EQ(task("killed", "SLURM_RESTART_COUNT=20"), 137);
  EXPECT_EQ(work_.get("requeued"), "requeue 7\n") << "often enough";
  // Its time limit is near: the program saves, and is waited for.
  EXPECT_EQ(task("saves", "timeout -s TERM 1 bash"), 124);
  EXPECT_TRUE(work_.has("saved"));
}

}  // namespace
}  // namespace darknet::test
