// Which tensors of a network hold 8-bit integers, by the layers around them.
#include "nn/integer_tensors.h"

#include <gtest/gtest.h>

namespace darknet {
namespace {

using Scales = std::vector<std::optional<IntegerScale>>;
constexpr IntegerScale kOne{.1f, 20}, kTwo{.15f, 10};
constexpr std::nullopt_t kF32 = std::nullopt;

IntegerNode conv(std::int64_t source, IntegerScale reads) {
  return {.sources = {source}, .reads = reads, .writes = true};
}
IntegerNode keeps(std::vector<std::int64_t> sources) {
  return {.sources = std::move(sources), .keeps = true};
}
IntegerNode adds(std::vector<std::int64_t> sources) {
  return {.sources = std::move(sources), .adds = true};
}
IntegerNode other(std::vector<std::int64_t> sources) { return {.sources = std::move(sources)}; }

Scales integers(const std::vector<IntegerNode>& nodes) { return integer_tensors(nodes); }

TEST(IntegerTensors, LieBetweenConvolutions) {
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kTwo), conv(1, kOne), other({2})}),
            (Scales{kTwo, kOne, kF32, kF32}));
  EXPECT_EQ(integers({}), Scales{});
}

TEST(IntegerTensors, NeedAWriterAndOnlyReadersOfIntegers) {
  IntegerNode cannot = conv(-1, kOne);
  cannot.writes = false;
  EXPECT_EQ(integers({cannot, conv(0, kTwo), other({1})}), (Scales{kF32, kF32, kF32}));
  EXPECT_EQ(integers({other({-1}), conv(0, kTwo), other({1})}), (Scales{kF32, kF32, kF32}));
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kTwo), other({0, 1})}), (Scales{kF32, kF32, kF32}));
}

TEST(IntegerTensors, PassLayersThatKeepThem) {
  EXPECT_EQ(integers({conv(-1, kOne), keeps({0}), conv(1, kTwo), other({2})}),
            (Scales{kTwo, kTwo, kF32, kF32}));
  EXPECT_EQ(integers({keeps({-1}), conv(0, kTwo), other({1})}), (Scales{kF32, kF32, kF32}));
  EXPECT_EQ(integers({conv(-1, kOne), keeps({0}), other({1})}), (Scales{kF32, kF32, kF32}));
  EXPECT_EQ(integers({conv(-1, kOne), keeps({0})}), (Scales{kF32, kF32}));  // what a caller reads
  EXPECT_EQ(integers({conv(-1, kOne), keeps({0}), conv(0, kTwo), keeps({1, 2}), other({3})}),
            (Scales{kF32, kF32, kF32, kF32, kF32}));
}

// What is joined has one scale, whose range holds those of all readers: -2 to 23.5 and -1.5 to
// 36.75 make -2 to 36.75.
TEST(IntegerTensors, ShareARangeWhereTheyAreJoined) {
  const Scales all = integers({conv(-1, kOne), conv(0, kOne), keeps({0, 1}), conv(2, kTwo)});
  ASSERT_TRUE(all[0] && all[1] && all[2]);
  EXPECT_FLOAT_EQ(all[0]->scale, 38.75f / 255);
  EXPECT_EQ(all[0]->zero_point, 13);
  EXPECT_EQ(*all[1], *all[0]);
  EXPECT_EQ(*all[2], *all[0]);
  EXPECT_FALSE(all[3]);
}

// A residual block: 1 and 2 add to 0.
TEST(IntegerTensors, AreAddedWithAnyScales) {
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kOne), conv(1, kTwo), adds({0, 2}), conv(3, kTwo)}),
            (Scales{kOne, kTwo, kTwo, kTwo, kF32}));
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kOne), conv(1, kTwo), adds({0, 2}), adds({0, 3}),
                      conv(4, kTwo)}),
            (Scales{kOne, kTwo, kTwo, kTwo, kTwo, kF32}));
}

// Nothing says what range an input has that only an f32 sum reads.
TEST(IntegerTensors, AreAddedToF32AndIntoIt) {
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kOne), conv(1, kTwo), adds({0, 2}), other({3})}),
            (Scales{kOne, kTwo, kF32, kF32, kF32}));
  EXPECT_EQ(integers({conv(-1, kOne), conv(0, kOne), other({1}), adds({0, 2}), conv(3, kTwo)}),
            (Scales{kOne, kF32, kF32, kTwo, kF32}));
}

TEST(IntegerTensors, AreF32WhereASharedRangeIsTooCoarse) {
  const auto joined = [](IntegerScale wide) {
    return integers({conv(-1, kOne), conv(0, kOne), keeps({0, 1}), conv(2, wide)});
  };
  EXPECT_TRUE(joined({.19f, 10})[0]);
  EXPECT_EQ(joined({.21f, 10}), (Scales{kF32, kF32, kF32, kF32}));
}

}  // namespace
}  // namespace darknet
