// Keys of the objectness loss that change in the course of training, or follow another loss:
// obj_gamma_ramp and obj_guided, as losses and in the heads.
#include <gtest/gtest.h>

#include <sstream>
#include <tuple>

#include "cfg/parse.h"
#include "core/error.h"
#include "losses/objectness.h"
#include "tests/head_harness.h"
#include "tests/loss_harness.h"

namespace darknet::testing_layers {
namespace {

namespace losses_of = testing_losses;
using testing_losses::Example;

Objectness objectness_of(const std::string& keys) {
  Section section = losses_of::section_of(keys);
  const Objectness objectness = read_objectness(section, "ce");
  section.finish();
  return objectness;
}

void expect_equal(const LogitLoss& a, const LogitLoss& b, const Example& e, double relative) {
  for (double x = -20; x < 20; x += .43) {
    const double v = losses_of::value(b, x, e), g = losses_of::gradient(b, x, e);
    EXPECT_NEAR(losses_of::value(a, x, e), v, relative * std::fabs(v)) << "x = " << x;
    EXPECT_NEAR(losses_of::gradient(a, x, e), g, relative * std::fabs(g)) << "x = " << x;
  }
}

TEST(GammaRamp, BeginsWithTheLossAtGammaZero) {
  const auto first = [](const std::string& keys) {
    return loss_of_first_iteration(objectness_of(keys + "obj_gamma_ramp=1\n"));
  };
  for (const Example& e : {losses_of::kPositive, losses_of::kNegative}) {
    expect_equal(first("obj_loss=focal\n"), losses::BalancedCrossEntropy{.25f}, e, 1e-12);
    expect_equal(first("obj_loss=poly1\nobj_alpha=.25\nobj_epsilon=0\n"),
                 losses::BalancedCrossEntropy{.25f}, e, 1e-8);
    expect_equal(first("obj_loss=asymmetric\nobj_gamma_pos=1\nobj_margin=0\n"),
                 losses::CrossEntropy{}, e, 1e-12);
  }
  expect_equal(first("obj_loss=varifocal\n"), losses::BalancedCrossEntropy{.25f},
               losses_of::kNegative, 1e-12);
  expect_equal(loss_of_first_iteration(objectness_of("obj_loss=focal\n")),
               losses_of::focal(2, .25f), losses_of::kPositive, 0);
}

TEST(GammaRamp, IsLinear) {
  const float shares[] = {0, .25f, .5f, .75f, 1, 1, 1};
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(losses::ramp_share(i + 1, 4), shares[i]);
  EXPECT_EQ(losses::ramp_share(0, 4), 0);  // of a pass that belongs to no training
  EXPECT_EQ(losses::ramp_share(1, 0), 1);
}

// A sweep may keep the key.
TEST(GammaRamp, OfALossWithoutGammaGivesAWarning) {
  for (const std::string& name : names_of<LogitLoss>()) {
    testing::internal::CaptureStderr();
    const Objectness o = objectness_of("obj_loss=" + name + "\nobj_gamma_ramp=1\n");
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(o.gamma_ramp, has_focusing(o.loss)) << name;
    EXPECT_EQ(said.find("obj_gamma_ramp: the loss " + name) != said.npos, !o.gamma_ramp) << said;
    EXPECT_EQ(said.find(name + ": its gamma cannot rise from 0") != said.npos,
              name == "quality_focal" || name == "focal_star")
        << said;
  }
  EXPECT_TRUE(objectness_of("obj_loss=focal\nobj_gamma_ramp=1\n").gamma_ramp);
  EXPECT_FALSE(has_focusing(LogitLoss(losses::CrossEntropy{})));
  EXPECT_FALSE(has_focusing(LogitLoss(losses::QualityFocal{})));  // no gradient between 0 and 1
}

TEST(GammaRamp, RaisesGammaFromZeroOverTheBurnIn) {
  const auto gradients = [](const std::string& keys, std::int64_t iteration) {
    LayerSample s = sample_of("yolo", kYolo + "obj_loss=focal\n" + keys, 14, {kWide, kSquare});
    s.step.iteration = iteration;
    return passed(s).in_gradient[0].to_host({});
  };
  const std::tuple<std::int64_t, const char*> at[] = {{1, "obj_gamma=0\n"},
                                                      {kBurnIn / 2 + 1, "obj_gamma=1\n"},
                                                      {kBurnIn + 1, "obj_gamma=2\n"},
                                                      {1000, "obj_gamma=2\n"}};
  for (const auto& [iteration, keys] : at) {
    EXPECT_EQ(gradients("obj_gamma=2\nobj_gamma_ramp=1\n", iteration), gradients(keys, iteration))
        << iteration;
  }
  EXPECT_NE(gradients("obj_gamma_ramp=1\n", 1), gradients("", 1));
  EXPECT_EQ(gradients("obj_gamma_ramp=0\n", 1), gradients("", 1));
}

// The start has to suit the loss that the first iterations train with.
TEST(GammaRamp, IsBalancedAtItsBeginning) {
  const auto offset = [](const std::string& keys) {
    const Trial t(sample_of("yolo", kYolo + keys, 14, {kWide}), Mode::training);
    const float zero = 0;
    return t.layer->head()->balancing_offset({&zero, 1}, .01);
  };
  const double balanced = offset("obj_loss=balanced_ce\nobj_alpha=.25\n");
  EXPECT_NEAR(offset("obj_loss=focal\nobj_gamma_ramp=1\n"), balanced, 1e-9);
  EXPECT_GT(offset("obj_loss=focal\n"), balanced + 1);
}

TEST(GammaRamp, NeedsABurnIn) {
  const LayerContext without{.mode = Mode::training};
  std::istringstream in("[yolo]\nnum=1\nanchors=8,8\nobj_loss=focal\nobj_gamma_ramp=1\n");
  Section section = parse_cfg(in, "net.cfg").at(0);
  EXPECT_EQ(losses_of::error_of([&] { make_layer(section, without); }),
            "layer 0 [yolo] (net.cfg:1): obj_gamma_ramp=1 needs burn_in above 0 in [net]: gamma "
            "rises over it");
}

// The weight of the box loss in the head's own records; nothing else of the head changes.
TEST(Guided, FollowsTheBoxLossOfItsHead) {
  for (const char* type : {"yolo", "region"}) {
    const std::string keys = std::string(type) == "yolo" ? kYolo : kRegion;
    const auto told = [&](const std::string& more) {
      return passed(sample_of(type, cat(keys, "obj_loss=ce\n", more), 14, {kWide, kSquare}))
          .layer->head()
          ->telemetry({});
    };
    const HeadTelemetry plain = told(""), guided = told("obj_guided=1\nobj_normalizer=1.5\n");
    const auto objectness = [](const HeadTelemetry& t) {
      return t.objectness_loss_positive + t.objectness_loss_negative;
    };
    EXPECT_EQ(guided.box_loss, plain.box_loss);
    EXPECT_EQ(guided.class_loss, plain.class_loss);
    EXPECT_NEAR(objectness(guided), 1.5 * plain.box_loss, 1e-5) << type;
    EXPECT_NEAR(guided.objectness_loss_positive / objectness(guided),
                plain.objectness_loss_positive / objectness(plain), 1e-6);
    EXPECT_NEAR(guided.gradient_positive / guided.gradient(),
                plain.gradient_positive / plain.gradient(), 1e-6);
  }
}

// Until 12800 images, [region] draws the boxes of all anchors to their prior. That is no loss of an
// object, so the objectness does not follow it.
TEST(Guided, FollowsTheBoxesOfObjectsOnly) {
  const auto pass = [](std::int64_t images_seen, std::int32_t objects) {
    LayerSample s = sample_of("region", kRegion + "obj_loss=ce\nobj_guided=1\n", 14, {kWide});
    s.step.images_seen = images_seen;
    Trial t(s, Mode::training);
    *static_cast<std::int32_t*>(t.truth_counts.data()) = objects;
    t.forward();
    return t.layer->head()->telemetry({});
  };
  const auto objectness = [](const HeadTelemetry& t) {
    return t.objectness_loss_positive + t.objectness_loss_negative;
  };
  const HeadTelemetry none = pass(0, 0), early = pass(0, 1), late = pass(20000, 1);
  EXPECT_GT(none.box_loss, 0);
  EXPECT_EQ(objectness(none), 0);
  EXPECT_EQ(none.gradient(), 0);
  EXPECT_GT(early.box_loss, 1.001 * late.box_loss);
  EXPECT_GT(late.box_loss, 0);
  EXPECT_NEAR(objectness(early), late.box_loss, 1e-5);
  EXPECT_NEAR(objectness(late), late.box_loss, 1e-5);
}

}  // namespace
}  // namespace darknet::testing_layers
