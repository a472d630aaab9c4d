// Where an objectness loss comes from: histograms against sorted values, the anchors that heads
// report against the telemetry of a training pass, and the figures of a set of images.
#include "eval/objectness_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/math.h"
#include "core/rng.h"
#include "losses/focal.h"
#include "report/imbalance_chart.h"
#include "tests/temporary_folder.h"
#include "train/host_to_device.h"

namespace darknet {
namespace {

// Cumulative shares of sorted values.
std::vector<std::pair<double, double>> sorted_shares(std::vector<double> values) {
  std::ranges::sort(values);
  const double sum = std::accumulate(values.begin(), values.end(), 0.);
  std::vector<std::pair<double, double>> shares;
  double so_far = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    so_far += values[i];
    shares.emplace_back(static_cast<double>(i + 1) / static_cast<double>(values.size()),
                        so_far / sum);
  }
  return shares;
}

std::vector<double> wide_values(std::int64_t n) {
  Rng rng(8);
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(std::pow(10., rng.uniform(-12, 1)));
  values.push_back(0), values.push_back(1e-60), values.push_back(1e12);
  return values;
}

TEST(LogHistogram, PointsOfItsCurveLieOnThatOfTheSortedValues) {
  const std::vector<double> values = wide_values(5000);
  LogHistogram h;
  for (const double v : values) h.add(v);
  const auto exact = sorted_shares(values);
  const auto curve = h.cumulative();
  ASSERT_GT(curve.size(), 300u);
  EXPECT_EQ(curve.front(), std::pair(0., 0.));
  EXPECT_EQ(curve.back(), std::pair(1., 1.));
  for (std::size_t k = 1; k < curve.size(); ++k) {
    const auto count =
        static_cast<std::size_t>(std::llround(curve[k].first * static_cast<double>(values.size())));
    ASSERT_GE(count, 1u);
    EXPECT_NEAR(curve[k].first, exact[count - 1].first, 1e-12);
    EXPECT_NEAR(curve[k].second, exact[count - 1].second, 1e-9);
  }
}

TEST(LogHistogram, ShareOfTheLargestIsThatOfTheSortedValues) {
  std::vector<double> values = wide_values(4000);
  values.pop_back();  // the largest would be all of it
  LogHistogram h;
  for (const double v : values) h.add(v);
  const auto exact = sorted_shares(values);
  for (const double share : {.0005, .01, .1, .5}) {
    const double left = 1 - share;
    const auto i = static_cast<std::size_t>(left * static_cast<double>(values.size()));
    EXPECT_NEAR(h.share_of_largest(share), 1 - exact[i].second, .003) << share;
  }
  EXPECT_DOUBLE_EQ(h.share_of_largest(1), 1);
  EXPECT_EQ(LogHistogram().share_of_largest(.5), 0);
  EXPECT_TRUE(LogHistogram().cumulative().empty());
}

TEST(LogHistogram, AddsUpAndRefusesWhatIsNoSize) {
  LogHistogram a, b;
  a.add(1), a.add(2), b.add(3);
  a += b;
  EXPECT_EQ(a.count(), 3);
  EXPECT_DOUBLE_EQ(a.sum(), 6);
  EXPECT_THROW(a.add(-1), Error);
  EXPECT_THROW(a.add(std::nan("")), Error);
}

// Heads against their telemetry.

constexpr const char* kTwoHeads =
    "[net]\nbatch=3\nwidth=64\nheight=64\nchannels=3\n"
    "[convolutional]\nfilters=8\nsize=3\nstride=8\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nnum=3\nmask=1,2\nanchors=6,6, 8,8, 20,16\nclasses=2\nignore_thresh=.3\nmax=4\n"
    "counters_per_class=10,40\nobj_loss=focal\nobj_target=one\nobj_normalizer=2\n"
    "[route]\nlayers=0\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[region]\nnum=2\nanchors=1,1, 2.5,2\nclasses=2\nbias_match=1\nsoftmax=1\nthresh=.3\nmax=4\n"
    "obj_loss=balanced_ce\nobj_target=one\nobject_scale=5\n";

// The last image has two objects in one anchor of [region], and more than max=.
std::vector<std::vector<Truth>> sample_truths() {
  const Truth small{{.30f, .55f, .12f, .12f}, 0}, other{{.31f, .56f, .13f, .12f}, 1};
  const Truth large{{.7f, .2f, .3f, .25f}, 1};
  return {{small, large}, {}, {small, other, large, {{.9f, .9f, .1f, .1f}, 0}, large}};
}

Network network(Mode mode) {
  std::istringstream in(kTwoHeads);
  Network net(parse_cfg(in, "x.cfg"), {.mode = mode, .batch = 3, .seed = 6});
  net.initialise();
  net.parameters_changed();
  return net;
}

class Logits final : public LayerObserver {
 public:
  explicit Logits(Network& net) : net_(net) { net.observe(this); }
  Logits(const Logits&) = delete;
  Logits& operator=(const Logits&) = delete;
  ~Logits() override { net_.observe(nullptr); }
  void before(std::int64_t, bool) override {}
  void after(std::int64_t layer, bool) override {
    for (const HeadAt& at : net_.heads())
      if (at.layer == layer + 1) of_head.push_back(to_host(net_.stream(), net_.output(layer)));
  }
  std::vector<std::vector<float>> of_head;

