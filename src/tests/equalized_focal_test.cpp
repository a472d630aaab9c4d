// Equalized focal loss of the class scores: its values, its gradient in both heads with the sums of
// gradients held, what is summed, and where it is refused. Training with it is in step_test.cpp and
// device_training_test.cpp.
#include <gtest/gtest.h>

#include <array>

#include "core/index.h"
#include "core/rng.h"
#include "detect/running_values.h"
#include "kernels/class_gradients.h"
#include "losses/class_keys.h"
#include "losses/objectness.h"
#include "tests/head_harness.h"
#include "tests/loss_harness.h"

namespace darknet {
namespace {

using losses::EqualizedFocal;
using losses::positive_negative_ratio;
using testing_layers::Trial;

// gamma 2, alpha .25, s 8: computed from the formula in double precision, gradients by central
// differences of it. With g = .25, gamma_j is 8 and the weight 4.
TEST(EqualizedFocal, HasTheKnownValues) {
  struct Known {
    float x;
    bool positive;
    float g;
    double value, gradient;
  };
  for (const Known& k : std::to_array<Known>({{.5f, true, 1, .0168933726, -.0344842493},
                                              {.5f, true, .25f, 1.95685568e-4, -.00113028857},
                                              {.5f, false, .25f, .0658570678, .24099407},
                                              {-1.5f, true, .25f, .339647495, -.658892661},
                                              {-1.5f, false, .25f, 7.41129615e-7, 5.51869066e-6},
                                              {2, false, 0, 2.24152048, 3.60020967},
                                              {-2, true, .9f, .521762975, -.390218805}})) {
    const auto loss = EqualizedFocal{}.of_class(k.g);
    const float t = k.positive ? 1.f : 0.f;
    EXPECT_NEAR(loss.value(k.x, t, k.positive), k.value, 1e-5 * k.value) << k.x << ' ' << k.g;
    EXPECT_NEAR(loss.gradient(k.x, t, k.positive), k.gradient, 1e-5 * std::fabs(k.gradient))
        << k.x << ' ' << k.g;
  }
}

TEST(EqualizedFocal, OfABalancedClassIsFocalLoss) {
  const auto balanced = EqualizedFocal{.gamma = 1.5f, .alpha = .4f}.of_class(1);
  const losses::Focal focal{.gamma = 1.5f, .alpha = .4f};
  for (float x = -20; x < 20; x += .37f)
    for (const float t : {0.f, 1.f}) {
      EXPECT_EQ(balanced.value(x, t, t > 0), focal.value(x, t, t > 0));
      EXPECT_EQ(balanced.gradient(x, t, t > 0), focal.gradient(x, t, t > 0));
    }
}

TEST(EqualizedFocal, TheRatioOfGradientsEndsAtOne) {
  EXPECT_EQ(positive_negative_ratio(0, 0), 1) << "a class that was never seen";
  EXPECT_EQ(positive_negative_ratio(3, 0), 1) << "a head with one class";
  EXPECT_EQ(positive_negative_ratio(5, 4), 1);
  EXPECT_EQ(positive_negative_ratio(1, 4), .25f);
  EXPECT_EQ(positive_negative_ratio(0, 1e-9), 0);
}

// Two classes, two anchors with an object: one of each class. g of the first is 1/4, of the second
// 1.
class InAHead : public testing::TestWithParam<const char*> {
 protected:
  static Trial with(const std::string& keys) {
    const bool yolo = std::string(GetParam()) == "yolo";
    testing_layers::LayerSample s = testing_layers::sample_of(
        GetParam(),
        (yolo ? testing_layers::kYolo + "iou_loss=ciou\n"
              : testing_layers::kRegion + "softmax=0\nclass_scale=1\n") +
            keys,
        14, {testing_layers::kWide, yolo ? testing_layers::kSquare : testing_layers::kSmall});
    return Trial(s, Mode::training);
  }
  static std::vector<std::size_t> class_channels(const Trial& t) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < to_size(t.in[0].size()); ++i)
      if (i % 7 >= 5) all.push_back(i);  // of an anchor's 7: box, objectness, two classes
    return all;
  }
  static RunningValues& running(const Trial& t) { return *t.layer->head()->running().at(0); }
};

