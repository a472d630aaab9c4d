// The start of the objectness: offsets that balance given logits, the ratio of gradients between
// losses, and what a fresh network's first pass then shows.
#include "train/objectness_start.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/math.h"
#include "core/rng.h"
#include "losses/objectness.h"
#include "train/host_to_device.h"

namespace darknet::test {
namespace {

LogitLoss focal(float gamma, float alpha) {
  losses::Focal f;
  f.gamma = gamma, f.alpha = alpha;
  return f;
}

float normal(Rng& rng) {  // Box and Muller
  return std::sqrt(-2 * std::log(rng.uniform(1e-7f, 1))) * std::cos(rng.uniform(0, 6.2831853f));
}

double mean_gradient(const LogitLoss& loss, std::span<const float> logits, double offset,
                     bool positive) {
  double sum = 0;
  for (const float x : logits)
    sum += std::visit(
        [&](const auto& l) { return l.gradient(x + offset, positive ? 1. : 0., positive); }, loss);
  return sum / static_cast<double>(logits.size());
}

TEST(BalancingOffset, BalancesTheMeanGradientsOfSpreadLogits) {
  Rng rng(5);
  std::vector<float> logits(2000);
  for (float& x : logits) x = normal(rng);
  for (const LogitLoss& loss : {LogitLoss(losses::CrossEntropy{}), focal(2, .25f), focal(1, .5f)}) {
    const Balance balance{.eta = .002, .weight_positive = 5, .weight_negative = .5};
    const double b = balancing_offset(loss, logits, balance);
    const double positive = .002 * 5 * mean_gradient(loss, logits, b, true),
                 negative = .998 * .5 * mean_gradient(loss, logits, b, false);
    EXPECT_NEAR(positive + negative, 0, 1e-9 * std::abs(positive));
    // Logits of deviation 1 raise the background's gradient, so the offset lies below that of p*.
    const float zero = 0;
    EXPECT_LT(b, balancing_offset(loss, {&zero, 1}, balance) - .3);
  }
}

// exp((1 + gamma)^2 s^2 / 2) in docs/loss-math.md, where p is small.
TEST(BalancingOffset, SpreadLogitsRaiseTheBackgroundsGradientAsDocumented) {
  Rng rng(6);
  std::vector<float> logits(400'000);
  for (float& x : logits) x = .5f * normal(rng);
  const std::vector<float> equal{0};
  for (const float gamma : {0.f, 1.f, 2.f}) {
    const double ratio = mean_gradient(focal(gamma, -1), logits, -9, false) /
                         mean_gradient(focal(gamma, -1), equal, -9, false);
    const double expected = std::exp((1 + gamma) * (1 + gamma) * .25 / 2);
    EXPECT_NEAR(ratio, expected, .05 * expected) << gamma;
  }
}

TEST(GradientRatio, IsWhatTheFactsSay) {
  for (const double eta : {.0005, .002, .01}) {
    EXPECT_DOUBLE_EQ(gradient_ratio(losses::CrossEntropy{}, {.eta = eta}), 1);
    EXPECT_NEAR(gradient_ratio(focal(2, .25f), {.eta = eta}), 3.6, .15);
    EXPECT_NEAR(gradient_ratio(focal(2, .5f), {.eta = eta}), 1.85, .1);
    EXPECT_NEAR(gradient_ratio(focal(1, .5f), {.eta = eta}), 1.9, .1);
    losses::BalancedCrossEntropy balanced;
    EXPECT_NEAR(gradient_ratio(balanced, {.eta = eta}), 1.33, .05);
  }
}

// One head on each of two convolutions; the second is normalised, so its scales make the logits.
std::string two_heads(const std::string& keys) {
  const auto head = [&](const char* type, const char* anchors, const char* more) {
    return cat("[convolutional]\n", more, "filters=12\nsize=1\nactivation=linear\n[", type,
               "]\nanchors=", anchors, "\nnum=2\nclasses=1\nbias_match=1\n", keys);
  };
  std::string region = head("region", "1,1, 2,2", "batch_normalize=1\n"),
              yolo = head("yolo", "8,8, 16,16", "");
  yolo.erase(yolo.find("bias_match=1\n"), 13);
  return cat("[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nchannels=3\n[convolutional]\n",
             "batch_normalize=1\nfilters=16\nsize=3\nstride=8\npad=1\nactivation=leaky\n", yolo,
             "[route]\nlayers=0\n", region);
}

constexpr std::int64_t kImages = 4;

class ObjectnessStartTest : public testing::Test {
 protected:
  ObjectnessStartTest() {
    for (float x = .1f; x < .8f; x += .2f) truths_.push_back({{{x, .5f, .13f, .13f}, 0}});
    for (const auto& image : truths_) {
      labelled_.truths.push_back(image);
      labelled_.images.push_back("x.png");
    }
  }
  Batch batch() const {
    Rng rng(3);
    Batch b{.size = {64, 64}, .pixels = std::vector<float>(to_size(kImages * 64 * 64 * 3))};
    for (float& v : b.pixels) v = rng.uniform(0, 1);
    b.truths = truths_;
    return b;
  }
  Network network(const std::string& keys, std::uint64_t seed = 1) const {
    std::istringstream in(two_heads(keys));
    Network net(parse_cfg(in, "x.cfg"), {.mode = Mode::training, .seed = seed});
    net.initialise();
    return net;
  }
  std::vector<StartReport> start(Network& net, std::int64_t loaded = 0) {
    return start_objectness(
        net, labelled_, [this] { return batch(); }, loaded);
  }
  // The objectness logits of each head in a training pass over the batch.
  std::vector<std::vector<float>> logits(Network& net) const { return logits(net, batch()); }
  static std::vector<std::vector<float>> logits(Network& net, const Batch& b) {
    std::vector<std::vector<float>> all(net.heads().size());
    HostToDevice inputs(net);
    for (std::int64_t first = 0; first < kImages; first += net.input_shape().n) {
      inputs.send({b.pixels, b.truths}, first, {.iteration = 1});
      net.forward({.stream = net.stream(), .mode = Mode::training, .input = inputs.input()});
      for (std::size_t h = 0; h < all.size(); ++h) {
        const TensorView view = net.output(net.heads()[h].layer);
        const auto out = to_host(net.stream(), view);
        for (std::size_t i = 0; i < out.size(); i += to_size(view.shape.c))
          for (const std::int64_t c : net.heads()[h].head->objectness_channels()) {
            const double p = out[i + to_size(c)];
            all[h].push_back(static_cast<float>(std::log(p / (1 - p))));
          }
      }
    }
    return all;
  }
  static double mean(const std::vector<float>& v) {
    return std::accumulate(v.begin(), v.end(), 0.) / static_cast<double>(v.size());
  }
  static double deviation(const std::vector<float>& v) {
    double squares = 0;
    for (const float x : v) squares += (x - mean(v)) * (x - mean(v));
    return std::sqrt(squares / static_cast<double>(v.size()));
  }

  std::vector<std::vector<Truth>> truths_;
  LabelledImages labelled_;
};

TEST_F(ObjectnessStartTest, ScalesTheLogitsOfEveryHeadAndBalancesThem) {
  Network net = network("obj_loss=focal\nobj_target=one\nobj_prior=auto\nobj_init=auto\n");
  const auto before = logits(net);
  const auto reports = start(net);
  const auto after = logits(net);
  ASSERT_EQ(reports.size(), 2u);
  for (std::size_t h = 0; h < 2; ++h) {
    EXPECT_GT(deviation(before[h]), .25) << "the test needs logits to be scaled";
    EXPECT_NEAR(reports[h].deviation_before, deviation(before[h]), 1e-3);
    EXPECT_NEAR(deviation(after[h]), .2, 1e-3);
    const Head& head = *net.heads()[h].head;
    EXPECT_GT(reports[h].eta, 0);
    // The bias was solved on these logits: nothing is left to add.
    EXPECT_NEAR(head.balancing_offset(after[h], reports[h].eta), 0, 2e-3);
    double p = 0;
    for (const float x : after[h]) p += math::sigmoid(x) / static_cast<double>(after[h].size());
    EXPECT_NEAR(reports[h].p, p, 1e-4);
  }
}

TEST_F(ObjectnessStartTest, ChangesNothingElseAndIsDeterministic) {
  const std::string keys = "obj_loss=focal\nobj_target=one\nobj_prior=auto\nobj_init=auto\n";
  Network plain = network(""), first = network(keys), second = network(keys);
  start(first), start(second);
  const auto a = plain.parameters(), b = first.parameters(), c = second.parameters();
  int changed = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto untouched = a[i]->value.to_host({}), once = b[i]->value.to_host({});
    EXPECT_EQ(once, c[i]->value.to_host({}));
    changed += untouched != once;
  }
  EXPECT_EQ(changed, 4);  // bias and weights below [yolo], bias and scales below [region]
}

TEST_F(ObjectnessStartTest, ZeroMakesAllLogitsEqualToTheirPrior) {
  Network net = network("obj_loss=focal\nobj_target=one\nobj_prior=auto\nobj_init=0\n");
  const auto reports = start(net);
  const auto after = logits(net);
  const float zero = 0;
  for (std::size_t h = 0; h < 2; ++h) {
    EXPECT_NEAR(deviation(after[h]), 0, 1e-6);
    EXPECT_NEAR(mean(after[h]), net.heads()[h].head->balancing_offset({&zero, 1}, reports[h].eta),
                1e-4);
  }
}

TEST_F(ObjectnessStartTest, ANumberIsTheMeanProbability) {
  Network net = network("obj_loss=focal\nobj_target=one\nobj_prior=.03\nobj_init=.5\n");
  start(net);
  for (const auto& head : logits(net)) {
    double p = 0;
    for (const float x : head) p += math::sigmoid(x) / static_cast<double>(head.size());
    EXPECT_NEAR(p, .03, 1e-4);
    EXPECT_NEAR(deviation(head), .5, 2e-3);
  }
}

// [detection] on a [connected]: 4 cells' 3 class scores, then their 2 objectness, then boxes.
TEST_F(ObjectnessStartTest, OfDetectionChangesTheRowsOfItsObjectnessAlone) {
  const auto made = [](const std::string& keys) {
    std::istringstream in(
        cat("[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nchannels=3\n[avgpool]\n"
            "[connected]\noutput=52\nactivation=linear\n"
            "[detection]\nside=2\nnum=2\nclasses=3\nobj_loss=ce\n",
            keys));
    Network net(parse_cfg(in, "x.cfg"), {.mode = Mode::training, .seed = 1});
    net.initialise();
    return net;
  };
  Network plain = made(""), net = made("obj_prior=.03\nobj_init=.5\n");
  const auto reports = start(net);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].skipped, "");
  EXPECT_NEAR(reports[0].deviation, .5, 1e-3);
  EXPECT_NEAR(reports[0].p, .03, 1e-4);
  const auto a = plain.parameters(), b = net.parameters();
  ASSERT_EQ(a.size(), 2u);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto before = a[i]->value.to_host({}), after = b[i]->value.to_host({});
    for (std::size_t k = 0; k < before.size(); ++k) {
      const std::size_t row = k / (before.size() / 52);
      EXPECT_EQ(before[k] != after[k], row >= 12 && row < 20) << i << ' ' << k;
    }
  }
}

