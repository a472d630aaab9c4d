// obj_calibrate: the probability of an object for which a loss gives a prediction, against a
// numerical minimiser of the expected loss; and heads that output it.
#include "losses/posterior.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/math.h"
#include "core/rng.h"
#include "losses/losses.h"
#include "losses/objectness.h"
#include "nn/network.h"

namespace darknet {
namespace {

// Every loss with its defaults, and the corners of their keys.
std::vector<LogitLoss> sampled_losses() {
  const auto defaults = all_of<LogitLoss>();
  std::vector<LogitLoss> all(defaults.begin(), defaults.end());
  for (const float gamma : {0.f, .5f, 1.f, 5.f, 8.f})
    for (const float alpha : {-1.f, .25f, .9f}) all.push_back(losses::Focal{gamma, alpha});
  all.push_back(losses::BalancedCrossEntropy{.1f});
  all.push_back(losses::Poly1{0, -1, -1});
  all.push_back(losses::Poly1{2, .25f, 10});
  all.push_back(losses::FocalStar{.5f, -2});
  all.push_back(losses::FocalStar{6, 4});
  all.push_back(losses::Varifocal{.3f, 0});
  all.push_back(losses::Asymmetric{1, 2, 0});
  std::erase_if(all, [](const LogitLoss& l) { return !has_posterior(l, {}); });
  return all;
}

double expected_loss(const LogitLoss& loss, double x, double eta, const PosteriorWeights& w) {
  return std::visit(
      [&](const auto& l) {
        return eta * static_cast<double>(w.positive) * l.value(x, 1., true) +
               (1 - eta) * static_cast<double>(w.negative) * l.value(x, 0., false);
      },
      loss);
}

// By golden sections of its values alone: no gradient is used. It falls and then rises.
double minimiser(const LogitLoss& loss, double eta, const PosteriorWeights& w) {
  const double ratio = (std::sqrt(5.) - 1) / 2;
  double low = -30, high = 30;
  for (int i = 0; i < 120; ++i) {
    const double a = high - ratio * (high - low), b = low + ratio * (high - low);
    expected_loss(loss, a, eta, w) < expected_loss(loss, b, eta, w) ? high = b : low = a;
  }
  return (low + high) / 2;
}

template <class T>
T posterior_of(const LogitLoss& loss, T x, const PosteriorWeights& w = {}) {
  return std::visit([&](const auto& l) { return posterior(l, x, w); }, loss);
}

TEST(Posterior, InvertsTheMinimiserOfTheExpectedLoss) {
  for (const LogitLoss& loss : sampled_losses())
    for (const PosteriorWeights& w : {PosteriorWeights{}, PosteriorWeights{5, .5f}})
      for (const double eta : {.001, .01, .05, .2, .5, .8, .95, .99}) {
        const double x = minimiser(loss, eta, w);
        EXPECT_NEAR(posterior_of(loss, x, w), eta, 2e-5 + 1e-4 * std::min(eta, 1 - eta))
            << name_of(loss) << " at " << x;
      }
}

// Background near p = 1 pulls less than objects do there: no prediction stands for a high share.
TEST(Posterior, IsMissingWhereOneSideDoesNotPull) {
  EXPECT_EQ(sampled_losses().size(), 8u + 22);  // all but asymmetric and those of their batch
  EXPECT_FALSE(has_posterior(losses::Asymmetric{}, {}));
  EXPECT_TRUE(has_posterior(losses::Asymmetric{0, 4, 0}, {}));
  EXPECT_FALSE(has_posterior(losses::Focal{2, 0}, {}));
  EXPECT_FALSE(has_posterior(losses::Focal{2, 1}, {}));
  EXPECT_FALSE(has_posterior(losses::CrossEntropy{}, {.positive = 0}));
}

// The table of docs/loss-math.md, read backwards.
TEST(Posterior, OfFocalLossIsAsDocumented) {
  const auto logit = [](double p) { return std::log(p / (1 - p)); };
  const LogitLoss alpha{losses::Focal{2, .25f}}, plain{losses::Focal{2, -1}};
  EXPECT_NEAR(posterior_of(alpha, logit(.108)), .01, 2e-4);
  EXPECT_NEAR(posterior_of(alpha, logit(.227)), .1, 1e-3);
  EXPECT_NEAR(posterior_of(alpha, logit(.786)), .99, 1e-3);
  EXPECT_NEAR(posterior_of(plain, logit(.694)), .9, 1e-3);
  EXPECT_NEAR(posterior_of(plain, 0.), .5, 1e-12);
}

TEST(Posterior, OfCrossEntropyIsTheProbabilityItself) {
  // exp_of_negative() has 4e-7, math::sigmoid() rounds too.
  for (float x = -80; x <= 80; x += .37f)
    EXPECT_NEAR(posterior_of(LogitLoss(losses::CrossEntropy{}), x), math::sigmoid(x),
                6e-7f * math::sigmoid(x));
}

TEST(Posterior, IsTheInverseOfTheStationaryPrior) {
  for (const double eta : {.0005, .01, .3}) {
    const LogitLoss loss{losses::Focal{2, .25f}};
    const Balance balance{.eta = eta, .weight_positive = 3, .weight_negative = .7};
    const float zero = 0;
    EXPECT_NEAR(posterior_of(loss, balancing_offset(loss, {&zero, 1}, balance), {3, .7f}), eta,
                1e-6 * eta);
  }
}

// Rising, within 0 and 1, finite for every finite logit, and as accurate as single precision.
TEST(Posterior, RisesAndIsAccurateInSinglePrecision) {
  for (const LogitLoss& loss : sampled_losses()) {
    float last = 0;
    for (float x = -100; x <= 100; x += .05f) {
      const float eta = posterior_of(loss, x);
      const double exact = posterior_of(loss, static_cast<double>(x));
      ASSERT_TRUE(eta >= 0 && eta <= 1) << name_of(loss) << " at " << x;
      EXPECT_GE(eta, last * (1 - 2e-5f) - 1e-20f) << name_of(loss) << " at " << x;
      EXPECT_NEAR(eta, exact, 1e-5 * std::max(exact, 1e-6)) << name_of(loss) << " at " << x;
      last = eta;
    }
    for (const float x : {-3e38f, 3e38f, -700.f, 700.f})
      EXPECT_EQ(posterior_of(loss, x), x < 0 ? 0 : 1) << name_of(loss) << " at " << x;
  }
}

// What has blown up must be seen to.
TEST(Posterior, LeavesNotANumberAsItIs) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const LogitLoss& loss : sampled_losses()) {
    EXPECT_TRUE(std::isnan(posterior_of(loss, std::nanf("")))) << name_of(loss);
    EXPECT_TRUE(std::isnan(posterior_of(loss, std::nan("")))) << name_of(loss);
    EXPECT_EQ(posterior_of(loss, kInfinity), 1) << name_of(loss);
    EXPECT_EQ(posterior_of(loss, -kInfinity), 0) << name_of(loss);
  }
}

