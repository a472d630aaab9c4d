// Losses that weight an anchor by its batch, and objectness scaled to the box loss: the weights are
// those of the papers, computed here from sorted lists and long-hand sums; gradients are those of
// the weighted losses with the weights held.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "core/index.h"
#include "core/rng.h"
#include "kernels/objectness.h"
#include "losses/objectness.h"
#include "tests/loss_harness.h"

namespace darknet::testing_losses {
namespace {

const LogitLoss kCrossEntropy = losses::CrossEntropy{};

// Anchors of a head with one class, three in a cell, in host memory.
struct Anchors {
  static constexpr AnchorLayout kLayout{.anchors = 3, .entries = 6};
  explicit Anchors(std::int64_t pixels, float share_of_positives = .01f)
      : shape{1, 1, pixels, kLayout.anchors * kLayout.entries},
        logits(to_size(shape.size())),
        gradient(logits.size()),
        records(to_size(pixels * kLayout.anchors)) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      const bool positive = random_uniform(1, 2, i) < share_of_positives;
      records[i] = {.state = positive ? AnchorState::positive : AnchorState::negative,
                    .target = positive ? 1.f : 0.f,
                    .weight = 1,
                    .box_loss = positive ? random_uniform(1, 3, i) : 0};
      x(i) = -6 + 9 * random_uniform(1, 4, i);
    }
  }
  float& x(std::size_t i) { return logits[channel(i)]; }
  float g(std::size_t i) const { return gradient[channel(i)]; }
  static std::size_t channel(std::size_t i) { return i / 3 * 18 + i % 3 * 6 + 4; }

  void apply(const LogitLoss& loss, ObjectnessArguments a = {}, const Stream& s = {}) {
    a.logits = {logits.data(), shape, shape.c};
    a.gradient = {gradient.data(), shape, shape.c};
    a.records = records.data();
    a.layout = kLayout;
    const Buffer scratch({}, objectness_scratch(std::ssize(records)));
    apply_objectness(s, loss, a, scratch.data());
  }
  // What each anchor's cross-entropy is multiplied by.
  std::vector<double> weights(const LogitLoss& loss) {
    apply(loss);
    std::vector<double> all;
    for (std::size_t i = 0; i < records.size(); ++i)
      all.push_back(records[i].objectness_loss / cross_entropy(i));
    return all;
  }
  float cross_entropy(std::size_t i) {
    const AnchorRecord& r = records[i];
    return value(kCrossEntropy, x(i), {r.target, r.state == AnchorState::positive});
  }
  std::vector<std::size_t> of(AnchorState state) const {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < records.size(); ++i)
      if (records[i].state == state) all.push_back(i);
    return all;
  }

  Shape shape;
  std::vector<float> logits, gradient;
  std::vector<AnchorRecord> records;
};

void expect_relative(double got, double right, double tolerance, std::size_t i) {
  EXPECT_NEAR(got, right, tolerance * std::fabs(right)) << "anchor " << i;
}

TEST(ClassBalanced, WeighsStatesByTheirEffectiveNumbers) {
  Anchors anchors(4000);
  const auto positives = anchors.of(AnchorState::positive),
             negatives = anchors.of(AnchorState::negative);
  ASSERT_GT(positives.size(), 20u);
  for (const float beta : {.9f, .999f, .9999f}) {
    const double b = beta;  // as the key is stored
    const auto effective = [&](std::size_t n) {
      double sum = 0, term = 1;
      for (std::size_t k = 0; k < n; ++k, term *= b) sum += term;  // 1 + beta + ... + beta^(n-1)
      return sum;
    };
    const double inverse_p = 1 / effective(positives.size()),
                 inverse_n = 1 / effective(negatives.size()), sum = inverse_p + inverse_n;
    const auto w = anchors.weights(losses::ClassBalanced{{}, beta});
    for (const std::size_t i : positives) expect_relative(w[i], 2 * inverse_p / sum, 1e-5, i);
    for (const std::size_t i : negatives) expect_relative(w[i], 2 * inverse_n / sum, 1e-5, i);
  }
  for (const double w : anchors.weights(losses::ClassBalanced{{}, 0})) EXPECT_EQ(w, 1);
}

// Anchors of each interval of |p - t|, by long-hand division.
std::map<int, std::vector<std::size_t>> intervals(Anchors& anchors, int bins) {
  std::map<int, std::vector<std::size_t>> held;
  for (std::size_t i = 0; i < anchors.records.size(); ++i) {
    const double g = std::fabs(sigmoid(anchors.x(i)) - anchors.records[i].target);
    held[std::min(bins - 1, static_cast<int>(g * bins))].push_back(i);
  }
  return held;
}

