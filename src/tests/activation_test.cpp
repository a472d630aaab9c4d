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

INSTANTIATE_TEST_SUITE_P(List, ActivationTest, testing::ValuesIn(all_of<Activation>()),
                         [](const auto& at) { return std::string(name_of(at.param)); });

TEST(Activation, AnUnknownNameIsNone) { EXPECT_FALSE(value_of<Activation>("leeky")); }

}  // namespace
}  // namespace darknet