// Heads.

std::string head_cfg(const std::string& type, const std::string& keys) {
  const bool yolo = type == "yolo";
  return cat("[net]\nbatch=2\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nfilters=14\n",
             "size=3\nstride=8\npad=1\nactivation=linear\n[", type,
             "]\nnum=2\nclasses=2\nanchors=", yolo ? "8,8, 16,12" : "1,1, 2,1.5",
             yolo ? "\n" : "\nbias_match=1\nsoftmax=1\n", keys);
}

struct Ran {
  std::vector<float> outputs;
  std::vector<std::int64_t> objectness;
  double loss = 0;  // training
};

Ran run(const std::string& type, const std::string& keys, Mode mode) {
  std::istringstream in(head_cfg(type, keys));
  Network net(parse_cfg(in, "x.cfg"), {.mode = mode, .batch = 2, .seed = 4});
  net.initialise();
  Parameter* const weights = net.parameters().back();
  std::vector<float> large = weights->value.to_host({});
  for (float& v : large) v *= 6;  // logits that differ
  weights->value.copy_from({}, large);
  net.parameters_changed();
  Rng rng(2);
  for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
    static_cast<float*>(net.input().data)[i] = rng.uniform(0, 1);
  const std::int64_t capacity = net.layer(0).context().truths;
  std::vector<Truth> truths(to_size(2 * capacity), {{.4f, .6f, .3f, .3f}, 1});
  const std::vector<std::int32_t> counts{1, 1};
  const StepState step{{.iteration = 1, .images_seen = 100000}};
  Pass pass{.stream = net.stream(), .mode = mode, .step = &step};
  if (mode == Mode::training) pass.truths = {truths.data(), counts.data(), 2, capacity};
  net.forward(pass);
  const HeadAt at = net.heads().front();
  return {to_host(net.stream(), net.output(at.layer)), at.head->objectness_channels(),
          mode == Mode::training ? at.head->telemetry(net.stream()).loss() : 0};
}