TEST(Ghm, GivesEveryIntervalOfGradientsTheSameWeight) {
  Anchors anchors(4000);
  for (const int bins : {1, 10, 30, 32}) {
    const auto held = intervals(anchors, bins);
    const auto w = anchors.weights(losses::Ghm{{}, bins});
    const double positives = static_cast<double>(anchors.of(AnchorState::positive).size());
    std::size_t apart = 0;  // at a border, where float and double may differ
    for (const auto& [bin, members] : held)
      for (const std::size_t i : members) {
        const double right = positives / static_cast<double>(held.size() * members.size());
        apart += std::fabs(w[i] - right) > .02 * right;
      }
    EXPECT_LE(apart, 2u) << bins;
    EXPECT_NEAR(std::accumulate(w.begin(), w.end(), 0.), positives, 1e-3 * positives) << bins;
    if (bins > 1) {
      EXPECT_GT(*std::ranges::max_element(w), 5 * *std::ranges::min_element(w));
    }
  }
}

// Two anchors share the first interval, one has the last, none lies between: 1 / 2 / 2 and 1 / 2.
TEST(Ghm, LeavesEmptyIntervalsOut) {
  Anchors anchors(1, 0);
  anchors.x(0) = -5, anchors.x(1) = -5.5f, anchors.x(2) = 6;
  const auto w = anchors.weights(losses::Ghm{{}, 30});
  EXPECT_NEAR(w[0], .25, 1e-6);
  EXPECT_NEAR(w[1], .25, 1e-6);
  EXPECT_NEAR(w[2], .5, 1e-6);
}

// A running count of each bin, the sums of a step, and the step that they belong to.
struct Running {
  std::vector<double> values = std::vector<double>(to_size(kRunningCounts));
  std::vector<std::int64_t> sums = std::vector<std::int64_t>(to_size(kCountSums));
  StepState step;
  RunningArrays arrays() { return {values.data(), sums.data()}; }
  void end_step(const LogitLoss& loss) {
    keep_counts({}, loss, arrays(), &step);
    std::ranges::fill(sums, 0);
  }
};

// Two anchors in bin 0 and one in the last, 9; then three in the last. By hand, with a momentum of
// 3/4: running counts 2, 1; the second batch divides by 3/4 * 1 + 1/4 * 3 = 1.5, and bin 0, which
// is empty in it, keeps its 2.
TEST(Ghm, WithMomentumDividesByRunningCounts) {
  const losses::Ghm loss{{}, 10, .75f};
  Running running;
  Anchors anchors(1, 0);
  anchors.x(0) = -5, anchors.x(1) = -5.5f, anchors.x(2) = 6;
  const auto weights = [&] {
    anchors.apply(loss, {.running = running.arrays()});
    std::vector<double> w;
    for (std::size_t i = 0; i < 3; ++i)
      w.push_back(anchors.records[i].objectness_loss / anchors.cross_entropy(i));
    return w;
  };
  const auto first = weights();
  EXPECT_NEAR(first[0], 1. / (2 * 2), 1e-6);
  EXPECT_NEAR(first[2], 1. / (2 * 1), 1e-6);
  running.end_step(loss);
  EXPECT_EQ(running.values[0], 2);
  EXPECT_EQ(running.values[9], 1);
  anchors.x(0) = anchors.x(1) = 6;
  for (const double w : weights()) EXPECT_NEAR(w, 1 / 1.5, 1e-6);
  running.end_step(loss);
  EXPECT_EQ(running.values[0], 2);
  EXPECT_EQ(running.values[9], 1.5);
  EXPECT_EQ(std::accumulate(running.values.begin(), running.values.end(), 0.), 3.5);
  for (const StepStatus status : {StepStatus::overflow, StepStatus::non_finite}) {
    running.step.status = status;
    weights(), running.end_step(loss);
    EXPECT_EQ(running.values[9], 1.5) << "a step without an update";
  }
}

// The mean of two micro-batches, 3 and 1 anchors in the last bin: 2; one of them alone has any in
// bin 0: 2 / 2.
TEST(Ghm, RunningCountsTakeTheMeanOfAStep) {
  const losses::Ghm loss{{}, 10, .5f};
  Running running;
  Anchors anchors(1, 0);
  running.values[9] = 4;
  for (const float x : {6.f, -5.f}) {
    anchors.x(0) = anchors.x(1) = x, anchors.x(2) = 6;
    anchors.apply(loss, {.running = running.arrays()});
  }
  EXPECT_EQ(running.values[9], 4) << "both see what was before the step";
  running.end_step(loss);
  EXPECT_EQ(running.values[9], 3);
  EXPECT_EQ(running.values[0], 1);
}

