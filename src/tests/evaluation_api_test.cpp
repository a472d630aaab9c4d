// What of the library is next to detection and training: evaluation and scenes as the commands have
// them, and losses on arrays as the lists of losses define them.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cli_harness.h"
#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "darknet/evaluation.h"
#include "darknet/losses.h"
#include "darknet/scenes.h"
#include "detector_api_harness.h"
#include "loss_harness.h"
#include "losses/class_loss.h"

namespace darknet::test {
namespace {

class EvaluationApi : public CliTest {
 protected:
  EvaluationApi() { EXPECT_EQ(train({"-max_batches=60", "-nogpu"}).exit_code, 0); }
  EvaluationFigures evaluate(EvaluatorOptions o = {}) const {
    o.device = "cpu";
    return darknet::evaluate(work_.path("x.data"), work_.path("x.cfg"),
                             work_.path("backup/x_final.weights"), o);
  }
  nlohmann::json command(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"detector", "map", "x.data", "x.cfg", "backup/x_final.weights",
                                 "-out", "map.json", "-nogpu"});
    const CommandResult ran = work_.darknet(flags);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return parse_json(work_.get("map.json"));
  }
};

void expect_equal(const nlohmann::json& told, const EvaluationFigures& f) {
  const nlohmann::json& coco = told.at("coco");
  const std::pair<const char*, double> figures[] = {{"map", f.map},
                                                    {"precision", f.precision},
                                                    {"recall", f.recall},
                                                    {"f1", f.f1},
                                                    {"average_iou", f.average_iou},
                                                    {"best_f1", f.best_f1},
                                                    {"best_f1_threshold", f.best_f1_threshold}};
  for (const auto& [key, value] : figures) EXPECT_EQ(told.at(key).get<double>(), value) << key;
  EXPECT_EQ(coco.at("ap").get<double>(), f.coco_ap);
  EXPECT_EQ(coco.at("ap50").get<double>(), f.coco_ap50);
  EXPECT_EQ(coco.at("ap75").get<double>(), f.coco_ap75);
  EXPECT_EQ(coco.at("ar100").get<double>(), f.coco_ar100);
  EXPECT_EQ(coco.at("small").at("ap").get<double>(), f.coco_ap_small);
  EXPECT_TRUE(coco.at("large").at("ap").is_null());
  EXPECT_EQ(f.coco_ap_large, -1);
  ASSERT_EQ(told.at("classes").size(), f.classes.size());
  for (std::size_t i = 0; i < f.classes.size(); ++i) {
    const nlohmann::json& c = told.at("classes")[i];
    EXPECT_EQ(c.at("name"), f.classes[i].name);
    EXPECT_EQ(c.at("truths"), f.classes[i].truths);
    EXPECT_EQ(c.at("true_positives"), f.classes[i].true_positives);
    EXPECT_EQ(c.at("false_positives"), f.classes[i].false_positives);
    EXPECT_EQ(c.at("average_precision").get<double>(), f.classes[i].average_precision);
    EXPECT_EQ(c.at("ap").get<double>(), f.classes[i].coco_ap);
  }
}

TEST_F(EvaluationApi, HasTheFiguresOfTheCommand) {
  const EvaluationFigures plain = evaluate();
  EXPECT_EQ(plain.images, kTinyImages);
  EXPECT_GT(plain.map, 0);
  expect_equal(command({}), plain);
  EvaluatorOptions o;
  o.iou = .3f, o.threshold = .1f, o.points = 11, o.letter_box = true;
  o.overrides = {"net.0.width=64"};
  const EvaluationFigures other = evaluate(o);
  EXPECT_NE(other.map, plain.map);
  expect_equal(command({"-iou_thresh", ".3", "-thresh", ".1", "-points", "11", "-letter_box",
                        "-set", "net.0.width=64"}),
               other);
}

