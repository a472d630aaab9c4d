// The list of activations: what every entry of it promises.
#include "core/activation.h"

#include <gtest/gtest.h>

namespace darknet {
namespace {

class ActivationTest : public testing::TestWithParam<Activation> {};

TEST_P(ActivationTest, DerivativeIsThatOfTheValueFromWhatItIsDeclaredToComeFrom) {
  std::visit(
      [](const auto& f) {
        constexpr double kStep = 1e-6;
        for (double x = -6.05; x < 6; x += .1) {
          const double slope = (f.value(x + kStep) - f.value(x - kStep)) / (2 * kStep);
          const double y = f.value(x);
          EXPECT_NEAR(f.derivative(f.from == DerivativeFrom::output ? y : x), slope, 1e-6) << x;
          EXPECT_NEAR(f.derivative(f.from == DerivativeFrom::input ? x : y), slope, 1e-6) << x;
        }
      },
      GetParam());
}

TEST_P(ActivationTest, IsFoundByItsName) {
  EXPECT_EQ(value_of<Activation>(name_of(GetParam())), GetParam());
}

// Of the formulas of Darknet's activations.h, computed in Python.
struct KnownValue {
  const char* name;
  double x, y;
};
constexpr KnownValue kKnownValues[] = {
    {"relu6", -1.5, 0},
    {"relu6", 2.5, 2.5},
    {"relu6", 7, 6},
    {"hard_mish", -3, 0},
    {"hard_mish", -1.5, -.375},
    {"hard_mish", -.5, -.375},
    {"hard_mish", 2, 2},
    {"gelu", -2, -.0454025177},
    {"gelu", -.5, -.154285954},
    {"gelu", 1.5, 1.39957144},
    {"elu", -3, -.950212932},
    {"elu", -.5, -.39346934},
    {"elu", 2, 2},
    {"selu", -2, -1.52010758},
    {"selu", -.25, -.388875134},
    {"selu", 1.5, 1.57605},
    {"relie", -3, -.03},
    {"relie", 2, 2},
    {"ramp", -3, -.3},
    {"ramp", 2, 2.2},
    {"loggy", -2, -.761594156},
    {"loggy", .5, .244918662},
    {"loggy", 4, .96402758},
    {"hardtan", -2, -1},
    {"hardtan", -.25, -.25},
    {"hardtan", 3, 1},
    {"lhtan", -3, -.003},
    {"lhtan", .25, .25},
    {"lhtan", 4, 1.003},
    {"plse", -8, -.04},
    {"plse", -2, .25},
    {"plse", 1, .625},
    {"plse", 9, 1.05},
    {"stair", -3.25, -2},
    {"stair", -2.5, -1.5},
    {"stair", -.75, -.75},
    {"stair", .5, 0},
    {"stair", 1.25, .25},
    {"stair", 2.75, 1},
    {"stair", 3.5, 1.5},
};

TEST(Activation, ValuesAreDarknets) {
  for (const auto& [name, x, y] : kKnownValues) {
    const auto f = value_of<Activation>(name);
    ASSERT_TRUE(f) << name;
    std::visit(
        [&, x = x, y = y, name = name](const auto& of) {
          EXPECT_NEAR(of.value(x), y, 1e-6) << name << ' ' << x;
          EXPECT_NEAR(of.value(static_cast<float>(x)), y, 1e-6) << name << ' ' << x;
        },
        *f);
  }
}

INSTANTIATE_TEST_SUITE_P(List, ActivationTest, testing::ValuesIn(all_of<Activation>()),
                         [](const auto& at) { return std::string(name_of(at.param)); });

TEST(Activation, AnUnknownNameIsNone) { EXPECT_FALSE(value_of<Activation>("leeky")); }

}  // namespace
}  // namespace darknet
