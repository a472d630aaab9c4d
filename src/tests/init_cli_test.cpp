// detector init through the program, the length flags of detector train, and the warnings that
// check and train share.
#include <nlohmann/json.hpp>

#include "cfg/cfg_text.h"
#include "cfg/parse.h"
#include "cfg/shipped.h"
#include "cli_harness.h"
#include "nn/network.h"
#include "nn/weights.h"

namespace darknet::test {
namespace {

class Init : public CliTest {
 protected:
  Init() { work_.remove("x.cfg"); }
  CommandResult init(std::vector<std::string> more = {}, int exit_code = 0) const {
    more.insert(more.begin(), {"detector", "init", "x.data"});
    CommandResult ran = work_.darknet(more);
    EXPECT_EQ(ran.exit_code, exit_code) << ran.all();
    return ran;
  }
  CfgText cfg(const std::string& name = "x.cfg") const { return CfgText(work_.get(name)); }
};

TEST_F(Init, WritesACfgThatTrains) {
  const CommandResult ran = init({"-epochs", "6"});
  const CfgText made = cfg();
  const std::size_t head = made.size() - 1;
  ASSERT_EQ(made.type(head), "yolo");
  EXPECT_EQ(made.value(head, "classes"), "3");
  EXPECT_EQ(made.value(head, "obj_prior"), "auto");
  EXPECT_EQ(made.value(head, "obj_loss"), "ce");
  EXPECT_EQ(made.value(head, "box_gradient"), "exact");
  EXPECT_EQ(made.value(head - 1, "filters"), "24");  // (3 + 5) * 3
  EXPECT_EQ(made.value(0, "max_batches"), "3");      // 6 epochs of 8 images, 16 at a time
  EXPECT_EQ(made.value(0, "steps"), "2,2");
  EXPECT_EQ(made.value(0, "width"), "288");  // 320 x 240 as a square
  EXPECT_EQ(made.value(0, "flip"), "1");
  // The squares have 16, 20 and 24 of 64 pixels: 72, 90 and 108 of 288.
  EXPECT_EQ(made.value(head, "anchors"), "72.00,72.00, 90.00,90.00, 108.00,108.00");
  EXPECT_TRUE(said(ran, "blood-cells.cfg")) << ran.all();
  EXPECT_TRUE(said(ran, "detector train x.data x.cfg")) << ran.all();
  EXPECT_TRUE(said(ran, "8 of 8 images of valid= are in train=")) << ran.all();
  EXPECT_FALSE(said(ran, "no obj_prior")) << ran.all();
  const CommandResult trained = train();
  EXPECT_EQ(trained.exit_code, 0) << trained.all();
  EXPECT_TRUE(said(trained, "iterations 1 to 3")) << trained.all();
}

// -hours measures for seconds.
TEST_F(Init, ReportsThatAnInterruptLeavesNoCfg) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const CommandResult ran =
        work_.darknet({"detector", "init", "x.data", "-hours", "1"},
                      {.signal_when = "measuring some training iterations", .signal = signal});
    EXPECT_EQ(ran.exit_code, 128 + signal) << ran.all();
    EXPECT_TRUE(said(ran,
                     "interrupted while some training iterations were measured; x.cfg was not "
                     "written\n"))
        << ran.all();
    EXPECT_FALSE(work_.has("x.cfg"));
  }
}

TEST_F(Init, ReplacesNoFile) {
  work_.put("x.cfg", std::string("[mine]"));
  const CommandResult ran = init({}, 1);
  EXPECT_TRUE(said(ran, "-force")) << ran.all();
  EXPECT_EQ(work_.get("x.cfg"), "[mine]");
  init({"-epochs", "1", "-force"});
  EXPECT_NE(work_.get("x.cfg"), "[mine]");
}