TEST_P(InAHead, HasTheGradientOfTheLossThatItReports) {
  Trial t = with("cls_loss=equalized_focal\ncls_scale_factor=6\ncls_alpha=.4\n");
  running(t).copy_from(t.stream, std::vector<double>{1, 4, 3, 2});
  t.forward();
  t.backward(false, NAN);
  const std::vector<float> gradient = t.in_gradient[0].to_host({});
  const auto loss_at = [&](std::size_t i, float x) {
    const float before = std::exchange(t.in[0].data()[i], x);
    t.forward();
    t.in[0].data()[i] = before;
    return t.layer->head()->telemetry({}).class_loss;
  };
  int learned = 0;
  for (const std::size_t i : class_channels(t)) {
    const float x = t.in[0].data()[i], h = .015625f;
    const double slope = (loss_at(i, x + h) - loss_at(i, x - h)) / (2 * h);
    EXPECT_NEAR(gradient[i], slope, 2e-3 * std::max(.01, std::fabs(slope))) << i;
    learned += gradient[i] != 0 ? 1 : 0;
  }
  EXPECT_EQ(learned, 4) << "two anchors, two classes";
}

// The loss of a channel depends on the class's own g alone.
TEST_P(InAHead, TakesTheRatioOfItsClass) {
  const std::string keys = "cls_loss=equalized_focal\n";
  Trial focal = with("cls_loss=focal\n"), fresh = with(keys), kept = with(keys);
  running(kept).copy_from(kept.stream, std::vector<double>{1, 4, 3, 2});
  std::array<std::vector<float>, 3> gradients;
  for (std::size_t k = 0; Trial * t : {&focal, &fresh, &kept}) {
    t->forward();
    t->backward(false, NAN);
    gradients[k++] = t->in_gradient[0].to_host({});
  }
  EXPECT_EQ(gradients[1], gradients[0]) << "before the first step";
  const auto first = EqualizedFocal{}.of_class(.25f);
  for (const std::size_t i : class_channels(kept)) {
    const float before = gradients[0][i], x = kept.in[0].data()[i];
    if (before == 0 || i % 7 == 6) {
      EXPECT_EQ(gradients[2][i], before) << i;
    } else {
      const bool positive = before < 0;
      EXPECT_FLOAT_EQ(gradients[2][i], first.gradient(x, positive ? 1.f : 0.f, positive)) << i;
    }
  }
}

TEST_P(InAHead, SumsTheGradientsOfEveryStepThatUpdates) {
  Trial t = with("cls_loss=equalized_focal\n");
  Head& head = *t.layer->head();
  const auto step = [&] {
    t.forward();
    t.backward(false, NAN);
    head.end_step(t.stream, &t.step);
    std::vector<double> sums(4);
    const std::vector<float> gradient = t.in_gradient[0].to_host({});
    for (const std::size_t i : class_channels(t))
      sums[2 * (i % 7 - 5) + (gradient[i] < 0 ? 0 : 1)] += std::fabs(gradient[i]);
    return sums;
  };
  running(t).begin_step(t.stream);
  const std::vector<double> first = step();
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_GT(first[k], .01);
    EXPECT_NEAR(running(t).to_host(t.stream)[k], first[k], 2e-7) << k;
  }
  t.in[0].data()[(2 * testing_layers::kCells + 1) * 14 + 5] += .5f;
  running(t).begin_step(t.stream);
  const std::vector<double> second = step();
  const std::vector<double> both = running(t).to_host(t.stream);
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(both[k], first[k] + second[k], 4e-7) << k;
  EXPECT_NE(first, second);
  for (const StepStatus status : {StepStatus::overflow, StepStatus::non_finite}) {
    t.step.status = status;
    running(t).begin_step(t.stream);
    step();
    EXPECT_EQ(running(t).to_host(t.stream), both);
  }
}

INSTANTIATE_TEST_SUITE_P(Heads, InAHead, testing::Values("yolo", "region"));