 private:
  Network& net_;
};

std::vector<float> sample_pixels() {
  Rng rng(3);
  std::vector<float> pixels(std::size_t{3} * 64 * 64 * 3);
  for (float& v : pixels) v = rng.uniform(0, 1);
  return pixels;
}

// The forward pass of a training step on the samples.
void run_training_pass(Network& net) {
  HostToDevice inputs(net);
  const auto pixels = sample_pixels();
  const auto truths = sample_truths();
  inputs.send({pixels, truths}, 0, {.iteration = 1});
  const StepState step{{.iteration = 1, .images_seen = 1 << 20}};
  net.forward({.stream = net.stream(),
               .mode = Mode::training,
               .step = &step,
               .truths = inputs.truths(),
               .input = inputs.input()});
}

TEST(AssignedAnchors, AreThoseOfATrainingPass) {
  Network trained = network(Mode::training), net = network(Mode::inference);
  Logits logits(trained);
  run_training_pass(trained);
  ASSERT_EQ(logits.of_head.size(), 2u);
  for (std::size_t h = 0; h < 2; ++h) {
    const HeadTelemetry t = trained.heads()[h].head->telemetry(trained.stream());
    const AssignedAnchors a =
        net.heads()[h].head->assigned_anchors(net.stream(), logits.of_head[h], sample_truths());
    AnchorStatistics s;
    s.add(a, 3);
    EXPECT_EQ(s.positive.anchors, t.positives);
    EXPECT_EQ(s.negative.anchors, t.negatives);
    EXPECT_EQ(s.ignored, t.ignored);
    EXPECT_GT(t.positives, 2);
    EXPECT_GT(t.ignored, 0);
    EXPECT_NEAR(s.positive.loss.sum(), t.objectness_loss_positive,
                1e-5 * t.objectness_loss_positive);
    EXPECT_NEAR(s.negative.loss.sum(), t.objectness_loss_negative,
                1e-5 * t.objectness_loss_negative);
    EXPECT_NEAR(s.positive.gradient.sum(), t.gradient_positive, 1e-5 * t.gradient_positive);
    EXPECT_NEAR(s.negative.gradient.sum(), t.gradient_easy_negative + t.gradient_hard_negative,
                1e-5 * s.negative.gradient.sum());
    EXPECT_NEAR(s.easy_negative_gradient, t.gradient_easy_negative, 1e-5 * s.gradient());
    EXPECT_NEAR(s.positive.p_sum, t.p_positive, 1e-5 * t.p_positive);
    EXPECT_NEAR(s.negative.p_sum, t.p_negative, 1e-5 * t.p_negative);
  }
}

// What the layer below [detection] makes is in another order, and of another size, than its grid.
TEST(AssignedAnchors, OfDetectionAreThoseOfATrainingPass) {
  const auto made = [](Mode mode, const std::string& keys) {
    std::istringstream in(
        cat("[net]\nbatch=3\nwidth=64\nheight=64\nchannels=3\n"
            "[convolutional]\nfilters=4\nsize=3\nstride=16\npad=1\nactivation=leaky\n"
            "[connected]\noutput=108\nactivation=linear\n"
            "[detection]\nside=3\nnum=2\nclasses=2\nnoobject_scale=.5\n",
            keys));
    Network net(parse_cfg(in, "x.cfg"), {.mode = mode, .batch = 3, .seed = 6});
    net.initialise();
    net.parameters_changed();
    return net;
  };
  Network trained = made(Mode::training, "obj_loss=ce\n"),
          net = made(Mode::inference, "obj_loss=ce\n"), raw = made(Mode::inference, "");
  Logits logits(trained);
  run_training_pass(trained);
  const HeadTelemetry t = trained.heads()[0].head->telemetry(trained.stream());
  const auto of = [&](Network& n) {
    AnchorStatistics s;
    s.add(n.heads()[0].head->assigned_anchors(n.stream(), logits.of_head.at(0), sample_truths()),
          3);
    return s;
  };
  const AnchorStatistics s = of(net);
  EXPECT_EQ(s.positive.anchors, t.positives);
  EXPECT_EQ(s.negative.anchors, t.negatives);
  EXPECT_EQ(s.anchors(), 3 * 3 * 3 * 2);
  EXPECT_GT(t.positives, 2);
  EXPECT_NEAR(s.positive.loss.sum(), t.objectness_loss_positive, 1e-5 * t.objectness_loss_positive);
  EXPECT_NEAR(s.negative.loss.sum(), t.objectness_loss_negative, 1e-5 * t.objectness_loss_negative);
  EXPECT_NEAR(s.positive.p_sum, t.p_positive, 1e-5 * t.p_positive);
  EXPECT_NEAR(s.negative.p_sum, t.p_negative, 1e-5 * t.p_negative);
  EXPECT_EQ(testing_files::error_of([&] { of(raw); }),
            "layer 2 [detection] (x.cfg:15): figures of its objectness need logits, and without "
            "obj_loss it is a raw value; add obj_loss=ce, and train with it");
  EXPECT_TRUE(net.heads()[0].head->anchor_shapes(net.input_shape()).empty());
}

TEST(AssignedAnchors, SayWhichGroundTruthsGotNone) {
  Network net = network(Mode::inference);
  const auto truths = sample_truths();
  const auto counts = [&](std::size_t head) {
    const Shape shape = net.output_shape(net.heads()[head].layer);
    return net.heads()[head]
        .head->assigned_anchors(net.stream(), std::vector<float>(to_size(shape.size())), truths)
        .anchors_of_truth;
  };
  using Counts = std::vector<std::vector<std::int32_t>>;
  // [yolo]: the first and second share their anchor, the fourth fits an anchor of another head best
  // (6x6 of 64 pixels), the fifth is beyond max=.
  EXPECT_EQ(counts(0), (Counts{{1, 1}, {}, {1, 1, 1, 0, 0}}));
  // [region]: of those that share one, the last keeps it.
  EXPECT_EQ(counts(1), (Counts{{1, 1}, {}, {0, 1, 1, 1, 0}}));
  EXPECT_THROW(net.heads()[0].head->assigned_anchors(net.stream(), std::vector<float>(7), truths),
               Error);
}

// Statistics of anchors whose losses are known.

AssignedAnchors made_anchors(std::vector<double>& background_losses) {
  Rng rng(9);
  AssignedAnchors a;
  const losses::Focal focal{2, .25f};
  for (int i = 0; i < 3000; ++i) {
    const AnchorState state = i % 50 == 0   ? AnchorState::positive
                              : i % 50 == 1 ? AnchorState::ignored
                                            : AnchorState::negative;
    const bool positive = state == AnchorState::positive;
    const float x = rng.uniform(-9, 3), t = positive ? 1 : 0;
    AnchorRecord r{.state = state, .target = t, .weight = 1};
    if (state != AnchorState::ignored) r.objectness_loss = focal.value(x, t, positive);
    a.records.push_back(r);
    a.logits.push_back(x);
    a.gradients.push_back(state == AnchorState::ignored ? 0 : focal.gradient(x, t, positive));
    if (state == AnchorState::negative)
      background_losses.push_back(losses::Focal{2, -1}.value(static_cast<double>(x), 0., false));
  }
  a.anchors_of_truth = {{1, 0}};
  return a;
}

TEST(AnchorStatistics, HasTheDistributionOfTheLosses) {
  std::vector<double> background;
  AnchorStatistics s;
  s.add(made_anchors(background), 1);
  EXPECT_EQ(s.positive.anchors, 60);
  EXPECT_EQ(s.ignored, 60);
  EXPECT_EQ(s.negative.anchors, 2880);
  EXPECT_DOUBLE_EQ(s.eta(), 60. / 3000);
  EXPECT_EQ(s.truths, 1);
  const auto exact = sorted_shares(background);
  for (const auto& [x, y] : s.negative.focal[3].cumulative()) {
    const auto count = static_cast<std::size_t>(std::llround(x * 2880));
    EXPECT_NEAR(y, count > 0 ? exact[count - 1].second : 0, 1e-6);
  }
  // The more gamma, the more of the loss is in the hardest tenth; alpha changes no distribution.
  double last = 0;
  for (const LogHistogram& h : s.negative.focal) {
    EXPECT_GT(h.share_of_largest(.1), last);
    last = h.share_of_largest(.1);
  }
  EXPECT_NEAR(s.negative.loss.share_of_largest(.1), last, 5e-3);
  EXPECT_EQ(std::accumulate(s.negative.p_t.begin(), s.negative.p_t.end(), std::int64_t{0}), 2880);
  const auto share = [](double sum, const auto& point) { return sum + point.second; };
  for (const SideStatistics* side : {&s.positive, &s.negative}) {
    const auto p_t = p_t_histogram(*side), gradient = gradient_histogram(*side);
    EXPECT_NEAR(std::accumulate(p_t.begin(), p_t.end(), 0., share), 1, 1e-12);
    EXPECT_NEAR(std::accumulate(gradient.begin(), gradient.end(), 0., share), 1, 1e-12);
  }
}

TEST(AnchorStatistics, CountsTheFirstImagesOnly) {
  std::vector<double> background;
  AssignedAnchors a = made_anchors(background);
  const std::size_t n = a.records.size();
  for (std::size_t i = 0; i < n; ++i) {
    a.records.push_back({.state = AnchorState::positive, .target = 1, .weight = 1});
    a.logits.push_back(0), a.gradients.push_back(0);
  }
  a.anchors_of_truth.push_back({1, 1, 1});
  AnchorStatistics s;
  s.add(a, 1);
  EXPECT_EQ(s.positive.anchors, 60);
  EXPECT_EQ(s.truths, 1);
}

TEST(ImbalanceChart, NamesEqualDistributionsOnceAndHasAPanelOfALog) {
  std::vector<double> background;
  ObjectnessStatistics s{.images = 1};
  s.heads.push_back({.layer = 3, .loss = "focal"});
  s.heads.back().anchors.add(made_anchors(background), 1);
  const auto same = loss_distributions(
      [&] {
        SideStatistics side = s.all().negative;
        side.loss = side.focal[3];
        return side;
      }(),
      "own");
  ASSERT_EQ(same.size(), 4u);
  EXPECT_EQ(same.back().name, "gamma 2 = own");
  EXPECT_EQ(imbalance_chart(s, nullptr).panels.size(), 5u);
  TrainingHistory history;
  history.add(R"({"iteration": 1, "heads": [{"layer": 3, "gradient_share_positive": 0.25,
      "gradient_share_easy_negative": 0.5, "gradient_share_hard_negative": 0.25}]})");
  const Chart chart = imbalance_chart(s, &history);
  ASSERT_EQ(chart.panels.size(), 6u);
  EXPECT_TRUE(has_data(chart.panels.back()));
  for (const Panel& p : chart.panels) EXPECT_TRUE(has_data(p)) << p.title;
  EXPECT_TRUE(imbalance_csv(s).starts_with(kImbalanceCsvHeader));
}

}  // namespace
}  // namespace darknet
