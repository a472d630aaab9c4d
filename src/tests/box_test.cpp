// Overlaps of boxes, the gradients of box losses and suppression, on boxes small enough to work out
// by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/rng.h"
#include "detect/nms.h"
#include "losses/box.h"

namespace darknet {
namespace {

using Wide = BasicBox<double>;

constexpr Overlap kAll[] = {Overlap::iou, Overlap::giou, Overlap::diou, Overlap::ciou};
const double kV = 4 / (M_PI * M_PI);  // of CIoU's aspect term

struct Pair {
  const char* name;
  Wide p, t;
  double iou, giou, diou, ciou;
};

double ciou_penalty(double iou, double w, double h, double tw, double th) {
  const double v = kV * std::pow(std::atan(tw / th) - std::atan(w / h), 2);
  return v * v / (1 - iou + v);
}

const Pair kPairs[] = {
    {"Equal", {2, 2, 2, 2}, {2, 2, 2, 2}, 1, 1, 1, 1},
    // [1,3]x[1,3] and [2,4]x[1,3]: 2 of 6, enclosed by 3x2
    {"Shifted", {2, 2, 2, 2}, {3, 2, 2, 2}, 1. / 3, 1. / 3, 1. / 3 - 1. / 13, 1. / 3 - 1. / 13},
    // [0,2]x[0,2] and [3,5]x[0,2]: 8 of the enclosing 10
    {"Apart", {1, 1, 2, 2}, {4, 1, 2, 2}, 0, -.2, -9. / 29, -9. / 29},
    {"Inside", {2, 2, 4, 4}, {2, 2, 2, 1}, .125, .125, .125, .125 - ciou_penalty(.125, 4, 4, 2, 1)},
    // [0,2]x[0,2] and [1,4]x[1,3]: 1 of 9, enclosed by 4x3
    {"Corner",
     {1, 1, 2, 2},
     {2.5, 2, 3, 2},
     1. / 9,
     1. / 9 - .25,
     1. / 9 - 3.25 / 25,
     1. / 9 - 3.25 / 25 - ciou_penalty(1. / 9, 2, 2, 3, 2)},
    {"Touching", {1, 1, 2, 2}, {3, 1, 2, 2}, 0, 0, -4. / 20, -4. / 20},
};

class Overlaps : public testing::TestWithParam<Pair> {};

TEST_P(Overlaps, AreTheHandsValues) {
  const Pair& k = GetParam();
  EXPECT_NEAR(iou(k.p, k.t), k.iou, 1e-14);
  EXPECT_NEAR(giou(k.p, k.t), k.giou, 1e-14);
  EXPECT_NEAR(diou(k.p, k.t), k.diou, 1e-14);
  EXPECT_NEAR(ciou(k.p, k.t), k.ciou, 2e-6);  // 1e-6 in alpha's denominator
  for (const Overlap kind : kAll) {
    EXPECT_NEAR(overlap(kind, k.p, k.t), overlap(kind, k.t, k.p), 1e-14) << "symmetry";
    const Wide p{7 + 3 * k.p.x, 1 + 3 * k.p.y, 3 * k.p.w, 3 * k.p.h};
    const Wide t{7 + 3 * k.t.x, 1 + 3 * k.t.y, 3 * k.t.w, 3 * k.t.h};
    EXPECT_NEAR(overlap(kind, p, t), overlap(kind, k.p, k.t), 1e-14) << "moved and enlarged";
  }
}

INSTANTIATE_TEST_SUITE_P(ByHand, Overlaps, testing::ValuesIn(kPairs),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Overlaps, OfNothingAreFinite) {
  const Box point{.5f, .5f, 0, 0}, box{.2f, .2f, .1f, .1f};
  EXPECT_EQ(iou(point, point), 0);
  EXPECT_EQ(giou(point, point), 0);
  EXPECT_EQ(diou(point, point), 0);
  EXPECT_EQ(distance_iou(point, point, .6f), 0);
  EXPECT_EQ(iou(point, box), 0);
  for (const Overlap kind : {Overlap::giou, Overlap::diou})
    EXPECT_TRUE(std::isfinite(overlap(kind, point, box)));
}

void expect_exact(Overlap kind, const Wide& p, const Wide& t) {
  const double h = 1e-6;
  const auto slope = [&](double Wide::*side) {
    Wide up = p, down = p;
    up.*side += h, down.*side -= h;
    return (overlap(kind, up, t) - overlap(kind, down, t)) / (2 * h);
  };
  const auto g = losses::exact_overlap_gradient(kind, p, t);
  EXPECT_NEAR(g.x, slope(&Wide::x), 1e-7);
  EXPECT_NEAR(g.y, slope(&Wide::y), 1e-7);
  EXPECT_NEAR(g.w, slope(&Wide::w), 1e-7);
  EXPECT_NEAR(g.h, slope(&Wide::h), 1e-7);
}

// Overlapping, apart, the prediction inside the truth, the truth inside the prediction.
TEST(ExactBoxGradient, IsTheCentralDifferenceInEveryArrangement) {
  Rng rng(3);
  const auto r = [&](float lo, float hi) { return static_cast<double>(rng.uniform(lo, hi)); };
  for (int i = 0; i < 200; ++i) {
    const Wide t{r(-1, 1), r(-1, 1), r(1, 2), r(1, 2)};
    const Wide arranged[] = {
        {t.x + r(-.7f, .7f), t.y + r(-.7f, .7f), r(1, 2), r(1, 2)},
        {t.x + r(3, 4), t.y + r(-.5f, .5f), r(1, 2), r(1, 2)},
        {t.x + r(3, 4), t.y - r(3, 4), r(1, 2), r(1, 2)},
        {t.x + r(-.2f, .2f), t.y + r(-.2f, .2f), r(.2f, .5f), r(.2f, .5f)},
        {t.x + r(-.2f, .2f), t.y + r(-.2f, .2f), r(3, 4), r(3, 4)},
    };
    for (const Wide& p : arranged)
      for (const Overlap kind : kAll) {
        SCOPED_TRACE(cat("kind ", static_cast<int>(kind), ", box ", &p - arranged, " of ", i));
        expect_exact(kind, p, t);
      }
  }
}

TEST(ExactBoxGradient, InFloatEqualsDouble) {
  const BasicBox<float> p{.31f, .42f, .2f, .13f}, t{.35f, .40f, .16f, .21f};
  const Wide pd{p.x, p.y, p.w, p.h}, td{t.x, t.y, t.w, t.h};
  for (const Overlap kind : kAll) {
    const auto f = losses::exact_overlap_gradient(kind, p, t);
    const auto d = losses::exact_overlap_gradient(kind, pd, td);
    for (const auto& [a, b] : {std::pair{f.x, d.x}, {f.y, d.y}, {f.w, d.w}, {f.h, d.h}})
      EXPECT_NEAR(a, b, 2e-5 * std::max(1., std::fabs(b)));
  }
}

// Darknet's rule (IoU family): x, y get dQ, where the distance term's
// S dD/D^2 has the wrong sign; w, h get twice the derivative of I/U (and U/C), once that of the
// penalty. Each number below is written as that rule's arithmetic.
struct Rule {
  const char* name;
  Wide p, t;
  double iou[4], giou[4], diou[4];  // x, y, w, h
};

constexpr double quotient(double n, double dn, double d, double dd) {
  return (d * dn - n * dd) / (d * d);
}

const Rule kRules[] = {
    // [1,3]x[1,3] and [2,5]x[0,4]. I = 1*2, U = 4+12-2 = 14, C = 4*4, S = 1.5^2, D = 4^2+4^2.
    // The right edge moves I by 2, the left edge moves C by -4; dA = 0, 0, 2, 2.
    {"Overlapping",
     {2, 2, 2, 2},
     {3.5, 2, 3, 4},
     {quotient(2, 2, 14, -2), 0, 2 * quotient(2, 1, 14, 2 - 1), 2 * quotient(2, 1, 14, 2 - 1)},
     {quotient(2, 2, 14, -2) + quotient(14, -2, 16, -4), 0,
      2 * quotient(2, 1, 14, 1) + 2 * quotient(14, 1, 16, 2),
      2 * quotient(2, 1, 14, 1) + 2 * quotient(14, 1, 16, 0)},
     {quotient(2, 2, 14, -2) + 3. / 32 + 2.25 * 8 / 1024, 0,
      2 * quotient(2, 1, 14, 1) + 2.25 * 4 / 1024, 2 * quotient(2, 1, 14, 1)}},
    // [0,2]x[0,2] and [3,5]x[4,6]. Iw = -1, Ih = -2 are not clamped: I = 2, U = 6; C = 5*6,
    // S = 9+16, D = 25+36. Apart: giou is U/C alone, diou the penalty alone.
    {"Apart",
     {1, 1, 2, 2},
     {4, 5, 2, 2},
     {quotient(2, -2, 6, 2), quotient(2, -1, 6, 1), 2 * quotient(2, -1, 6, 2 + 1),
      2 * quotient(2, -.5, 6, 2 + .5)},
     {quotient(6, 2, 30, -6), quotient(6, 1, 30, -5), 2 * quotient(6, 3, 30, 3),
      2 * quotient(6, 2.5, 30, 2.5)},
     {6. / 61 + 25. * 10 / 3721, 8. / 61 + 25. * 12 / 3721, 25. * 5 / 3721, 25. * 6 / 3721}},
    // [0,4]x[0,4] around [1,2]x[1,3]. I = 2, U = C = 16, S = .5^2, D = 32; dI = 0, dU = dC.
    {"Containing",
     {2, 2, 4, 4},
     {1.5, 2, 1, 2},
     {0, 0, 2 * quotient(2, 0, 16, 4), 2 * quotient(2, 0, 16, 4)},
     {0, 0, 2 * quotient(2, 0, 16, 4), 2 * quotient(2, 0, 16, 4)},
     {-1. / 32, 0, 2 * quotient(2, 0, 16, 4) + .25 * 8 / 1024,
      2 * quotient(2, 0, 16, 4) + .25 * 8 / 1024}},
    // [1,2]x[1,3] inside [0,4]x[0,4]. I = A = 2, U = C = 16 whatever it does; dI = 0, 0, 2, 1.
    {"Contained",
     {1.5, 2, 1, 2},
     {2, 2, 4, 4},
     {0, 0, 2 * 2. / 16, 2 * 1. / 16},
     {0, 0, 2 * 2. / 16, 2 * 1. / 16},
     {1. / 32, 0, 2 * 2. / 16, 2 * 1. / 16}},
};

class DarknetBoxGradient : public testing::TestWithParam<Rule> {
 protected:
  static void expect(const losses::BoxGradient<double>& g, const double (&expected)[4]) {
    EXPECT_NEAR(g.x, expected[0], 1e-14);
    EXPECT_NEAR(g.y, expected[1], 1e-14);
    EXPECT_NEAR(g.w, expected[2], 1e-14);
    EXPECT_NEAR(g.h, expected[3], 1e-14);
  }
};

TEST_P(DarknetBoxGradient, IsItsRule) {
  const Rule& r = GetParam();
  const losses::DarknetOverlapGradient<double> g(r.p, r.t);
  expect(g.of(Overlap::iou), r.iou);
  expect(g.of(Overlap::giou), r.giou);
  expect(g.of(Overlap::diou), r.diou);
}

// CIoU: diou's, and -alpha dv with alpha held constant and dv without 1 / (w^2 + h^2).
TEST_P(DarknetBoxGradient, AddsTheAspectTermForCiou) {
  const Rule& r = GetParam();
  const double difference = std::atan(r.t.w / r.t.h) - std::atan(r.p.w / r.p.h);
  const double v = kV * difference * difference;
  const double i = (std::min(r.p.right(), r.t.right()) - std::max(r.p.left(), r.t.left())) *
                   (std::min(r.p.bottom(), r.t.bottom()) - std::max(r.p.top(), r.t.top()));
  const double alpha = v / (1 - i / (r.p.area() + r.t.area() - i) + v + 1e-6);
  const double slope = alpha * 2 * kV * difference;
  const losses::BoxGradient<double> g =
      losses::DarknetOverlapGradient<double>(r.p, r.t).of(Overlap::ciou);
  EXPECT_NEAR(g.x, r.diou[0], 1e-14);
  EXPECT_NEAR(g.y, r.diou[1], 1e-14);
  EXPECT_NEAR(g.w, r.diou[2] + slope * r.p.h, 1e-7);
  EXPECT_NEAR(g.h, r.diou[3] - slope * r.p.w, 1e-7);
}

INSTANTIATE_TEST_SUITE_P(ByHand, DarknetBoxGradient, testing::ValuesIn(kRules),
                         [](const auto& info) { return std::string(info.param.name); });

// Squares of side 2 in a row; B and C lie .5 and 1 to the right of A. IoU of A and B: 3 of 5.
const Box kA{1, 1, 2, 2}, kB{1.5f, 1, 2, 2}, kC{2, 1, 2, 2}, kFar{9, 9, 2, 2};

struct Suppression {
  const char* name;
  NmsKind kind;
  float threshold, beta;
  std::vector<InputDetection> in;
  std::vector<float> left;  // probabilities
};

// B less the distance term (1/4 over 2.5^2 + 2^2)^e: .6 - .108 at .6, .6 - .024 at 1.
const Suppression kSuppressions[] = {
    {"Empty", NmsKind::by_class, .45f, 1, {}, {}},
    {"ByClass",
     NmsKind::by_class,
     .45f,
     1,
     {{kFar, 0, 1, .6f}, {kC, 0, 1, .7f}, {kB, 0, 1, .8f}, {kA, 1, 1, .85f}, {kA, 0, 1, .9f}},
     {.9f, .85f, .7f, .6f}},  // B goes; C is hidden by B only, and B is gone
    {"ByClassAtItsThreshold",
     NmsKind::by_class,
     .5f,
     1,
     {{{1.5f, .5f, 3, 1}, 0, 1, .9f}, {{2.5f, .5f, 3, 1}, 0, 1, .8f}},
     {.9f, .8f}},  // IoU is .5 and not above it
    {"ByClassAbove", NmsKind::by_class, .59f, 1, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f}},
    {"GreedyAbove", NmsKind::greedy, .49f, 1, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f}},
    {"GreedyBelow", NmsKind::greedy, .495f, 1, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f, .8f}},
    {"DiouAbove", NmsKind::diou, .57f, 1, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f}},
    {"DiouBelow", NmsKind::diou, .58f, 1, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f, .8f}},
    {"DiouByBeta", NmsKind::diou, .3f, .3f, {{kA, 0, 1, .9f}, {kB, 0, 1, .8f}}, {.9f, .8f}},
    {"OtherClasses", NmsKind::greedy, .1f, 1, {{kA, 0, 1, .8f}, {kA, 1, 1, .9f}}, {.9f, .8f}},
};