// Neither cutting a batch into micro-batches nor the number of threads changes a bit.
TEST(ClassGradients, AreTheSameSumsHoweverTheBatchIsCut) {
  for (const std::int64_t classes : {1, 3, 80, 5000}) {
    const AnchorLayout layout{.anchors = 2, .entries = 5 + classes};
    const std::int64_t pixels = classes > 1000 ? 60 : 5000, anchors = 2 * pixels;
    std::vector<float> gradient(to_size(pixels * 2 * layout.entries));
    std::vector<AnchorRecord> records(to_size(anchors));
    std::vector<std::int64_t> right(to_size(2 * classes));
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (random_uniform(1, 2, i) > .1f) continue;
      records[i].class_loss = 1;
      for (std::int64_t k = 0; k < classes; ++k) {
        const std::size_t at = i * to_size(layout.entries) + to_size(layout.class_entry(k));
        gradient[at] = std::pow(random_uniform(1, 3, at), 9.f) * (i % 3 == 0 ? -1.f : 1.f);
        right[to_size(2 * k + (i % 3 == 0 ? 0 : 1))] +=
            std::llround(double{std::fabs(gradient[at])} * 16777216);
      }
    }
    const auto sums_of = [&](std::int64_t parts, int threads) {
      std::vector<std::int64_t> sums(right.size());
      for (std::int64_t p = 0; p < parts; ++p) {
        const std::int64_t first = p * pixels / parts, end = (p + 1) * pixels / parts;
        const Shape shape{1, 1, end - first, 2 * layout.entries};
        const Buffer scratch({}, class_gradient_scratch(2 * shape.pixels(), classes));
        add_class_gradients({.threads = threads},
                            {{gradient.data() + first * shape.c, shape, shape.c},
                             records.data() + 2 * first,
                             layout,
                             sums.data()},
                            scratch.data());
      }
      return sums;
    };
    for (const std::int64_t parts : {1, 2, 5})
      for (const int threads : {1, 3})
        EXPECT_EQ(sums_of(parts, threads), right) << classes << ' ' << parts << ' ' << threads;
  }
}

// What is not finite is left out; what is larger than the sums can hold counts as the largest.
TEST(ClassGradients, StayWithinTheirRange) {
  const AnchorLayout layout{.anchors = 1, .entries = 8};
  std::vector<float> gradient(8);
  gradient[5] = NAN, gradient[6] = INFINITY, gradient[7] = -1e30f;
  const AnchorRecord record{.class_loss = NAN};
  std::vector<std::int64_t> sums(6);
  const Buffer scratch({}, class_gradient_scratch(1, 3));
  add_class_gradients({}, {{gradient.data(), {1, 1, 1, 8}, 8}, &record, layout, sums.data()},
                      scratch.data());
  const std::int64_t most = std::int64_t{1} << 40;
  EXPECT_EQ(sums, (std::vector<std::int64_t>{0, 0, 0, 0, most, 0}));
}

TEST(EqualizedFocal, IsRefusedWhereItMeansNothing) {
  using testing_losses::error_of;
  using testing_losses::section_of;
  Section objectness = section_of("obj_loss=equalized_focal\n");
  EXPECT_EQ(
      error_of([&] { read_objectness(objectness, "ce"); }),
      "net.cfg:2: [yolo] obj_loss: equalized_focal weighs classes against each other, and there "
      "is only one objectness score; use obj_loss=focal, and cls_loss=equalized_focal for the "
      "class scores");
  const std::string keys = testing_layers::kYolo + "cls_loss=equalized_focal\n";
  for (const std::string softened : {"label_smooth_eps=.1", "objectness_smooth=1"}) {
    const std::string text = cat("[yolo]\n", keys, softened, '\n');
    const std::string error = error_of([&] { testing_layers::layer_of(text, 1); });
    EXPECT_NE(error.find(softened.substr(0, softened.find('=')) + " softens them"), error.npos)
        << error;
  }
  EXPECT_NE(error_of([&] {
              testing_layers::layer_of(
                  "[region]\n" + testing_layers::kRegion + "softmax=1\ncls_loss=equalized_focal\n",
                  1);
            }).find("equalized_focal is a loss per class; it needs softmax=0"),
            std::string::npos);
}

TEST(EqualizedFocal, NothingIsKeptWithoutTraining) {
  const std::string text = "[yolo]\n" + testing_layers::kYolo + "cls_loss=equalized_focal\n";
  const LayerPtr layer = testing_layers::layer_of(text, 1, Mode::inference);
  layer->reshape(std::vector<Shape>{{1, 4, 4, 14}}, ops(DeviceType::cpu),
                 {.mode = Mode::inference});
  EXPECT_TRUE(layer->head()->running().empty());
}

}  // namespace
}  // namespace darknet