// The weights, running counts included, are constants in the gradient.
TEST(Ghm, WithMomentumHasTheGradientOfItsWeightedLoss) {
  const LogitLoss loss = losses::Ghm{{}, 30, .9f};
  Running running;
  Anchors before(500, .2f), anchors(500, .05f);
  before.apply(loss, {.running = running.arrays()});
  running.end_step(loss);
  anchors.apply(loss, {.running = running.arrays()});
  const auto plain = [] {
    Anchors same(500, .05f);
    return same.weights(losses::Ghm{{}, 30});
  }();
  const double h = 1e-5;
  std::size_t differ = 0;
  for (std::size_t i = 0; i < anchors.records.size(); ++i) {
    const AnchorRecord& r = anchors.records[i];
    const Example e{r.target, r.state == AnchorState::positive};
    const double x = anchors.x(i), w = r.objectness_loss / anchors.cross_entropy(i);
    const double slope =
        (value(kCrossEntropy, x + h, e) - value(kCrossEntropy, x - h, e)) / (2 * h);
    ASSERT_NEAR(anchors.g(i), w * slope, 1e-5 * std::fabs(w * slope) + 1e-9) << i;
    differ += std::fabs(w - plain[i]) > .01 * plain[i];
  }
  EXPECT_GT(differ, 100u);
}

TEST(Ghm, WithoutMomentumNothingIsKept) {
  EXPECT_EQ(momentum_of(LogitLoss{losses::Ghm{}}), 0);
  EXPECT_EQ(momentum_of(LogitLoss{losses::Ghm{{}, 30, .75f}}), .75f);
  EXPECT_EQ(momentum_of(LogitLoss{losses::Ohem{}}), 0);
  Section section = section_of("obj_loss=ghm\nobj_momentum=1\n");
  EXPECT_NE(error_of([&] { read_objectness(section, "ce"); }).find("obj_momentum"),
            std::string::npos);
}

TEST(Ohem, KeepsTheBackgroundWithTheLargestLoss) {
  Anchors anchors(4000);
  auto negatives = anchors.of(AnchorState::negative);
  const auto positives = anchors.of(AnchorState::positive);
  std::ranges::stable_sort(negatives, [&](std::size_t a, std::size_t b) {
    return anchors.cross_entropy(a) > anchors.cross_entropy(b);
  });
  for (const float ratio : {.1f, 1.f, 3.f, 50.f}) {
    const auto k =
        static_cast<std::size_t>(std::lround(ratio * static_cast<float>(positives.size())));
    ASSERT_LT(k, negatives.size());
    ASSERT_GT(anchors.cross_entropy(negatives[k - 1]), anchors.cross_entropy(negatives[k]));
    const auto w = anchors.weights(losses::Ohem{{}, ratio});
    for (const std::size_t i : positives) EXPECT_EQ(w[i], 1);
    for (std::size_t n = 0; n < negatives.size(); ++n) {
      // Of those whose loss equals the last one's each has a share.
      const bool tied =
          anchors.cross_entropy(negatives[n]) == anchors.cross_entropy(negatives[k - 1]);
      if (!tied) {
        EXPECT_EQ(w[negatives[n]], n < k ? 1 : 0) << "rank " << n;
      }
    }
    double kept = 0;
    for (const std::size_t i : negatives) kept += w[i];
    EXPECT_NEAR(kept, static_cast<double>(k), 1e-4 * static_cast<double>(k));
  }
  for (const double w : anchors.weights(losses::Ohem{{}, 1e4f})) EXPECT_EQ(w, 1);
}

TEST(Ohem, EqualLossesShareWhatIsLeft) {
  Anchors anchors(10, 0);  // 30 anchors
  anchors.records[0].state = AnchorState::positive, anchors.records[0].target = 1;
  anchors.records[1].state = AnchorState::positive, anchors.records[1].target = 1;
  for (std::size_t i = 0; i < 30; ++i) anchors.x(i) = i < 6 ? 1.f : i < 14 ? -1.f : -2.f;
  const auto w = anchors.weights(losses::Ohem{{}, 3});  // 6: four of +1, then 2 of eight
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(w[i], i < 6 ? 1 : i < 14 ? .25 : 0) << i;
  for (std::size_t i = 2; i < 30; ++i) anchors.x(i) = -3;
  const auto equal = anchors.weights(losses::Ohem{{}, 3});
  for (std::size_t i = 2; i < 30; ++i) EXPECT_NEAR(equal[i], 6. / 28, 1e-7);
}

// A target of .5 has a cross-entropy of .69 at its least. The anchor that is wrong is the other
// one, with .36.
TEST(Ohem, RanksByTheLossAboveItsLeast) {
  for (const float weight : {1.f, 5.f}) {
    Anchors anchors(1, 0);  // 3 anchors
    for (AnchorRecord& r : anchors.records) r.weight = weight;
    anchors.records[0].state = AnchorState::positive, anchors.records[0].target = 1;
    anchors.records[1].target = .5f, anchors.x(1) = 0;
    anchors.x(2) = std::log(.3f / .7f);
    ASSERT_GT(anchors.cross_entropy(1), anchors.cross_entropy(2));
    const auto w = anchors.weights(losses::Ohem{{}, 1});
    EXPECT_EQ(w[1], 0);
    EXPECT_NEAR(w[2], weight, 1e-6f * weight);
  }
}