TEST_F(Init, TakesLikeLossAndNames) {
  work_.put("x.names", std::string("turn_left\nstop\ngo\n"));
  const CommandResult ran =
      init({"-like", "yolov4-tiny", "-loss", "focal", "-epochs", "2", "-out", "y.cfg"});
  const CfgText made = cfg("y.cfg");
  EXPECT_EQ(made.value(0, "flip"), "0");
  EXPECT_TRUE(said(ran, "flip=0")) << ran.all();
  EXPECT_EQ(made.value(0, "width"), "416");
  EXPECT_EQ(made.value(0, "batch"), "16");
  EXPECT_EQ(made.value(0, "learning_rate"), "0.001305");  // .00261 * sqrt(16 / 64)
  std::vector<std::size_t> heads;
  for (std::size_t s = 0; s < made.size(); ++s)
    if (made.type(s) == "yolo") heads.push_back(s);
  ASSERT_EQ(heads.size(), 2u);
  // Three sizes: 104, 130 and 156 pixels of 416, all of the coarse head's, which leaves one.
  EXPECT_EQ(made.value(heads[0], "mask"), "1,2");
  EXPECT_EQ(made.value(heads[1], "mask"), "0");
  EXPECT_EQ(made.value(heads[0] - 1, "filters"), "16");
  EXPECT_EQ(made.value(heads[1] - 1, "filters"), "8");
  for (const std::size_t h : heads) {
    EXPECT_EQ(made.value(h, "num"), "3");
    EXPECT_EQ(made.value(h, "obj_loss"), "focal");
  }
  EXPECT_EQ(work_.darknet({"net", "info", "y.cfg"}).exit_code, 0);
  expect_refused(work_.darknet({"detector", "init", "x.data", "-like", "yolov9"}), "yolov9", 2);
}

// More subdivisions than the images of the measurement; boxes by new_coords with soft targets.
TEST_F(Init, TakesLargerNetworks) {
  for (const std::string name : {"yolov4-tiny-3l", "yolov7-tiny"}) {
    const std::string out = name + ".cfg";
    init({"-like", name, "-loss", "focal", "-epochs", "2", "-out", out});
    const CfgText made = cfg(out);
    std::size_t heads = 0;
    for (std::size_t s = 0; s < made.size(); ++s) {
      if (made.type(s) != "yolo") continue;
      ++heads;
      EXPECT_EQ(made.value(s, "obj_loss"), "focal");
      EXPECT_EQ(made.value(s, "obj_target"), "one");
    }
    EXPECT_EQ(heads, 3u);
    const CommandResult info = work_.darknet({"net", "info", out});
    EXPECT_EQ(info.exit_code, 0) << info.all();
    EXPECT_EQ(info.all().find("training is not possible"), std::string::npos) << info.all();
  }
}

TEST_F(Init, AnchorsOfRegionAreInCells) {
  init({"-like", "yolov2-tiny-voc", "-epochs", "2"});
  const CfgText made = cfg();
  const std::size_t head = made.size() - 1;
  EXPECT_EQ(made.value(head, "anchors"), "3.25,3.25, 4.06,4.06, 4.88,4.88");  // 104, 130, 156 / 32
  EXPECT_EQ(made.value(head - 1, "filters"), "24");
  EXPECT_EQ(made.value(head, "mask"), "");
  EXPECT_EQ(work_.darknet({"net", "info", "x.cfg"}).exit_code, 0);
}

TEST_F(Init, ABackboneChoosesItsNetwork) {
  std::istringstream in{std::string(shipped_cfg("yolov3-tiny"))};
  Network net(parse_cfg(in, "yolov3-tiny.cfg"), {.seed = 1});
  net.initialise();
  work_.put("backbone.7", weights_bytes(net, 0, 7));  // ends before the pooling layer 7
  const CommandResult ran = init({"-weights", "backbone.7", "-epochs", "1"});
  EXPECT_TRUE(said(ran, "yolov3-tiny.cfg, chosen by the weights")) << ran.all();
  EXPECT_TRUE(said(ran, "the first 8 of")) << ran.all();
  EXPECT_TRUE(said(ran, "x.cfg backbone.7")) << ran.all();
  work_.put("short.weights", std::string(25, '\1'));
  work_.remove("x.cfg");
  init({"-weights", "short.weights"}, 1);
  EXPECT_FALSE(work_.has("x.cfg"));
}

TEST_F(Init, HoursAreMeasured) {
  init({"-hours", "0.01"});
  const std::int64_t iterations = std::stoll(cfg().value(0, "max_batches"));
  EXPECT_GE(iterations, 1);
  EXPECT_LT(iterations, 36000);  // a millisecond each
  expect_refused(work_.darknet({"detector", "init", "x.data", "-hours", "1", "-epochs", "1"}),
                 "epochs", 2);
}

TEST_F(Init, InvalidLabelsAreSkippedOnRequest) {
  work_.put("images/3.txt", work_.get("images/3.txt") + "9 .5 .5 .1 .1\n");
  EXPECT_TRUE(said(init({"-epochs", "6"}, 1), "images/3.txt:2: "));
  init({"-epochs", "6", "-bad_labels", "skip"});
  EXPECT_EQ(cfg().value(0, "max_batches"), "3");
}