constexpr const char* kFocal = "obj_loss=focal\nobj_target=one\nobj_gamma=2\nobj_alpha=.25\n";

TEST(ObjCalibrate, HeadsOutputThePosteriorAndNothingElseChanges) {
  for (const char* type : {"yolo", "region"}) {
    const std::string scales = type == std::string("region") ? "object_scale=5\n" : "";
    const PosteriorWeights w{scales.empty() ? 1.f : 5.f, 1};
    const Ran plain = run(type, kFocal + scales, Mode::inference);
    const Ran calibrated = run(type, kFocal + scales + "obj_calibrate=1\n", Mode::inference);
    ASSERT_EQ(plain.outputs.size(), calibrated.outputs.size());
    double spread = 0;
    for (std::size_t i = 0; i < plain.outputs.size(); ++i) {
      const auto channel = static_cast<std::int64_t>(i % 14);
      if (std::ranges::find(plain.objectness, channel) == plain.objectness.end()) {
        EXPECT_EQ(plain.outputs[i], calibrated.outputs[i]) << type << " channel " << channel;
        continue;
      }
      const double p = plain.outputs[i], x = std::log(p / (1 - p));
      EXPECT_NEAR(calibrated.outputs[i], posterior_of(LogitLoss(losses::Focal{2, .25f}), x, w),
                  1e-4)
          << type;
      spread = std::max(spread, std::abs(p - static_cast<double>(calibrated.outputs[i])));
    }
    EXPECT_GT(spread, .05) << type << ": the test needs probabilities that the map moves";
  }
}

TEST(ObjCalibrate, ChangesNoTraining) {
  for (const char* type : {"yolo", "region"}) {
    const Ran plain = run(type, kFocal, Mode::training);
    const Ran calibrated = run(type, std::string(kFocal) + "obj_calibrate=1\n", Mode::training);
    EXPECT_EQ(plain.outputs, calibrated.outputs) << type;
    EXPECT_EQ(plain.loss, calibrated.loss) << type;
  }
}

std::string refusal(const std::string& type, const std::string& keys, Mode mode) try {
  run(type, keys, mode);
  return "";
} catch (const Error& e) {
  return e.what();
}

TEST(ObjCalibrate, IsRefusedWhereNoProbabilityFollows) {
  for (const Mode mode : {Mode::training, Mode::inference}) {
    EXPECT_EQ(refusal("yolo", "obj_loss=quality_focal\nobj_target=iou\nobj_calibrate=1\n", mode),
              "x.cfg:18: [yolo] obj_calibrate: obj_calibrate=1 needs hard targets: where they are "
              "an IoU, the objectness is not the probability of an object; use obj_target=one");
    EXPECT_NE(refusal("yolo", "obj_loss=asymmetric\nobj_calibrate=1\n", mode), "");
    EXPECT_NE(refusal("region", "obj_loss=ce\nrescore=1\nobj_calibrate=1\n", mode), "");
    for (const char* alpha : {"0", "1"})
      EXPECT_NE(
          refusal("yolo", cat("obj_loss=focal\nobj_calibrate=1\nobj_alpha=", alpha, "\n"), mode)
              .find("it has no gradient of objects, or none of background"),
          std::string::npos)
          << alpha;
    // The loss is used at inference too, so a value that it does not allow is no warning there.
    EXPECT_NE(refusal("yolo", "obj_loss=focal\nobj_calibrate=1\nobj_gamma=-3\n", mode), "");
  }
  EXPECT_EQ(refusal("yolo", "obj_loss=focal\nobj_gamma=-3\n", Mode::inference), "");
}

}  // namespace
}  // namespace darknet