// 27,648 logits of a head: more than the bias is solved on.
TEST_F(ObjectnessStartTest, LogitsOfAllAnchorsCountHoweverManyThereAre) {
  Network net = network("obj_loss=focal\nobj_target=one\nobj_prior=auto\nobj_init=1\n");
  const auto large = [] {
    Rng rng(4);
    Batch b{.size = {480, 480}, .pixels = std::vector<float>(to_size(kImages * 480 * 480 * 3))};
    for (float& v : b.pixels) v = rng.uniform(0, 1);
    b.truths.resize(kImages);
    return b;
  };
  const auto reports = start_objectness(net, labelled_, large, 0);
  net.resize(net.input_shape().n, 480, 480);
  const auto after = logits(net, large());
  EXPECT_GT(after[0].size(), 20'000u);
  for (std::size_t h = 0; h < 2; ++h)
    EXPECT_NEAR(net.heads()[h].head->balancing_offset(after[h], reports[h].eta), 0, .02);
}

TEST_F(ObjectnessStartTest, ALossWithoutABalanceIsRefused) {
  for (const char* alpha : {"0", "1"}) {
    Network net = network(
        cat("obj_loss=focal\nobj_target=one\nobj_normalizer=auto\nobj_alpha=", alpha, "\n"));
    EXPECT_THROW(weigh_objectness(net, labelled_), Error) << alpha;
  }
}

// With obj_guided=1 it would learn no objectness, without a word.
TEST_F(ObjectnessStartTest, AGuidedHeadThatNoLabelChoosesIsWarnedOf) {
  const auto reports = [&](const std::string& mask, const std::string& keys) {
    std::istringstream in(
        cat("[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\n[convolutional]\nfilters=6\n"
            "size=8\nstride=8\n[yolo]\nanchors=8,8, 16,16\nnum=2\nclasses=1\nmask=",
            mask, "\n", keys));
    Network net(parse_cfg(in, "x.cfg"), {.mode = Mode::training});
    return weigh_objectness(net, labelled_);
  };
  EXPECT_TRUE(reports("0", "obj_guided=1\n").empty());  // labels of 8x8 pixels
  EXPECT_TRUE(reports("1", "").empty());
  const auto warned = reports("1", "obj_guided=1\n");
  ASSERT_EQ(warned.size(), 1u);
  EXPECT_TRUE(warned[0].warning);
  EXPECT_EQ(warned[0].text,
            "layer 1 [yolo] (x.cfg:10): obj_guided=1: no training label is positive in this head, "
            "so it has no box loss, and its objectness learns nothing; remove obj_guided from it, "
            "or give it other anchors");
}

TEST_F(ObjectnessStartTest, LoadedLayersStayAsTheyAre) {
  Network net = network("obj_loss=focal\nobj_target=one\nobj_prior=auto\nobj_init=auto\n");
  const auto reports = start(net, 2);
  EXPECT_NE(reports[0].skipped, "");
  EXPECT_EQ(reports[1].skipped, "");
  EXPECT_NEAR(deviation(logits(net)[1]), .2, 1e-3);
  EXPECT_GT(deviation(logits(net)[0]), .25);
}

TEST_F(ObjectnessStartTest, AutomaticNormalizerMultipliesTheLossByItsRatio) {
  const auto loss_of = [&](const std::string& keys) {
    Network net = network("obj_loss=focal\nobj_target=one\n" + keys);
    weigh_objectness(net, labelled_);
    const Batch b = batch();
    HostToDevice inputs(net);
    inputs.send({b.pixels, b.truths}, 0, {.iteration = 1});
    const StepState step;
    net.forward({.stream = net.stream(),
                 .mode = Mode::training,
                 .step = &step,
                 .truths = inputs.truths(),
                 .input = inputs.input()});
    const HeadTelemetry t = net.heads()[0].head->telemetry(net.stream());
    return t.objectness_loss_positive;
  };
  const double plain = loss_of(""), automatic = loss_of("obj_normalizer=auto\n"),
               twice = loss_of("obj_normalizer=auto*2\n");
  ASSERT_GT(plain, 0);
  EXPECT_NEAR(automatic / plain, 3.6, .2);
  EXPECT_NEAR(twice / automatic, 2, 1e-5);
}

TEST(NumberOrAuto, IsReadAndRefused) {
  const auto refused = [](const std::string& line) {
    std::istringstream in(
        "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=6\nsize=1\nstride=8\n"
        "[yolo]\nnum=1\nclasses=1\nanchors=8,8\n" +
        line);
    try {
      Network(parse_cfg(in, "x.cfg"), {.mode = Mode::training});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(refused("obj_normalizer=auto*.5\nobj_init=auto\n"), "");
  EXPECT_EQ(refused("obj_normalizer=auto*\n"),
            "x.cfg:12: [yolo] obj_normalizer: expected auto, auto*NUMBER or a number, got 'auto*'");
  EXPECT_EQ(refused("obj_init=auto*2\n"),
            "x.cfg:12: [yolo] obj_init: expected auto or a number, got 'auto*2'");
  EXPECT_NE(refused("obj_init=11\n"), "");
  EXPECT_NE(refused("obj_normalizer=auto*-1\n"), "");
  EXPECT_NE(refused("obj_loss=mse\nobj_normalizer=auto\n").find("obj_normalizer=auto is not for"),
            std::string::npos);
}

using FirstStep = CliTest;

TEST_F(FirstStep, SaysTheShareOfThePositivesAndWarnsWhereItIsSmall) {
  const auto first = [&](const std::string& init) {
    return train({"-max_batches", "1", "-clear", "-set", "yolo.*.obj_loss=focal", "-set",
                  "yolo.*.obj_target=one", "-set", "yolo.*.obj_prior=auto", "-set",
                  "yolo.*.obj_init=" + init});
  };
  const CommandResult wide = first("8"), balanced = first("auto");
  EXPECT_EQ(wide.exit_code, 0) << wide.all();
  EXPECT_NE(wide.err.find("of the objectness gradient of the first step; background"),
            std::string::npos)
      << wide.all();
  EXPECT_NE(balanced.out.find("positives make 0."), std::string::npos) << balanced.all();
  EXPECT_EQ(balanced.err.find("; background"), std::string::npos) << balanced.all();
}

}  // namespace
}  // namespace darknet::test