TEST_F(EvaluationApi, RefusesAndStops) {
  const auto with = [&](auto change) {
    EvaluatorOptions o;
    change(o);
    return refusal([&] { evaluate(o); });
  };
  using O = EvaluatorOptions;
  EXPECT_NE(with([](O& o) { o.points = 12; }).find("12 points"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.iou = 2; }).find("iou 2"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.threshold = -1; }).find("threshold -1"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.bad_labels = "no"; }).find("'no'"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.loader_threads = 5000; }).find("loader_threads"), std::string::npos);
  EXPECT_NE(with([](O& o) { o.stop = [] { return true; }; }).find("stopped"), std::string::npos);
  EvaluatorOptions throws;
  throws.stop = []() -> bool { throw 7; };
  EXPECT_THROW(evaluate(throws), int);
  work_.remove("images/2.png");
  EXPECT_NE(with([](O&) {}).find("2.png"), std::string::npos);
}

TEST(ScenesApi, DrawsWhatTheCommandDraws) {
  const Workspace work;
  const CommandResult ran = work.darknet({"synth", "a", "-n", "6", "-test", "2", "-size", "96x64",
                                          "-objects", "1..2", "-seed", "5", "-format", "png"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  SceneOptions o;
  o.images = 6, o.test = 2, o.width = 96, o.height = 64, o.max_objects = 2, o.seed = 5;
  o.format = "png";
  EXPECT_EQ(synthesize(work.path("b"), o), work.path("b/scenes.data"));
  const std::set<std::string> hold_paths{"a/scenes.data", "a/train.txt", "a/test.txt"};
  for (const auto& [name, bytes] : work.tree("a")) {
    if (hold_paths.contains(name)) continue;
    EXPECT_TRUE(work.get("b" + name.substr(1)) == bytes) << name;
  }
  EXPECT_TRUE(work.has("b/train.txt") && work.has("b/test.txt"));
  o.stop = [] { return true; };
  EXPECT_NE(refusal([&] { synthesize(work.path("c"), o); }).find("stopped after 0 images of 6"),
            std::string::npos);
  o.stop = nullptr, o.format = "bmp";
  EXPECT_NE(refusal([&] { synthesize(work.path("c"), o); }).find("'bmp'"), std::string::npos);
  o.format = "png", o.images = 0;
  EXPECT_NE(refusal([&] { synthesize(work.path("c"), o); }).find("images 0"), std::string::npos);
  o.images = 6, o.classes = 77;
  EXPECT_NE(refusal([&] { synthesize(work.path("c"), o); }).find("77"), std::string::npos);
}

const std::vector<float> kSomeLogits{-30, -4, -1.5f, 0, .5f, 2, 17};

TEST(LossesApi, OfLogitsAreThoseOfTheList) {
  const std::vector<float> hard{0, 1, 0, 1, 0, 1, 1};
  ASSERT_EQ(logit_loss_names(), names_of<LogitLoss>());
  for (const LogitLoss& loss : all_of<LogitLoss>()) {
    SCOPED_TRACE(name_of(loss));
    const LossValues computed = loss_of_logits(std::string(name_of(loss)), kSomeLogits, hard);
    ASSERT_EQ(computed.value.size(), kSomeLogits.size());
    ASSERT_EQ(computed.gradient.size(), kSomeLogits.size());
    if (is_of_batch(loss)) continue;  // below
    for (std::size_t i = 0; i < kSomeLogits.size(); ++i) {
      const testing_losses::Example e{hard[i], hard[i] > 0};
      EXPECT_FLOAT_EQ(computed.value[i], testing_losses::value(loss, kSomeLogits[i], e)) << i;
      EXPECT_FLOAT_EQ(computed.gradient[i], testing_losses::gradient(loss, kSomeLogits[i], e)) << i;
    }
  }
}

// ohem keeps, with ratio 1 and one object, the background with the largest loss alone.
TEST(LossesApi, TheArrayIsTheBatch) {
  const std::vector<float> logits{1, -2, 3, -1}, targets{1, 0, 0, 0};
  const LossValues ce = loss_of_logits("ce", logits, targets),
                   kept = loss_of_logits("ohem:ratio=1", logits, targets),
                   two = loss_of_logits("ohem:ratio=2", logits, targets);
  EXPECT_EQ(kept.value, (std::vector<float>{ce.value[0], 0, ce.value[2], 0}));
  EXPECT_EQ(two.gradient, (std::vector<float>{ce.gradient[0], 0, ce.gradient[2], ce.gradient[3]}));
  EXPECT_NEAR(loss_of_logits("class_balanced:effective_beta=0", logits, targets).value[2],
              ce.value[2], 1e-6);
}

TEST(LossesApi, KeysTargetsAndStatesCount) {
  EXPECT_EQ(loss_of_logits("focal:gamma=0,alpha=-1", {2}, {1}).value,
            loss_of_logits("ce", {2}, {1}).value);
  EXPECT_FLOAT_EQ(loss_of_logits("balanced_ce:alpha=.8", {0}, {.6f}, {false}).value[0],
                  .2f * std::log(2.f));
  EXPECT_TRUE(loss_of_logits("ghm", {}, {}).value.empty());
  const auto with = [](const char* loss, const std::vector<float>& targets) {
    return refusal([&] { loss_of_logits(loss, {1, 2}, targets); });
  };
  EXPECT_NE(with("nothing", {0, 1}).find("nothing"), std::string::npos);
  EXPECT_NE(with("focal:beta=2", {0, 1}).find("no key 'beta'"), std::string::npos);
  EXPECT_NE(with("focal:gamma=-2", {0, 1}), "");
  EXPECT_NE(with("softmax", {0, 1}), "");
  EXPECT_NE(with("focal", {.5f, 1}).find("quality_focal"), std::string::npos);
  EXPECT_NE(with("ce", {2, 1}).find("target 0 is 2"), std::string::npos);
  EXPECT_NE(with("ce", {NAN, 1}), "");
  EXPECT_NE(with("ce", {1}).find("2 logits, but 1 target"), std::string::npos);
}

TEST(LossesApi, OfClassesAreThoseOfTheListAndTheirGradientsDerivatives) {
  const std::vector<float> logits{.5f, -1, 2, 0, 3, -2};
  const std::vector<std::int32_t> own{2, 0};
  ASSERT_EQ(class_loss_names(), names_of<ClassLoss>());
  const auto sum = [](const LossValues& l) { return double{l.value[0]} + l.value[1]; };
  for (const std::string& name : class_loss_names()) {
    SCOPED_TRACE(name);
    const LossValues computed = loss_of_classes(name, logits, 3, own);
    ASSERT_EQ(computed.value.size(), 2u);
    ASSERT_EQ(computed.gradient.size(), 6u);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      constexpr float kStep = 1.f / 64;
      std::vector<float> above = logits, below = logits;
      above[i] += kStep, below[i] -= kStep;
      const double slope =
          (sum(loss_of_classes(name, above, 3, own)) - sum(loss_of_classes(name, below, 3, own))) /
          (2 * kStep);
      EXPECT_NEAR(computed.gradient[i], slope, 3e-4 + 3e-3 * std::abs(slope)) << i;
    }
  }
  const double z = std::exp(.5) + std::exp(-1.) + std::exp(2.);
  EXPECT_NEAR(loss_of_classes("softmax", logits, 3, own).value[0], -std::log(std::exp(2.) / z),
              1e-6);
  EXPECT_EQ(loss_of_classes("equalized_focal", logits, 3, own).gradient,
            loss_of_classes("focal", logits, 3, own).gradient);
  EXPECT_NE(refusal([&] {
              loss_of_classes("ce", logits, 3, {1, 3});
            }).find("true class 3"),
            std::string::npos);
  EXPECT_NE(refusal([&] { loss_of_classes("ce", logits, 4, {1}); }), "");
  EXPECT_NE(refusal([&] { loss_of_classes("ce", logits, 0, {}); }), "");
  EXPECT_NE(refusal([&] { loss_of_classes("ohem", logits, 3, own); }), "");
}

}  // namespace
}  // namespace darknet::test