class BatchLoss : public testing::TestWithParam<std::string> {
 protected:
  LogitLoss loss_ = value_of<LogitLoss>(GetParam()).value();
};

// The weights are constants: the gradient is theirs times that of cross-entropy.
TEST_P(BatchLoss, HasTheGradientOfItsWeightedLoss) {
  Anchors anchors(500, .05f);
  const double h = 1e-5;
  const auto w = anchors.weights(loss_);
  std::size_t differ = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const Example e{anchors.records[i].target, anchors.records[i].state == AnchorState::positive};
    const double x = anchors.x(i);
    const double slope = (value(loss_, x + h, e) - value(loss_, x - h, e)) / (2 * h);
    ASSERT_NEAR(anchors.g(i), w[i] * slope, 1e-5 * std::fabs(w[i] * slope) + 1e-9) << i;
    differ += std::fabs(w[i] - w[0]) > .01;
  }
  EXPECT_GT(differ, 0u) << "weights that are all equal test nothing";
}

// As one object would weight it, and nothing is lost of an anchor that is not finite.
TEST_P(BatchLoss, LearnsABatchWithoutObjects) {
  Anchors none(200, 0);
  double gradient = 0;
  none.apply(loss_);
  for (std::size_t i = 0; i < none.records.size(); ++i) {
    ASSERT_TRUE(std::isfinite(none.g(i)) && none.g(i) >= 0) << i;
    gradient += none.g(i);
  }
  EXPECT_GT(gradient, 0);
  none.x(77) = std::numeric_limits<float>::quiet_NaN();
  none.apply(loss_);
  EXPECT_TRUE(std::isnan(none.g(77)) && std::isnan(none.records[77].objectness_loss));
}

TEST_P(BatchLoss, DoesNotSeeIgnoredAnchors) {
  Anchors some(300, .05f), others(300, .05f);
  for (std::size_t i = 0; i < some.records.size(); i += 5) {
    some.records[i].state = others.records[i].state = AnchorState::ignored;
    others.x(i) = 9 - others.x(i);
    others.records[i].target = .5f;
  }
  some.apply(loss_), others.apply(loss_);
  EXPECT_EQ(some.gradient, others.gradient);
  for (std::size_t i = 0; i < some.records.size(); i += 5) EXPECT_EQ(some.g(i), 0);
}

TEST_P(BatchLoss, IsTheSameWithAnyNumberOfThreads) {
  Anchors one(9000);
  one.apply(loss_, {}, {.threads = 1});
  for (const int threads : {2, 3, 5}) {
    Anchors many(9000);
    many.apply(loss_, {}, {.threads = threads});
    EXPECT_EQ(many.gradient, one.gradient) << threads;
  }
}

std::vector<std::string> batch_losses() {
  std::vector<std::string> names;
  for (const LogitLoss& loss : all_of<LogitLoss>())
    if (is_of_batch(loss)) names.emplace_back(name_of(loss));
  return names;
}
INSTANTIATE_TEST_SUITE_P(Losses, BatchLoss, testing::ValuesIn(batch_losses()),
                         [](const auto& info) { return info.param; });

TEST(Guided, ScalesTheObjectnessLossToTheBoxLoss) {
  for (const LogitLoss& loss : all_of<LogitLoss>()) {
    Anchors plain(900, .02f), guided(900, .02f);
    plain.apply(loss);
    guided.apply(loss, {.guided = .7f});
    double objectness = 0, box = 0, scaled = 0;
    for (std::size_t i = 0; i < plain.records.size(); ++i) {
      objectness += plain.records[i].objectness_loss;
      box += plain.records[i].box_loss;
      scaled += guided.records[i].objectness_loss;
    }
    ASSERT_GT(objectness, 0);
    ASSERT_GT(box, 0);
    EXPECT_NEAR(scaled, .7 * box, 1e-5 * box) << name_of(loss);
    for (std::size_t i = 0; i < plain.records.size(); ++i)
      expect_relative(guided.g(i), .7 * box / objectness * plain.g(i), 1e-5, i);
  }
}

TEST(Guided, WithoutObjectsThereIsNothingToFollow) {
  Anchors none(100, 0);
  none.apply(kCrossEntropy, {.guided = 1});
  for (const float g : none.gradient) EXPECT_EQ(g, 0);
  none.x(5) = std::numeric_limits<float>::quiet_NaN();
  none.apply(kCrossEntropy, {.guided = 1});
  EXPECT_TRUE(std::isnan(none.g(5))) << "an error stays visible";
}

}  // namespace
}  // namespace darknet::testing_losses