class Nms : public testing::TestWithParam<Suppression> {};

TEST_P(Nms, LeavesWhatTheHandLeaves) {
  std::vector<InputDetection> d = GetParam().in;
  nms(d, GetParam().kind, GetParam().threshold, GetParam().beta);
  std::vector<float> left;
  for (const InputDetection& one : d) left.push_back(one.probability);
  EXPECT_EQ(left, GetParam().left);
}

INSTANTIATE_TEST_SUITE_P(ByHand, Nms, testing::ValuesIn(kSuppressions),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Nms, TiesKeepTheirOrder) {
  std::vector<InputDetection> d = {
      {kFar, 2, .1f, .5f}, {kA, 1, .2f, .5f}, {kB, 1, .3f, .5f}, {kA, 0, .4f, .5f}};
  nms(d, NmsKind::by_class, .45f, 1);
  std::vector<float> left;  // by their objectness
  for (const InputDetection& one : d) left.push_back(one.objectness);
  EXPECT_EQ(left, (std::vector<float>{.1f, .2f, .4f}));  // of the equal A and B the first stays
}

// Every pair compared, in the order of the definition.
std::vector<InputDetection> suppressed(std::vector<InputDetection> all, NmsKind kind,
                                       float threshold, float beta) {
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  const auto overlap = [&](const InputDetection& a, const InputDetection& b) {
    const float exponent = kind == NmsKind::greedy ? .6f : beta;
    return kind == NmsKind::by_class ? iou(a.box, b.box) : distance_iou(a.box, b.box, exponent);
  };
  std::vector<InputDetection> kept;
  for (const InputDetection& d : all)
    if (std::none_of(kept.begin(), kept.end(), [&](const InputDetection& k) {
          return k.class_id == d.class_id && overlap(k, d) > threshold;
        }))
      kept.push_back(d);
  return kept;
}

