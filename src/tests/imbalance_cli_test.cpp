// `detector imbalance`, `detector calibrate` and -calibrate as users run them, with the network
// that comes with the program.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/json.h"
#include "report/imbalance_chart.h"
#include "tests/cli_harness.h"
#include "tests/paths.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kImages = 10;

class ScenesCli : public testing::Test {
 protected:
  ScenesCli() {
    fs::create_directories(work_.path("runs"));
    for (const char* name : {"cfg/scenes.cfg", "data/scenes.weights"})
      fs::copy_file(source_dir() / name, work_.path(fs::path(name).filename()));
    const CommandResult drawn = work_.darknet(
        {"synth", "scenes", "-n", "12", "-test", std::to_string(kImages), "-seed", "7"});
    EXPECT_EQ(drawn.exit_code, 0) << drawn.all();
  }
  CommandResult run(const char* command, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"detector", command, "scenes/scenes.data", "scenes.cfg",
                                   "scenes.weights"};
    words.insert(words.end(), more.begin(), more.end());
    return work_.darknet(words);
  }
  json read(const fs::path& name) const { return parse_json(work_.get(name)); }

  Workspace work_;
};

TEST_F(ScenesCli, ImbalanceGivesTheFiguresOfTheSet) {
  work_.put("scenes_log.jsonl",
            "{\"iteration\": 1, \"loss\": 2, \"average_loss\": 2, \"heads\": [{\"layer\": 20, "
            "\"gradient_share_positive\": 0.3, \"gradient_share_hard_negative\": 0.3, "
            "\"gradient_share_easy_negative\": 0.4}]}\n");
  const CommandResult ran = run("imbalance", {"-out", "figures", "-json", "figures.json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("get no anchor of any head"), std::string::npos) << ran.all();
  EXPECT_NE(ran.all().find("shares over training from scenes_log.jsonl"), std::string::npos)
      << ran.all();
  EXPECT_NE(work_.get("figures.svg").find("Who moves the objectness"), std::string::npos);
  EXPECT_TRUE(work_.has("figures.png"));
  EXPECT_TRUE(work_.get("figures.csv").starts_with(kImbalanceCsvHeader));

  const json figures = read("figures.json");
  EXPECT_EQ(figures["images"], kImages);
  std::int64_t anchors = 0, positives = 0;
  for (const json& head : figures["heads"]) {
    anchors += head["positives"].get<std::int64_t>() + head["negatives"].get<std::int64_t>() +
               head["ignored"].get<std::int64_t>();
    positives += head["positives"].get<std::int64_t>();
    const double eta = head["eta"], p_star = head["p_star"], bias = head["bias_p"];
    EXPECT_GT(p_star, eta);  // focal loss pulls towards .5
    EXPECT_GT(bias, 0);
  }
  EXPECT_EQ(figures["all"]["positives"], positives);
  EXPECT_EQ(anchors % kImages, 0);
  EXPECT_GT(anchors, 1000 * kImages);
  EXPECT_EQ(figures["truths_lost"], 0);
  // As in the paper, gamma moves the background's loss to its hardest anchors.
  double last = 0;
  for (const json& focal : figures["all"]["negative"]["focal"]) {
    const double share = focal["share_of_hardest"]["0.01"];
    EXPECT_GT(share, last);
    last = share;
  }
  EXPECT_GT(last, .9);
  EXPECT_GT(figures["all"]["positive"]["mean_p"], figures["all"]["negative"]["mean_p"]);
}

// The figures count what the labels say, whatever else the network was told.
TEST_F(ScenesCli, ImbalanceTakesTheLossOfTheCfg) {
  const auto sum = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"-json", "x.json"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult ran = run("imbalance", words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    const json figures = read("x.json");
    return figures["all"]["negative"]["loss"]["sum"].get<double>();
  };
  const double ce = sum({"-set", "yolo.*.obj_loss=ce", "-set", "yolo.*.obj_normalizer=1"}),
               twice = sum({"-set", "yolo.*.obj_loss=ce", "-set", "yolo.*.obj_normalizer=2"}),
               calibrated = sum({"-set", "yolo.*.obj_loss=ce", "-set", "yolo.*.obj_normalizer=1",
                                 "-set", "yolo.*.obj_calibrate=1"});
  EXPECT_NEAR(twice, 2 * ce, 1e-5 * ce);
  EXPECT_NEAR(calibrated, ce, 1e-9 * ce);
}

// As training did, whatever images are looked at: without any object there the factor is 1.
TEST_F(ScenesCli, ImbalanceWeighsByTheTrainingImages) {
  const fs::path image = *fs::directory_iterator(work_.path("scenes/images")),
                 blank = work_.path("scenes/images/blank") += image.extension();
  fs::copy_file(image, blank);
  work_.put("scenes/labels/blank.txt", "");
  work_.put("blank.txt", blank.string() + "\n");
  const auto said = [&](const fs::path& train) {
    work_.remove("x.data");
    work_.put("x.data", cat("train=", train.string(),
                            "\nvalid=", work_.path("scenes/test.txt").string(), "\n"));
    const CommandResult ran =
        work_.darknet({"detector", "imbalance", "x.data", "scenes.cfg", "scenes.weights", "-set",
                       "yolo.*.obj_normalizer=auto"});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran.all();
  };
  const std::string nothing = "obj_normalizer=auto: 1; no training label is positive",
                    without = said(work_.path("blank.txt")),
                    with = said(work_.path("scenes/train.txt"));
  EXPECT_NE(without.find(nothing), std::string::npos) << without;
  EXPECT_EQ(with.find(nothing), std::string::npos) << with;
  EXPECT_NE(with.find("obj_normalizer=auto: 3.5"), std::string::npos) << with;
}

TEST_F(ScenesCli, ImbalanceSaysThatGuidingIsIgnored) {
  const std::string said = "[yolo] obj_guided=1 is ignored";
  EXPECT_EQ(run("imbalance").all().find(said), std::string::npos);
  const CommandResult ran = run("imbalance", {"-set", "yolo.*.obj_guided=1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.all().find(said), std::string::npos) << ran.all();
}

TEST_F(ScenesCli, ImbalanceReplacesNothingElse) {
  work_.put("figures.csv", "class,name\n");
  expect_refused(run("imbalance", {"-out", "figures"}), "figures.csv");
  EXPECT_EQ(work_.get("figures.csv"), "class,name\n");
}

// Before the network has run over all images.
TEST_F(ScenesCli, ImbalanceReadsItsLogFirst) {
  work_.put("other_log.jsonl", std::string("no log\n"));
  for (const CommandResult& ran :
       {run("imbalance", {"-out", "figures", "-json", "x.json", "-log", "other_log.jsonl"}),
        run("imbalance", {"-out", "figures", "-json", "x.json", "-log", "none.jsonl"})}) {
    EXPECT_EQ(ran.exit_code, 1) << ran.all();
    EXPECT_NE(ran.err.find(".jsonl: "), std::string::npos) << ran.all();
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_FALSE(work_.has("x.json"));
  work_.put("scenes_log.jsonl", std::string("no log\n"));  // the one next to the weights
  expect_refused(run("imbalance", {"-out", "figures"}), "scenes_log.jsonl:1: ");
  EXPECT_EQ(run("imbalance").exit_code, 0) << "nothing is drawn";
}

double map_of(const json& figures) { return figures["map"]; }

TEST_F(ScenesCli, CalibrateWritesWhatCalibrateTakes) {
  expect_refused(run("map", {"-calibrate"}), "darknet detector calibrate writes one");
  const CommandResult fitted = run("calibrate", {"-thresh", ".01"});
  ASSERT_EQ(fitted.exit_code, 0) << fitted.all();
  EXPECT_NE(fitted.out.find("-> scenes.calibration.json"), std::string::npos) << fitted.all();
  const json file = read("scenes.calibration.json");
  EXPECT_GT(file["hits"], 10);
  const double temperature = file["temperature"];
  EXPECT_NE(temperature, 1);

  const CommandResult plain = run("map", {"-out", "plain.json"}),
                      calibrated = run("map", {"-out", "calibrated.json", "-calibrate"});
  ASSERT_EQ(calibrated.exit_code, 0) << calibrated.all();
  EXPECT_NE(calibrated.all().find("calibrated by scenes.calibration.json"), std::string::npos);
  // A rising map keeps the order; only the tail below .005 may differ.
  EXPECT_NEAR(map_of(read("plain.json")), map_of(read("calibrated.json")), .002);
  const double raw = read("plain.json")["best_f1_threshold"],
               mapped = read("calibrated.json")["best_f1_threshold"];
  EXPECT_NEAR(std::log(mapped / (1 - mapped)), std::log(raw / (1 - raw)) / temperature, 2e-3);
}

TEST_F(ScenesCli, CalibrateSaysWhatItReplaces) {
  const std::string replaces = "this replaces the earlier calibration: ";
  const CommandResult first = run("calibrate", {"-thresh", ".01"});
  EXPECT_EQ(first.out.find(replaces), std::string::npos) << first.all();
  const json file = read("scenes.calibration.json");
  const double temperature = file["temperature"], error = file["d_ece_after"];
  std::array<char, 200> said{};
  std::snprintf(said.data(), said.size(),
                "temperature %.3f by %d detections in %d images, D-ECE %.4f after it\n",
                temperature, file["detections"].get<int>(), kImages, error);
  const CommandResult second = run("calibrate", {"-thresh", ".01", "-method", "isotonic"});
  EXPECT_NE(second.out.find(replaces + said.data()), std::string::npos)
      << said.data() << second.all();
  const auto points = read("scenes.calibration.json")["curve"].size();
  std::string weights = work_.get("scenes.weights");
  weights[12] ^= 1;  // the images seen, in the header
  work_.remove("scenes.weights");
  work_.put("scenes.weights", weights);
  const CommandResult third = run("calibrate", {"-thresh", ".01"});
  EXPECT_NE(third.out.find(cat(replaces, "isotonic curve of ", points, " points by ")),
            std::string::npos)
      << third.all();
  EXPECT_NE(third.out.find(", of another network\n"), std::string::npos) << third.all();
}

TEST_F(ScenesCli, CalibrationOfOtherWeightsIsRefused) {
  ASSERT_EQ(run("calibrate", {"-thresh", ".01"}).exit_code, 0);
  std::string weights = work_.get("scenes.weights");
  weights[12] ^= 1;  // the images seen, in the header
  work_.remove("scenes.weights");
  work_.put("scenes.weights", weights);
  for (const char* command : {"map", "valid"})
    expect_refused(run(command, {"-calibrate"}), "this calibration is of other weights");
  const std::string image = fs::directory_iterator(work_.path("scenes/images"))->path();
  expect_refused(
      work_.darknet({"detect", "scenes.cfg", "scenes.weights", image, "-dont_show", "-calibrate"}),
      "this calibration is of other weights; darknet detector calibrate writes one");
}

TEST_F(ScenesCli, DetectionsHaveCalibratedProbabilities) {
  ASSERT_EQ(run("calibrate", {"-thresh", ".01", "-method", "isotonic"}).exit_code, 0);
  const json curve = read("scenes.calibration.json")["curve"];
  ASSERT_GT(curve.size(), 2u);
  const auto mapped = [&](double p) {
    double x = 0, y = 0;
    for (const json& knot : curve) {
      const double kx = knot[0], ky = knot[1];
      if (p <= kx) return y + (ky - y) * (p - x) / (kx - x);
      x = kx, y = ky;
    }
    return y + (1 - y) * (p - x) / (1 - x);
  };
  const auto confidences = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"test",           "scenes/scenes.data", "scenes.cfg",
                                   "scenes.weights", "scenes/images",      "-dont_show",
                                   "-out",           "found.json"};
    words.insert(words.begin(), "detector");
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    std::vector<double> all;
    for (const json& frame : read("found.json"))
      for (const json& object : frame["objects"]) all.push_back(object["confidence"]);
    std::ranges::sort(all);
    return all;
  };
  std::vector<double> expected;
  for (const double p : confidences({"-thresh", ".001"}))
    if (mapped(p) > .3) expected.push_back(mapped(p));
  const std::vector<double> found = confidences({"-thresh", ".3", "-calibrate"});
  ASSERT_EQ(found.size(), expected.size());
  ASSERT_GT(found.size(), 10u);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-3);
}

TEST_F(ScenesCli, CalibrateIsOfNetworksOnly) {
  work_.put("x.json", "[]");
  const CommandResult ran = work_.darknet(
      {"detector", "map", "scenes/scenes.data", "-detections", "x.json", "-calibrate"});
  expect_refused(ran, "-calibrate", 2);
}

}  // namespace
}  // namespace darknet::test