TEST_F(Init, NothingToLearnFromIsSaid) {
  for (int i = 0; i < kTinyImages; ++i) work_.put(cat("images/", i, ".txt"), std::string());
  EXPECT_TRUE(said(init({}, 1), "no image of this list has an object"));
}

using Length = CliTest;

TEST_F(Length, EpochsSetTheWholeSchedule) {
  work_.put("x.cfg",
            replaced(kTinyCfg, "max_batches=4\n",
                     "max_batches=1000\nburn_in=500\npolicy=steps\nsteps=750\nscales=.1\n"));
  const CommandResult ran = train({"-epochs", "2.6"});  // 20.8 images, 2 at a time
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "iterations 1 to 11,")) << ran.all();
  EXPECT_TRUE(said(ran, "burn_in 6")) << ran.all();  // 500 * 11 / 1000
}

TEST_F(Length, OneFlagOnly) {
  expect_refused(train({"-epochs", "1", "-max_batches", "4"}), "max_batches", 2);
  expect_refused(train({"-epochs", "1", "-hours", "1"}), "epochs", 2);
  expect_refused(train({"-epochs", "1", "-set", "net.0.max_batches=9"}), "both give the length", 2);
  expect_refused(train({"-hours", "nan"}), "hours", 2);
}

TEST_F(Length, AResumedRunKeepsIt) {
  const CommandResult first = train({"-hours", "0.0003"});  // about a second
  EXPECT_EQ(first.exit_code, 0) << first.all();
  const std::string mark = "iterations 1 to ";
  const auto at = first.out.find(mark);
  ASSERT_NE(at, std::string::npos) << first.all();
  const std::string planned = std::to_string(std::stoll(first.out.substr(at + mark.size())));
  const CommandResult again = train({"backup/x_last.weights", "-hours", "5"});
  EXPECT_TRUE(said(again, "keeps its planned length of " + planned + " iterations")) << again.all();
  const CommandResult other = train({"backup/x_last.weights"});
  EXPECT_TRUE(said(other, "started with -epochs or -hours")) << other.all();
}

class Warnings : public CliTest {
 protected:
  CommandResult check(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"detector", "check", "x.data", "x.cfg"});
    return work_.darknet(more);
  }
};

TEST_F(Warnings, CheckNamesThemOnceAndIsStillFine) {
  work_.put("images/3.txt", work_.get("images/3.txt") + work_.get("images/3.txt"));
  const CommandResult ran = check({"-set", "net.0.max_batches=4001"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  for (const char* part :
       {"1000 epochs", "8 of 8 images of valid=", "train=: 1 label line found twice",
        "fewer than 10 objects in train=: red (4), green (3), blue (2)", "0 errors, "}) {
    const auto at = ran.all().find(part);
    EXPECT_NE(at, std::string::npos) << part << '\n' << ran.all();
    EXPECT_EQ(ran.all().find(part, at + 1), std::string::npos) << part << " twice";
  }
}

// 128 x 128 pixels: 3072 anchors to one object.
TEST_F(Warnings, CheckKnowsTheKeysOfTraining) {
  const std::vector<std::string> large{"-set", "net.0.width=128", "-set", "net.0.height=128"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), large.begin(), large.end());
    return check(more);
  };
  EXPECT_TRUE(said(with({}), "3071 negatives to a positive and no obj_prior"));
  EXPECT_FALSE(said(with({"-set", "yolo.0.obj_prior=auto"}), "no obj_prior"));
}

TEST_F(Warnings, TrainGivesThemWhenItBegins) {
  const CommandResult ran = train({"-map", "-epochs", "1001", "-seed", "1"},
                                  {.signal_when = "iterations 1 to", .signal = SIGKILL});
  EXPECT_TRUE(said(ran, "1001 epochs")) << ran.all();
  EXPECT_TRUE(said(ran, "8 of 8 images of valid=")) << ran.all();
  EXPECT_TRUE(said(ran, "fewer than 10 objects")) << ran.all();
}

TEST_F(Warnings, ALossThatGrowsIsReportedBeforeItIsNoNumber) {
  const CommandResult ran = train({"-max_batches", "300", "-set", "net.0.learning_rate=5", "-set",
                                   "net.0.burn_in=100", "-set", "yolo.0.iou_loss=ciou"});
  EXPECT_TRUE(said(ran, "the run diverges")) << ran.all();
  EXPECT_TRUE(said(ran, "box_gradient=exact")) << ran.all();
}

}  // namespace
}  // namespace darknet::test
