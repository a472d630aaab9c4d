// Losses on one logit. What every loss must do is asked of each alternative of LogitLoss under many
// settings of its keys, so a new loss is tested without a line here; what the papers say of one
// loss is asked of that loss.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/rng.h"
#include "losses/class_keys.h"
#include "losses/objectness.h"
#include "tests/loss_harness.h"

namespace darknet::testing_losses {
namespace {

LogitLoss loss_of(const std::string& name, const std::string& keys = "") {
  Section section = section_of(keys);
  return read_loss<LogitLoss>(section, "obj_", name);
}

Objectness objectness_of(const std::string& keys, const std::string& fallback = "ce") {
  Section section = section_of(keys);
  return read_objectness(section, fallback);
}

// Every combination of round values of a loss's real keys that the parser accepts; of a third key
// fewer values.
std::vector<std::string> settings_of(const std::string& name) {
  std::vector<std::string> all = {""};
  int keys = 0;
  const auto extend = [&](std::string_view key, auto&, const auto& allowed, std::string_view) {
    if constexpr (std::is_same_v<std::decay_t<decltype(allowed)>, Reals>) {
      const std::vector<float> many{-1, 0, .25f, .5f, .75f, 1, 1.5f, 2, 5, 8},
          few{-1, 0, .25f, .75f, 8};
      const std::vector<float>& values = ++keys > 2 ? few : many;
      std::vector<std::string> longer;
      for (const std::string& s : all)
        for (const float v : values)
          if (v >= allowed.lo && v <= allowed.hi)
            longer.push_back(cat(s, "obj_", key, '=', v, '\n'));
      all = longer;
    }
  };
  LogitLoss loss = loss_of(name);
  std::visit([&](auto& l) { l.fields(extend); }, loss);
  std::erase_if(all,
                [&](const std::string& s) { return !error_of([&] { loss_of(name, s); }).empty(); });
  return all;
}

bool takes_soft_targets(const LogitLoss& loss) {
  return error_of([&] { require_hard_targets(section_of(""), {.loss = loss}, true); }).empty();
}

Examples examples_of(const LogitLoss& loss) {
  Examples all = {{1, true}, {0, false}};
  if (takes_soft_targets(loss))
    for (const double t : {.125, .4, .8})
      for (const bool positive : {true, false}) all.push_back({t, positive});
  return all;
}

// Over all magnitudes: every 1021st float from the smallest normal ones on.
TEST(LogitMath, HasTheErrorsThatItsHeaderStates) {
  constexpr auto kFirst = std::bit_cast<std::uint32_t>(2 * std::numeric_limits<float>::min());
  double of_exp = 0, of_log = 0;
  for (std::uint32_t bits = kFirst; bits <= std::bit_cast<std::uint32_t>(87.3f); bits += 1021) {
    const auto a = std::bit_cast<float>(bits);
    const double exact = a;
    of_exp = std::max(of_exp, std::fabs(losses::exp_of_negative(-a) / std::exp(-exact) - 1));
    if (a <= 1)
      of_log = std::max(of_log, std::fabs(losses::log1p_of_fraction(a) / std::log1p(exact) - 1));
  }
  EXPECT_LT(of_exp, 4e-7);
  EXPECT_LT(of_log, 3e-7);
  EXPECT_EQ(losses::exp_of_negative(0.f), 1);
  EXPECT_EQ(losses::log1p_of_fraction(0.f), 0);
  EXPECT_NEAR(losses::log1p_of_fraction(1.f), std::log(2.), 2e-7);
  for (const float x : {-104.f, -1e9f, -std::numeric_limits<float>::infinity()})
    EXPECT_EQ(losses::exp_of_negative(x), 0);
  EXPECT_TRUE(std::isnan(losses::exp_of_negative(NAN)));
  EXPECT_TRUE(std::isnan(losses::log1p_of_fraction(NAN)));
}

class EveryLoss : public testing::TestWithParam<std::string> {
 protected:
  // f(loss, example) for all settings and targets.
  template <class F>
  void each(F f) {
    for (const std::string& keys : settings_of(GetParam())) {
      SCOPED_TRACE(GetParam() + " " + keys);
      const LogitLoss loss = loss_of(GetParam(), keys);
      for (const Example& e : examples_of(loss)) {
        SCOPED_TRACE(cat("target ", e.t, e.positive ? " positive" : " negative"));
        f(loss, e);
        if (HasFatalFailure()) return;
      }
    }
  }
};

TEST_P(EveryLoss, GradientsAreCentralDifferences) {
  const double h = 1e-5;
  each([&](const LogitLoss& loss, const Example& e) {
    for (double x = -30; x < 30; x += .37) {
      if (e.positive != (e.t == 1) && std::fabs(sigmoid(x) - e.t) < .01) continue;  // |p - t|^gamma
      const double slope = (value(loss, x + h, e) - value(loss, x - h, e)) / (2 * h);
      ASSERT_NEAR(gradient(loss, x, e), slope, 1e-8) << "x = " << x;
    }
  });
}

TEST_P(EveryLoss, FloatEqualsDouble) {
  each([&](const LogitLoss& loss, const Example& e) {
    const Example same{static_cast<float>(e.t), e.positive};
    // What a rounding of the logit near 0 changes counts as equal: near a threshold of a loss that
    // is more than a relative error.
    constexpr double kRounding = 4e-7;
    const auto expect_near = [](float got, double right, double below, double above, float x) {
      const double rounding = std::fabs(above - below);
      ASSERT_NEAR(got, right, std::max({1e-5 * std::fabs(right), rounding, 1e-37})) << "x = " << x;
    };
    for (float x = -100; x <= 100; x += .0625f) {
      const double p = sigmoid(x), low = x - kRounding, high = x + kRounding;
      if (e.t != 0 && e.t != 1 && std::fabs(p - e.t) < .1) continue;  // ill-conditioned there
      expect_near(value(loss, x, e), value<double>(loss, x, same), value(loss, low, same),
                  value(loss, high, same), x);
      expect_near(gradient(loss, x, e), gradient<double>(loss, x, same), gradient(loss, low, same),
                  gradient(loss, high, same), x);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(EveryLoss, IsFiniteForEveryLogitAndPassesNaNOn) {
  each([&](const LogitLoss& loss, const Example& e) {
    for (const float a : {0.f, 1e-38f, 9.39f, 16.64f, 88.f, 89.f, 103.f, 104.f, 800.f, 1e4f,
                          std::numeric_limits<float>::max()})
      for (const float x : {a, -a}) {
        ASSERT_TRUE(std::isfinite(value(loss, x, e))) << "x = " << x;
        ASSERT_TRUE(std::isfinite(gradient(loss, x, e))) << "x = " << x;
        ASSERT_GE(value(loss, x, e), 0) << "x = " << x;
      }
    const float weight = value(loss, e.t > .5 ? -3.f : 3.f, e);
    if (weight == 0) return;  // alpha 0 or 1 switches this side off
    ASSERT_TRUE(std::isnan(value(loss, NAN, e)));
    ASSERT_TRUE(std::isnan(gradient(loss, NAN, e)));
  });
}

// The gradient has the sign of p - t: for hard targets the loss falls in p_t, for soft ones its
// minimum lies at p = t and nowhere else.
TEST_P(EveryLoss, PullsTowardsItsTarget) {
  each([&](const LogitLoss& loss, const Example& e) {
    for (double x = -12; x < 12; x += .171) {
      const double g = gradient(loss, x, e);
      ASSERT_GE(g * (sigmoid(x) - e.t), 0) << "x = " << x;
    }
  });
}

// With alpha exchanged for 1 - alpha. A loss that declares otherwise must differ somewhere.
TEST_P(EveryLoss, TheTwoSidesMirrorEachOther) {
  double largest = 0;
  const bool mirrored = traits_of(loss_of(GetParam())).mirrored;
  each([&](const LogitLoss& loss, const Example& e) {
    LogitLoss other = loss;
    std::visit(
        [](auto& l) {
          l.fields([](std::string_view key, auto& member, const auto&, std::string_view) {
            if (key == "alpha" && member >= 0) member = 1 - member;
          });
        },
        other);
    for (double x = -20; x < 20; x += .73) {
      const Example opposite{1 - e.t, !e.positive};
      const double v = value(loss, x, e) - value(other, -x, opposite);
      const double g = gradient(loss, x, e) + gradient(other, -x, opposite);
      largest = std::max({largest, std::fabs(v), std::fabs(g)});
      if (!mirrored) continue;
      ASSERT_NEAR(v, 0, 1e-12) << "x = " << x;
      ASSERT_NEAR(g, 0, 1e-12) << "x = " << x;
    }
  });
  EXPECT_EQ(largest < .01, mirrored);
}

TEST_P(EveryLoss, BalancesAtItsStationaryPrior) {
  for (const std::string& keys : settings_of(GetParam())) {
    const LogitLoss loss = loss_of(GetParam(), keys);
    const std::string text = "obj_loss=" + GetParam() + "\nobj_prior=auto\n" + keys;
    const bool asked = error_of([&] { objectness_of(text); }).empty();
    const bool both = value(loss, 0., {1, true}) > 0 && value(loss, 0., {0, false}) > 0;
    if (!asked || !both) continue;
    for (const double eta : {.0005, .02, .5}) {
      const Balance balance{eta, 5, .5};
      const float zero = 0;
      const double x = balancing_offset(loss, {&zero, 1}, balance);
      EXPECT_NEAR(stationary_prior(loss, balance), sigmoid(x), 1e-6);
      const double up = eta * 5 * gradient(loss, x, {1, true});
      const double down = (1 - eta) * .5 * gradient(loss, x, {0, false});
      EXPECT_NEAR(up / down, -1, 1e-5) << GetParam() << ' ' << keys << "eta " << eta;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variant, EveryLoss, testing::ValuesIn(names_of<LogitLoss>()),
                         [](const auto& info) { return info.param; });

TEST(Focal, DiscountsWellClassifiedExamplesAsThePaperSays) {
  const LogitLoss ce = losses::CrossEntropy{}, fl = focal(2, -1);
  const auto cheaper = [&](double pt) {
    return value(ce, logit(pt), kPositive) / value(fl, logit(pt), kPositive);
  };
  EXPECT_NEAR(cheaper(.9), 100, 1e-9);
  EXPECT_NEAR(cheaper(.968), 1000, 25);
  EXPECT_NEAR(cheaper(.5), 4, 1e-12);
  const auto gentler = [&](double pt) {
    return gradient(ce, logit(pt), kPositive) / gradient(fl, logit(pt), kPositive);
  };
  EXPECT_NEAR(gentler(.9), 34.5, .1);
  EXPECT_NEAR(gentler(.968), 330, 2);
  EXPECT_NEAR(1 / gentler(.5), .6, .005);
}

TEST(Focal, HasTheKnownValuesAndBounds) {
  EXPECT_NEAR(value(focal(2, .25f), 0., kPositive), .043322, 5e-7);
  EXPECT_NEAR(gradient(focal(2, .25f), 0., kPositive), -.074572, 5e-7);
  const std::pair<float, double> steepest[] = {{0, 1.}, {1, 1.05}, {2, 1.13}, {5, 1.31}};
  for (const auto& [gamma, bound] : steepest) {
    double max = 0;
    for (double x = -40; x < 20; x += .001)
      max = std::max(max, -gradient(focal(gamma, -1), x, kPositive));
    EXPECT_NEAR(max, bound, .005) << "gamma " << gamma;
  }
}

TEST(Focal, FallsWithGamma) {
  for (double x = -8; x < 8; x += .31)
    for (const Example& e : {kPositive, kNegative})
      for (float gamma = 0; gamma < 7.5f; gamma += .5f)
        EXPECT_LT(value(focal(gamma + .5f, .25f), x, e), value(focal(gamma, .25f), x, e));
}

TEST(Focal, AlphaSwitchesASideOffExactly) {
  for (float x = -9; x < 9; x += .7f) {
    EXPECT_EQ(value(focal(2, 1), x, kNegative), 0);
    EXPECT_EQ(gradient(focal(2, 1), x, kNegative), 0);
    EXPECT_EQ(value(focal(2, 0), x, kPositive), 0);
    EXPECT_EQ(gradient(focal(2, 0), x, kPositive), 0);
    EXPECT_EQ(value(focal(2, 1), x, kPositive), value(focal(2, -1), x, kPositive));
  }
}

// Logits of all sizes, most of them where sigmoids do something.
std::vector<float> many_logits() {
  std::vector<float> all = {0, 1e-30f, -1e-30f, 16.64f, -16.64f, 1e4f, -1e4f};
  Rng rng(11);
  for (int i = 0; i < 100000; ++i) all.push_back(rng.uniform(-20, 20));
  for (int i = 0; i < 20000; ++i) all.push_back(rng.uniform(-200, 200));
  return all;
}

void expect_same_bits(const LogitLoss& a, const LogitLoss& b, const Examples& examples) {
  const auto bits = [](float v) { return std::bit_cast<std::uint32_t>(v + 0.f); };  // -0 is 0
  for (const float x : many_logits())
    for (const Example& e : examples) {
      ASSERT_EQ(bits(value(a, x, e)), bits(value(b, x, e))) << x << " against " << e.t;
      ASSERT_EQ(bits(gradient(a, x, e)), bits(gradient(b, x, e))) << x << " against " << e.t;
    }
}

TEST(Focal, AtGammaZeroIsCrossEntropyToTheLastBit) {
  const Examples hard = {kPositive, kNegative}, soft = {{.3, true}, {.3, false}, {.875, true}};
  expect_same_bits(focal(0, -1), losses::CrossEntropy{}, hard);
  expect_same_bits(losses::QualityFocal{0, -1}, losses::CrossEntropy{}, hard);
  expect_same_bits(losses::QualityFocal{0, -1}, losses::CrossEntropy{}, soft);
  expect_same_bits(losses::BalancedCrossEntropy{-1}, losses::CrossEntropy{}, soft);
  for (const float alpha : {0.f, .25f, .75f, 1.f}) {
    expect_same_bits(focal(0, alpha), losses::BalancedCrossEntropy{alpha}, hard);
    expect_same_bits(losses::QualityFocal{0, alpha}, losses::BalancedCrossEntropy{alpha}, soft);
  }
}

TEST(QualityFocal, OnHardTargetsIsFocalWithoutAlpha) {
  for (const float gamma : {1.f, 1.5f, 2.f, 5.f})
    for (double x = -30; x < 30; x += .43)
      for (const Example& e : {kPositive, kNegative}) {
        const LogitLoss quality = losses::QualityFocal{gamma, -1};
        const double v = value(focal(gamma, -1), x, e), g = gradient(focal(gamma, -1), x, e);
        EXPECT_NEAR(value(quality, x, e), v, 1e-12 * std::fabs(v));
        EXPECT_NEAR(gradient(quality, x, e), g, 1e-12 * std::fabs(g));
      }
}

// Values of the formulas of the papers (docs/losses.md) in decimal arithmetic of 50 digits, their
// slopes by central differences of those.
struct Known {
  const char* name;
  const char* keys;
  double x, t, value, slope;
};

const Known kKnown[] = {
    {"focal_star", "", -1.5, 1, 1.063464006, -.880797078},
    {"focal_star", "", -1.5, 0, .009074964, .017986210},
    {"focal_star", "", .7, 1, .043418076, -.083172696},
    {"focal_star", "", 3, 0, 2.503357674, .993307149},
    {"varifocal", "", -1.5, .6, .660847967, -.250544686},
    {"varifocal", "", -1.5, 0, .005027135, .012773329},
    {"varifocal", "", .7, .6, .409911629, .040912663},
    {"varifocal", "", 3, 0, 2.074710331, .845062410},
    {"poly1", "", -1.5, 1, 1.683762007, -1.260505692},
    {"poly1", "", .7, 1, .080922836, -.169086055},
    {"poly1", "", 3, 1, .000215954, -.000619708},
    {"poly1", "obj_alpha=.25\nobj_epsilon=-1\n", -1.5, 0, .000473921, .001605554},
    {"poly1", "obj_alpha=.25\nobj_epsilon=-1\n", .7, 0, .145661859, .246169648},
    {"poly1", "obj_alpha=.25\nobj_epsilon=-1\n", 3, 0, 1.426437818, .752827741},
    {"asymmetric", "obj_gamma_pos=1\n", -1.5, 1, 1.391032070, -.922187778},
    {"asymmetric", "obj_gamma_pos=1\n", 3, 1, .002304298, -.004444228},
    {"asymmetric", "", -1.5, 0, .000043686, .000249675},
    {"asymmetric", "", .7, 0, .140614337, .286530419},
    {"asymmetric", "", 3, 0, 1.545390539, .617137589},
};

TEST(EveryFormula, HasTheKnownValues) {
  for (const Known& k : kKnown) {  // keys are floats: .05 is not exact
    const LogitLoss loss = loss_of(k.name, k.keys);
    const Example e{k.t, k.t > 0};
    EXPECT_NEAR(value(loss, k.x, e), k.value, 2e-8) << k.name << ' ' << k.x << ' ' << k.t;
    EXPECT_NEAR(gradient(loss, k.x, e), k.slope, 2e-8) << k.name << ' ' << k.x << ' ' << k.t;
  }
}

void expect_equal(const LogitLoss& a, const LogitLoss& b, const Example& e, double relative) {
  for (double x = -30; x < 30; x += .43) {
    const double v = value(b, x, e), g = gradient(b, x, e);
    EXPECT_NEAR(value(a, x, e), v, relative * std::fabs(v)) << "x = " << x;
    EXPECT_NEAR(gradient(a, x, e), g, relative * std::fabs(g)) << "x = " << x;
  }
}

TEST(Relatives, AreTheirSpecialCases) {
  for (const Example& e : {kPositive, kNegative}) {
    expect_equal(losses::FocalStar{1, 0}, losses::CrossEntropy{}, e, 1e-12);
    for (const float gamma : {0.f, .5f, 2.f, 5.f}) {
      expect_equal(losses::Poly1{gamma, .25f, 0}, focal(gamma, .25f), e, 1e-8);
      expect_equal(losses::Asymmetric{gamma, gamma, 0}, focal(gamma, -1), e, 1e-12);
    }
  }
  expect_equal(losses::Varifocal{1, 2}, focal(2, -1), kNegative, 1e-12);
  expect_equal(losses::Varifocal{}, losses::CrossEntropy{}, kPositive, 1e-12);
}

TEST(Asymmetric, HasNoGradientBelowItsMarginAndLittleAtMislabelledBackground) {
  const LogitLoss loss = losses::Asymmetric{0, 4, .05f};
  EXPECT_EQ(value(loss, logit(.049), kNegative), 0);
  EXPECT_EQ(gradient(loss, logit(.049), kNegative), 0);
  EXPECT_GT(gradient(loss, logit(.06), kNegative), 0);
  EXPECT_LT(gradient(loss, logit(.999), kNegative), .1 * gradient(loss, logit(.9), kNegative));
  EXPECT_EQ(error_of([] { objectness_of("obj_loss=asymmetric\nobj_prior=auto\n"); }),
            "net.cfg:3: [yolo] obj_prior: obj_prior=auto is not for obj_loss=asymmetric, which has "
            "no gradient for background below its margin; give a number, such as obj_prior=.01");
}

TEST(BalancedCrossEntropy, AlphaBelongsToTheStateNotToTheTarget) {
  const LogitLoss ce = losses::CrossEntropy{}, balanced = losses::BalancedCrossEntropy{.25f};
  for (const double t : {0., .3, .9}) {
    EXPECT_EQ(value(balanced, 1.5, {t, true}), .25 * value(ce, 1.5, {t, true}));
    EXPECT_EQ(value(balanced, 1.5, {t, false}), .75 * value(ce, 1.5, {t, false}));
  }
}

// Without new keys a head learns what Darknet does: p - t, and (p - t) p (1 - p).
TEST(Defaults, GiveTheDarknetsDeltasWithinRounding) {
  const Objectness yolo = objectness_of("", "ce"), region = objectness_of("", "mse");
  EXPECT_EQ(yolo.rules.target, ObjectnessTarget::from_keys);
  EXPECT_FALSE(yolo.rules.by_positives() || yolo.start.has_prior());
  for (const float x : many_logits())
    for (const float t : {0.f, .37f, 1.f}) {
      const float p = math::sigmoid(x);
      ASSERT_NEAR(gradient(yolo.loss, x, {t, t > 0}), p - t, 1.2e-7f);
      ASSERT_NEAR(gradient(region.loss, x, {t, t > 0}), (p - t) * p * (1 - p), 1.2e-7f);
    }
}

TEST(LossText, IsReadAndRefused) {
  const auto refused = [](const std::string& text) { return error_of([&] { parse_loss(text); }); };
  EXPECT_EQ(std::get<losses::Focal>(parse_loss("focal")).gamma, 2);
  const auto poly = std::get<losses::Poly1>(parse_loss("poly1:epsilon=-1,gamma=.5"));
  EXPECT_EQ(poly.epsilon, -1);
  EXPECT_EQ(poly.gamma, .5f);
  EXPECT_NE(refused("foca").find("did you mean 'focal'?"), std::string::npos);
  EXPECT_EQ(refused("focal:gamma=9"), "focal:gamma=9: [loss] gamma: 9 is outside [0, 8]");
  EXPECT_EQ(refused("focal:gama=2"),
            "focal:gama=2: focal has no key 'gama'; its keys are gamma, alpha");
  EXPECT_EQ(refused("focal:name=ce"),
            "focal:name=ce: focal has no key 'name'; its keys are gamma, alpha");
  EXPECT_EQ(refused("ce:gamma=2"), "ce:gamma=2: ce has no key 'gamma'; it has none at all");
  EXPECT_EQ(refused("focal:gamma=2,gamma=3"), "focal:gamma=2,gamma=3: gamma is given twice");
  EXPECT_NE(refused("focal:gamma"), "");
  EXPECT_NE(refused("focal:gamma=2,,alpha=1"), "");
  EXPECT_NE(refused("quality_focal:gamma=.5").find("gradient is infinite"), std::string::npos);
  EXPECT_NE(refused(""), "");
  EXPECT_EQ(refused("ghm:bins=9"),
            "ghm:bins=9: the weights of ghm depend on the batch, so it has no curve");
}

TEST(EveryLossList, NamesALossForSoftTargetsThatTakesThem) {
  for (const ClassLoss& loss : all_of<ClassLoss>()) {
    const std::string_view other = traits_of(loss).for_soft_targets;
    if (other.empty()) continue;
    EXPECT_TRUE(takes_soft_targets(loss_of(std::string(other)))) << name_of(loss);
  }
}

// The table of docs/loss-math.md (What focal loss does to probabilities): the unconstrained
// minimiser p* for a share eta of positives.
TEST(StationaryPrior, IsTheTableOfTheMinimisers) {
  struct Row {
    float gamma, alpha;
    double at[7];
  };
  const double eta[7] = {.001, .01, .05, .1, .5, .9, .99};
  const Row rows[] = {
      {0, .5f, {.001, .010, .050, .100, .500, .900, .990}},
      {0, .25f, {.0003, .003, .017, .036, .25, .75, .971}},
      {0, .75f, {.003, .029, .136, .25, .75, .964, .997}},
      {1, .5f, {.023, .073, .162, .226, .500, .774, .927}},
      {2, .5f, {.073, .154, .250, .306, .500, .694, .846}},
      {2, .25f, {.050, .108, .182, .227, .399, .601, .786}},
      {2, .75f, {.104, .214, .334, .399, .601, .773, .892}},
      {5, .5f, {.224, .305, .371, .403, .500, .597, .695}},
  };
  for (const Row& r : rows)
    for (int i = 0; i < 7; ++i)
      EXPECT_NEAR(stationary_prior(focal(r.gamma, r.alpha), {eta[i], 1, 1}), r.at[i], 6e-4)
          << "gamma " << r.gamma << " alpha " << r.alpha << " eta " << eta[i];
}

TEST(StationaryPrior, IsWhatTheFactsSayOfVoc) {  // gamma 2, alpha .25, 2.42 objects per image
  EXPECT_NEAR(stationary_prior(focal(2, .25f), {2.42 / 845, 5, 1}), .121, .001);
  EXPECT_NEAR(stationary_prior(losses::CrossEntropy{}, {.02, 1, 1}), .02, 1e-6);
  EXPECT_NEAR(stationary_prior(losses::CrossEntropy{}, {.02, 5, 1}), .1 / (.1 + .98), 1e-6);
}

TEST(ObjectnessKeys, AreReadAndRefused) {
  const Objectness o = objectness_of(
      "obj_loss=focal\nobj_gamma=1.5\nobj_alpha=-1\nobj_target=one\nobj_norm=positives\n"
      "obj_prior=.02\n");
  const auto& loss = std::get<losses::Focal>(o.loss);
  EXPECT_EQ(loss.gamma, 1.5f);
  EXPECT_EQ(loss.alpha, -1);
  EXPECT_EQ(o.rules.target, ObjectnessTarget::one);
  EXPECT_TRUE(o.rules.by_positives());
  EXPECT_TRUE(objectness_of("obj_norm=positives_ema\n").rules.by_positives());
  EXPECT_EQ(o.start.prior, RealOrAuto{.02f});
  EXPECT_EQ(objectness_of("obj_prior=auto\nobj_target=iou\n").start.prior, (RealOrAuto{1, true}));
  const auto refused = [](const std::string& keys) {
    return error_of([&] { objectness_of(keys); });
  };
  EXPECT_EQ(refused("obj_loss=foca\n"),
            fmt::format("net.cfg:2: [yolo] obj_loss: 'foca' is none of {}; did you mean 'focal'?",
                        fmt::join(names_of<LogitLoss>(), ",")));
  EXPECT_EQ(refused("obj_loss=quality_focal\nobj_gamma=.5\n"),
            "net.cfg:3: [yolo] obj_gamma: quality_focal needs 0 or at least 1: between them its "
            "gradient is infinite at p = t");
  EXPECT_EQ(refused("obj_loss=mse\nobj_prior=auto\n"),
            "net.cfg:3: [yolo] obj_prior: obj_prior=auto is not for obj_loss=mse, whose gradient "
            "vanishes at a small prior; give a number, such as obj_prior=.01");
  EXPECT_EQ(refused("obj_loss=ohem\nobj_prior=auto\n"),
            "net.cfg:3: [yolo] obj_prior: obj_prior=auto is not for obj_loss=ohem, whose weights "
            "depend on the batch; give a number, such as obj_prior=.01");
  EXPECT_NE(refused("obj_loss=ghm\nobj_bins=33\n"), "");
  EXPECT_EQ(
      refused("obj_guided=1\nobj_norm=positives\n"),
      "net.cfg:2: [yolo] obj_guided: obj_guided=1 sets the weight of the objectness loss by the "
      "box loss, and obj_norm=positives would set it too; remove obj_guided, or take "
      "obj_norm=images and a number for obj_normalizer");
  EXPECT_NE(refused("obj_guided=1\nobj_norm=positives_ema\n").find("obj_norm=positives_ema would"),
            std::string::npos);
  EXPECT_EQ(refused("obj_loss=class_balanced\nobj_effective_beta=.9\n"), "");
  EXPECT_NE(refused("obj_loss=class_balanced\nobj_effective_beta=1\n"), "");
  EXPECT_EQ(refused("obj_guided=1\n"), "");
  EXPECT_EQ(refused("obj_prior=1\n"), "net.cfg:2: [yolo] obj_prior: 1 is outside [0, 0.999999]");
  EXPECT_NE(refused("obj_loss=focal\nobj_gamma=9\n"), "");
  EXPECT_EQ(refused("obj_loss=ce\nobj_gamma=3\n"), "");  // a sweep may keep it: a warning
  EXPECT_NE(refused("obj_loss=ce\nobj_gamma=nan\n"), "");
  EXPECT_FALSE(takes_soft_targets(focal(2, .25f)));
  EXPECT_TRUE(takes_soft_targets(losses::QualityFocal{}));
}

}  // namespace
}  // namespace darknet::testing_losses
