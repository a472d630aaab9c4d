// Maps of confidences: what a fit finds, what it does to the calibration error, thresholds, and the
// file that keeps one.
#include "eval/recalibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/math.h"
#include "core/rng.h"
#include "eval/calibration_file.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {

float logit(float p) { return std::log(p / (1 - p)); }

// Detections whose confidence is sigmoid(t logit(precision)).
std::vector<MatchedClass> distorted(double t, std::int64_t detections, std::int64_t images) {
  Rng rng(12);
  MatchedClass one;
  one.truths_of_image.resize(static_cast<std::size_t>(images));
  for (std::int64_t i = 0; i < detections; ++i) {
    const float precision = rng.uniform(.02f, .98f);
    const auto score = static_cast<float>(math::sigmoid(t * static_cast<double>(logit(precision))));
    one.ranked.push_back(
        {.score = score, .hit = rng.uniform(0, 1) < precision, .image = rng.below(images)});
  }
  return {one};
}

TEST(Recalibration, FindsTheTemperatureAndMendsTheError) {
  for (const double temperature : {2.5, .5}) {
    const auto classes = distorted(temperature, 40000, 50);
    const Recalibration r = recalibrate(classes, CalibrationMethod::temperature, .01);
    EXPECT_NEAR(r.map.temperature(), temperature, .03 * temperature);
    EXPECT_GT(r.before.error, .05);
    EXPECT_LT(r.after.error, .012);
    EXPECT_EQ(r.images, 50);
    EXPECT_EQ(r.before.detections, r.after.detections);
    EXPECT_EQ(r.before.detections, r.detections);
  }
}

TEST(Recalibration, IsotonicMendsWhatNoTemperatureDoes) {
  auto classes = distorted(1, 40000, 50);
  for (MatchedDetection& d : classes[0].ranked) d.score = d.score * d.score;  // too modest
  const Recalibration one = recalibrate(classes, CalibrationMethod::temperature, .01);
  const Recalibration curve = recalibrate(classes, CalibrationMethod::isotonic, .01);
  EXPECT_GT(one.after.error, .03);
  EXPECT_LT(curve.after.error, .012);
  EXPECT_NEAR(curve.map(.25f), .5, .03);
}

// Each half is measured by the fit to the other: a curve that learns single detections by heart
// looks perfect on them and does not help on others.
TEST(Recalibration, ErrorAfterIsOfImagesThatTheFitDidNotSee) {
  Rng rng(3);
  MatchedClass one;
  one.truths_of_image.resize(2);
  for (int i = 0; i < 400; ++i)
    one.ranked.push_back({.score = .5f + .0005f * static_cast<float>(i),
                          .hit = i % 2 == 0 ? i >= 200 : rng.uniform(0, 1) < .5f,
                          .image = i % 2});
  const Recalibration r = recalibrate({&one, 1}, CalibrationMethod::isotonic, 0);
  EXPECT_GT(r.after.error, .2);
}

// Frames of two videos, one after the other: nine in ten detections of one are hits, of the
// other one in ten. No fit to one of them holds for the other, as a fit to every second frame
// would.
TEST(Recalibration, NeighboursInTheListAreOfOneHalf) {
  constexpr std::int64_t kImages = 40;
  MatchedClass one;
  one.truths_of_image.resize(kImages);
  for (std::int64_t image = 0; image < kImages; ++image)
    for (int k = 0; k < 10; ++k)
      one.ranked.push_back(
          {.score = .6f, .hit = k < (2 * image < kImages ? 9 : 1), .image = image});
  const Recalibration r = recalibrate({&one, 1}, CalibrationMethod::isotonic, 0);
  EXPECT_NEAR(r.before.error, .1, 1e-6);
  EXPECT_NEAR(r.after.error, .8, 1e-6);
}

TEST(Recalibration, IsotonicPoolsAdjacentViolators) {
  const ConfidenceMap map =
      fit_confidences({{.1f, false}, {.2f, true}, {.3f, false}, {.4f, true}, {.4f, true}},
                      CalibrationMethod::isotonic);
  ASSERT_EQ(map.knots().size(), 3u);
  EXPECT_NEAR(map.knots()[1].confidence, .25, 1e-6);
  EXPECT_NEAR(map.knots()[1].precision, .5, 1e-12);
  EXPECT_NEAR(map(.1f), 0, 1e-6);
  EXPECT_NEAR(map(.4f), 1, 1e-6);
  EXPECT_NEAR(map(.175f), .25, 1e-6);
}

TEST(Recalibration, NeedsHitsAndMisses) {
  for (const CalibrationMethod m : {CalibrationMethod::temperature, CalibrationMethod::isotonic}) {
    EXPECT_THROW(fit_confidences({}, m), Error);
    EXPECT_THROW(fit_confidences({{.5f, true}, {.7f, true}}, m), Error);
    EXPECT_THROW(fit_confidences({{.5f, false}}, m), Error);
  }
}