// Boxes of all sizes in groups, some far outside, some that are no boxes.
std::vector<InputDetection> many_detections(std::uint64_t seed, std::size_t count) {
  std::uint64_t at = 0;
  const auto uniform = [&] { return random_uniform(seed, 0, at++); };
  std::vector<InputDetection> all;
  while (all.size() < count) {
    const Box first{uniform() * 1.4f - .2f, uniform() * 1.4f - .2f, uniform() * uniform(),
                    uniform() * uniform()};
    for (int i = 0; i < 40; ++i) {
      Box b{first.x + .05f * uniform(), first.y + .05f * uniform(), first.w * (.8f + uniform()),
            first.h * (.8f + uniform())};
      if (i == 7) b.w = -b.w;
      if (i == 8) b.h = 0;
      if (i == 9) b.w = std::numeric_limits<float>::quiet_NaN();
      if (i == 10) b.h = std::numeric_limits<float>::infinity();
      // Subnormal areas, and a subnormal side; only around 0 do such boxes have different edges.
      if (i > 10 && i < 15) b = {0, 0, 1e-20f * (1 + uniform()), 1e-20f * (1 + uniform())};
      if (i == 15 || i == 16) b = {0, b.y, 1e-41f * (1 + uniform()), b.h};
      all.push_back({b, i % 3, 1, std::round(100 * uniform()) / 100});
    }
  }
  return all;
}

