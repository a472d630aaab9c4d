// What a network keeps of its input sizes: which plans are made, and how many sizes there are.
#include "nn/kept_sizes.h"

#include <gtest/gtest.h>

namespace darknet {
namespace {

constexpr Shape kLarge{1, 8, 8, 3}, kMiddle{1, 6, 6, 3}, kSmall{1, 4, 4, 3};

// The reference's, which counts.
class CountingOps final : public Ops {
 public:
  std::shared_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    ++made;
    return reference_ops().conv(s, e, o);
  }
  std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override {
    ++made;
    return nullptr;  // the layer's own launches do it
  }
  std::shared_ptr<GemmPlan> gemm(const GemmSpec& s) override {
    ++made;
    return reference_ops().gemm(s);
  }
  std::string name(const Device&) const override { return "counting"; }
  int made = 0;
};

class KeptSizesTest : public testing::Test {
 protected:
  // As a network shapes its layers: two equal convolutions, a pooling, a matrix product.
  std::vector<const void*> shape(const Shape& input, std::size_t max = 3) {
    KeptPlans& plans = sizes_.use(input, ops_, max).plans;
    plans.restart();
    const ConvSpec spec{.in = input, .filters = 2};
    std::vector<const void*> all;
    for (int k = 0; k < 2; ++k) all.push_back(plans.conv(spec, {}, {}).get());
    EXPECT_FALSE(plans.pool({.in = input}, {}));
    all.push_back(plans.gemm({.m = 1, .n = input.h, .k = 1}).get());
    return all;
  }
  static constexpr int kPlans = 4;  // of a size

  CountingOps ops_;
  KeptSizes sizes_;
};

TEST_F(KeptSizesTest, ASizeThatComesBackHasItsPlans) {
  const auto large = shape(kLarge), small = shape(kSmall);
  EXPECT_EQ(ops_.made, 2 * kPlans);
  EXPECT_NE(large[0], large[1]) << "equal convolutions have weights of their own";
  EXPECT_EQ(shape(kLarge), large);
  EXPECT_EQ(shape(kSmall), small);
  EXPECT_EQ(ops_.made, 2 * kPlans);
}

TEST_F(KeptSizesTest, BeyondTheLimitTheLeastRecentlyUsedGoes) {
  shape(kLarge, 2), shape(kMiddle, 2), shape(kLarge, 2);
  shape(kSmall, 2);
  EXPECT_EQ(ops_.made, 3 * kPlans);
  shape(kLarge, 2);
  EXPECT_EQ(ops_.made, 3 * kPlans);
  shape(kMiddle, 2);
  EXPECT_EQ(ops_.made, 4 * kPlans);
}

TEST_F(KeptSizesTest, WhereMemoryIsShortAllButThePresentOneGo) {
  shape(kLarge), shape(kMiddle);
  EXPECT_TRUE(sizes_.drop_least_used());
  EXPECT_FALSE(sizes_.drop_least_used());
  shape(kMiddle);
  EXPECT_EQ(ops_.made, 2 * kPlans);
  shape(kLarge);
  EXPECT_EQ(ops_.made, 3 * kPlans);
}

// Shaping was cut off by an error: it resumes where it was.
TEST_F(KeptSizesTest, PlansThatWereMadeBeforeAnErrorAreNotMadeAgain) {
  KeptPlans& plans = sizes_.use(kLarge, ops_, 3).plans;
  const auto first = plans.conv({.in = kLarge}, {}, {});
  plans.restart();
  EXPECT_EQ(plans.conv({.in = kLarge}, {}, {}), first);
  EXPECT_NE(plans.conv({.in = kLarge}, {}, {}), first);
  EXPECT_EQ(ops_.made, 2);
}

}  // namespace
}  // namespace darknet