TEST(ConfidenceMap, LeavesConfidencesAsTheyAreWithoutAFit) {
  const ConfidenceMap map;
  for (const float p : {0.f, .005f, .3f, 1.f, 1.5f}) {
    EXPECT_EQ(map(p), p);
    EXPECT_EQ(map.lower_bound(p), p);
  }
}

TEST(ConfidenceMap, RisesAndItsLowerBoundLosesNothing) {
  const ConfidenceMap maps[] = {ConfidenceMap::of_temperature(3), ConfidenceMap::of_temperature(.2),
                                ConfidenceMap::of_knots({{.1, 0}, {.3, .05}, {.7, .9}, {.9, .9}})};
  for (const ConfidenceMap& map : maps) {
    for (float p = 0; p < 1; p += .001f) EXPECT_LE(map(p), map(p + .001f));
    EXPECT_EQ(map(0), 0);
    EXPECT_EQ(map(1), 1);
    for (const float threshold : {0.f, .001f, .25f, .5f, .9f, .999f}) {
      const float bound = map.lower_bound(threshold);
      for (float p = 0; p <= 1; p += .0005f)
        EXPECT_TRUE(p > bound || map(p) <= threshold) << p << " at " << threshold;
      EXPECT_TRUE(bound == 0 || map(bound + 1e-3f) > threshold - 1e-6f) << "needlessly low";
    }
  }
}

TEST(ConfidenceMap, RefusesWhatIsNoRisingMap) {
  for (const double t : {0., -1., std::nan(""), 1. / 0.})
    EXPECT_THROW(ConfidenceMap::of_temperature(t), Error);
  EXPECT_THROW(ConfidenceMap::of_knots({}), Error);
  EXPECT_THROW(ConfidenceMap::of_knots({{.5, .5}, {.5, .6}}), Error);
  EXPECT_THROW(ConfidenceMap::of_knots({{.5, .5}, {.6, .4}}), Error);
  EXPECT_THROW(ConfidenceMap::of_knots({{.5, 1.5}}), Error);
  EXPECT_THROW(ConfidenceMap::of_knots({{.5, std::nan("")}}), Error);
}

class CalibrationFile : public testing_files::InFolder {
 protected:
  std::string refusal(const CalibratedNetwork& network) const {
    return testing_files::error_of([&] { read_calibration(file_, network); });
  }
  std::filesystem::path file_ = calibration_path(folder_ / "x_best.weights");
  CalibratedNetwork network_{.weights = 0xFEDCBA9876543210u, .obj_calibrate = {false, true}};
};

TEST_F(CalibrationFile, KeepsTheMap) {
  EXPECT_EQ(file_.filename(), "x_best.calibration.json");
  for (const ConfidenceMap& map : {ConfidenceMap::of_temperature(1.7320508075688772),
                                   ConfidenceMap::of_knots({{.1, .05}, {1. / 3, .4}})}) {
    write_calibration(file_, network_, {.map = map});
    const ConfidenceMap read = read_calibration(file_, network_);
    for (float p = 0; p <= 1; p += .01f) EXPECT_EQ(read(p), map(p));
  }
}

TEST_F(CalibrationFile, OfAnotherNetworkIsRefusedWithTheRemedy) {
  EXPECT_EQ(refusal(network_),
            file_.string() + ": there is no such file; darknet detector calibrate writes one");
  write_calibration(file_, network_, {.map = ConfidenceMap::of_temperature(2)});
  EXPECT_EQ(refusal(network_), "");
  CalibratedNetwork other = network_;
  ++other.weights;
  EXPECT_EQ(refusal(other), file_.string() +
                                ": this calibration is of other weights; darknet "
                                "detector calibrate writes one");
  other = network_, other.obj_calibrate = {true, true};
  EXPECT_NE(refusal(other).find("another obj_calibrate"), std::string::npos);
}

TEST_F(CalibrationFile, DamagedIsRefused) {
  write_calibration(file_, network_, {.map = ConfidenceMap::of_temperature(2)});
  const auto sound = parse_json(read_file(file_, 1 << 20));
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, nlohmann::json>>{{"calibration", 2},
                                                           {"temperature", 0},
                                                           {"temperature", 1e300},
                                                           {"temperature", "2"},
                                                           {"temperature", nullptr},
                                                           {"weights_checksum", 7},
                                                           {"curve", nlohmann::json::array()},
                                                           {"curve", {{.5, .5}, {.4, .6}}},
                                                           {"curve", {1, 2}}}) {
    nlohmann::json changed = sound;
    changed[key] = value;
    remove_file(file_);
    write_file_atomically(file_, dump_json(changed));
    EXPECT_NE(refusal(network_), "") << changed;
  }
  remove_file(file_);
  write_file_atomically(file_, "{");
  EXPECT_NE(refusal(network_).find("not a JSON object"), std::string::npos);
}

}  // namespace
}  // namespace darknet