TEST(Nms, LeavesWhatAComparisonOfAllPairsLeaves) {
  for (const NmsKind kind : {NmsKind::by_class, NmsKind::greedy, NmsKind::diou})
    for (const float threshold : {0.f, .1f, .45f, .9f}) {
      std::vector<InputDetection> d = many_detections(5, 2000);
      constexpr float kBeta = .9f;  // not the exponent of greedy
      const auto expected = suppressed(d, kind, threshold, kBeta);
      nms(d, kind, threshold, kBeta);
      ASSERT_EQ(d.size(), expected.size()) << name_of(kind) << ' ' << threshold;
      EXPECT_EQ(std::memcmp(d.data(), expected.data(), d.size() * sizeof d[0]), 0)
          << name_of(kind) << ' ' << threshold;
    }
}

// Of two boxes whose overlap is the threshold both stay; one bit less, and one goes.
TEST(Nms, ComparesToTheLastBit) {
  const Box thin{0, 0, 1e-20f, 1.5e-20f}, thinner{0, 0, 1e-20f, 1e-20f};  // subnormal areas
  for (const auto& [a, b] : {std::pair{kA, kB}, {kA, kC}, {thin, thinner}})
    for (const NmsKind kind : {NmsKind::by_class, NmsKind::greedy, NmsKind::diou}) {
      constexpr float kBeta = .9f;
      const float overlap = kind == NmsKind::by_class
                                ? iou(a, b)
                                : distance_iou(a, b, kind == NmsKind::greedy ? .6f : kBeta);
      ASSERT_GT(overlap, .1f) << name_of(kind);
      const auto left = [&, a = a, b = b](float threshold) {
        std::vector<InputDetection> d{{a, 0, 1, .9f}, {b, 0, 1, .8f}};
        nms(d, kind, threshold, kBeta);
        return d.size();
      };
      EXPECT_EQ(left(overlap), 2) << name_of(kind) << ' ' << overlap;
      EXPECT_EQ(left(std::nextafter(overlap, 0.f)), 1) << name_of(kind) << ' ' << overlap;
    }
}

TEST(Nms, DistanceIouIsDarknets) {
  EXPECT_NEAR(distance_iou(kA, kB, .6f), .6 - std::pow(.25 / 10.25, .6), 1e-6);
  EXPECT_NEAR(distance_iou(kA, kB, 1), .6 - .25 / 10.25, 1e-6);
  EXPECT_EQ(distance_iou(kA, kA, .6f), 1);
}

}  // namespace
}  // namespace darknet
