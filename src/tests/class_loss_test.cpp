// Losses of class scores beyond those on one logit: the softmax, and what focal_loss=1 does.
#include <gtest/gtest.h>

#include <functional>

#include "losses/class_keys.h"
#include "tests/loss_harness.h"

namespace darknet::testing_losses {
namespace {

TEST(DarknetFocal, HasTheKnownFactor) {  // alpha .5, gamma 2 (docs/loss-math.md)
  const auto own = [](double p) {
    return losses::true_class_of_sigmoid(static_cast<float>(logit(p)));
  };
  const auto factor = losses::DarknetFocal::factor;
  EXPECT_NEAR(factor(own(.99)), 1.495e-4, 1e-6);
  EXPECT_NEAR(factor(own(.5)), -.5 * .5 * (std::log(.5) - .5), 1e-6);
  for (double p = .05; p < 1; p += .05) {  // factor (p - 1) is the derivative in the logit
    const double x = logit(p), h = 1e-4;
    const auto at = [](double z) { return .5 * value(focal(2, -1), z, kPositive); };
    EXPECT_NEAR(losses::DarknetFocal::value(own(p)), at(x), 1e-6);
    EXPECT_NEAR(factor(own(p)) * (p - 1), (at(x + h) - at(x - h)) / (2 * h), 1e-6);
  }
}

// Of the losses that look at the true class alone: factor (p - 1) is the slope in its logit, also
// where p rounds to 0, through a softmax of several classes and through a sigmoid.
TEST(ClassLosses, OfTheTrueClassHaveTheirValuesSlope) {
  const auto softmax = [](float x) {
    const float logits[3] = {x, -.5f, -40};
    return losses::true_class_of_softmax(3, 0, [&](std::int64_t k) { return logits[k]; });
  };
  int checked = 0;
  for (const ClassLoss& loss : all_of<ClassLoss>())
    std::visit(
        [&](const auto& l) {
          using L = std::decay_t<decltype(l)>;
          if constexpr (OfTrueClass<L>) {
            ++checked;
            for (const auto& own :
                 {std::function<losses::TrueClass(float)>(softmax),
                  std::function<losses::TrueClass(float)>(losses::true_class_of_sigmoid)})
              for (float x = -300; x < 20; x += x < -10 ? 20 : .25f) {
                const losses::TrueClass at = own(x);
                const float slope = (L::value(own(x + .0625f)) - L::value(own(x - .0625f))) / .125f;
                EXPECT_NEAR(L::factor(at) * (at.p - 1), slope, 1e-3) << L::name << " at " << x;
              }
          }
        },
        loss);
  EXPECT_EQ(checked, 2);
}

TEST(ClassLosses, SoftmaxIsTheLogarithmOfItsSum) {
  const auto loss_of_logits = [](std::vector<float> logits) {
    return losses::Softmax::value(losses::true_class_of_softmax(
        std::ssize(logits), 0,
        [&](std::int64_t k) { return logits[static_cast<std::size_t>(k)]; }));
  };
  EXPECT_NEAR(loss_of_logits({-80, 0, 0}), 80 + std::log(2.), 1e-5);
  EXPECT_NEAR(loss_of_logits({-1000, 500}), 1500, 1e-3);
  EXPECT_NEAR(loss_of_logits({1, 1, 1, 1}), std::log(4.), 1e-6);
  EXPECT_NEAR(loss_of_logits({30, 10}), std::exp(-20.), 1e-14);  // not 0
  EXPECT_TRUE(std::isnan(loss_of_logits({NAN, 0})) && std::isnan(loss_of_logits({0, NAN})));
}

// What cls_loss names beyond the losses on one logit takes no key of theirs, and says so.
TEST(ClassLosses, ReadTheirOwnKeysAlone) {
  const auto read = [](const std::string& keys) {
    Section section = section_of(keys);
    const SigmoidClassLoss loss = read_sigmoid_class_loss(section, "ce");
    section.finish();
    return std::string(name_of(loss));
  };
  testing::internal::CaptureStderr();
  EXPECT_EQ(read("cls_loss=focal\ncls_gamma=1\n"), "focal");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_EQ(read("focal_loss=1\ncls_gamma=1\n"), "darknet_focal");
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("cls_gamma: the loss darknet_focal does not use it"), std::string::npos)
      << warnings;
  EXPECT_NE(error_of([&] { read("cls_loss=ce\ncls_gamma=9\n"); }), "");  // unused, yet unsound
  EXPECT_EQ(error_of([&] { read("cls_loss=softmax\n"); }),
            "net.cfg:2: [yolo] cls_loss: softmax is for scores that go through a softmax; here "
            "every class has a sigmoid");
}

}  // namespace
}  // namespace darknet::testing_losses
