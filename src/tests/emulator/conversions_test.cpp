// Values of conversions between numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/emulator/half.h"
#include "tests/emulator/instruction_check.h"

namespace emulator {
namespace {

template <class From>
std::vector<From> to_be_rounded() {
  std::vector<From> v{0,         From{.25},     From{.5},      From{.75}, 1,           From{1.5},
                      From{2.5}, 100,           From{127.5},   128,       From{255.5}, 256,
                      300,       From{32767.5}, From{65535.5}, 1e6f,      1e12f};
  for (const int power : {31, 32, 63, 64, 100}) {
    v.push_back(std::ldexp(From{1}, power));
    v.push_back(std::nextafter(v.back(), From{0}));
  }
  v.push_back(std::numeric_limits<From>::infinity());
  v.push_back(std::numeric_limits<From>::denorm_min());
  for (std::size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  return v;
}

template <class From, class F>
void for_roundings(F f) {
  f("rni", [](From x) { return std::nearbyint(x); });
  f("rzi", [](From x) { return std::trunc(x); });
  f("rmi", [](From x) { return std::floor(x); });
  f("rpi", [](From x) { return std::ceil(x); });
}

template <class To, class From>
void check_to_integer() {
  using Limits = std::numeric_limits<To>;
  for_roundings<From>([](const std::string& word, auto rounding) {
    check<To>("cvt." + word + "." + name_of<To>() + "." + name_of<From>(), to_be_rounded<From>(),
              [&](From x) {
                const long double r = rounding(x);
                if (r <= static_cast<long double>(Limits::min())) return Limits::min();
                if (r >= static_cast<long double>(Limits::max())) return Limits::max();
                return static_cast<To>(r);
              });
  });
}

template <class From>
class ConversionsOfFloats : public testing::Test {};
TYPED_TEST_SUITE(ConversionsOfFloats, FloatTypes);

TYPED_TEST(ConversionsOfFloats, ToIntegersRoundAndSaturate) {
  check_to_integer<std::int8_t, TypeParam>();
  check_to_integer<std::uint8_t, TypeParam>();
  check_to_integer<std::int16_t, TypeParam>();
  check_to_integer<std::uint16_t, TypeParam>();
  check_to_integer<std::int32_t, TypeParam>();
  check_to_integer<std::uint32_t, TypeParam>();
  check_to_integer<std::int64_t, TypeParam>();
  check_to_integer<std::uint64_t, TypeParam>();
}

TYPED_TEST(ConversionsOfFloats, ToWholeFloatsRound) {
  using T = TypeParam;
  std::vector<T> v = to_be_rounded<T>();
  v.push_back(std::numeric_limits<T>::quiet_NaN());
  for_roundings<T>([&](const std::string& word, auto rounding) {
    check<T>("cvt." + word + "." + name_of<T>() + "." + name_of<T>(), v, rounding);
  });
  check<T>("cvt.sat." + name_of<T>() + "." + name_of<T>(),
           std::vector<T>{-kInfinity, -1, 0, T{.3}, 1, 2, kInfinity, kNan}, [](T x) {
             return std::isnan(x) || x < 0 ? T{0} : x > 1 ? T{1} : x;
           });
}

// PTX ISA, "cvt": 0 of 32 bits or fewer from f32, and else the highest bit alone.
TEST(Conversions, NanToIntegers) {
  const std::vector<float> single{kNan};
  const std::vector<double> twice{kNan};
  check<std::int32_t>("cvt.rzi.s32.f32", single, [](float) { return 0; });
  check<std::uint32_t>("cvt.rzi.u32.f32", single, [](float) { return 0u; });
  check<std::int16_t>("cvt.rzi.s16.f32", single, [](float) { return std::int16_t{0}; });
  check<std::int64_t>("cvt.rzi.s64.f32", single, [](float) { return INT64_MIN; });
  check<std::uint64_t>("cvt.rzi.u64.f32", single, [](float) { return std::uint64_t{1} << 63; });
  check<std::int32_t>("cvt.rzi.s32.f64", twice, [](double) { return INT32_MIN; });
  check<std::uint32_t>("cvt.rzi.u32.f64", twice, [](double) { return 1u << 31; });
  check<std::int64_t>("cvt.rzi.s64.f64", twice, [](double) { return INT64_MIN; });
}

template <class From>
class ConversionsOfIntegers : public testing::Test {};
using ConvertedIntegers = testing::Types<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                                         std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(ConversionsOfIntegers, ConvertedIntegers);

template <class To, class From>
void check_plain_conversion(const std::string& rounding) {
  check<To>("cvt." + rounding + name_of<To>() + "." + name_of<From>(), integers<From>(),
            [](From x) { return static_cast<To>(x); });
}

TYPED_TEST(ConversionsOfIntegers, AreThoseOfCxx) {
  using From = TypeParam;
  check_plain_conversion<float, From>("rn.");
  check_plain_conversion<double, From>("rn.");
  check_plain_conversion<std::int8_t, From>("");
  check_plain_conversion<std::uint8_t, From>("");
  check_plain_conversion<std::int16_t, From>("");
  check_plain_conversion<std::uint16_t, From>("");
  check_plain_conversion<std::int32_t, From>("");
  check_plain_conversion<std::uint32_t, From>("");
  check_plain_conversion<std::int64_t, From>("");
  check_plain_conversion<std::uint64_t, From>("");
}

TEST(Conversions, BetweenFloats) {
  check<double>("cvt.f64.f32", reals<float>(), [](float x) { return double{x}; });
  check<float>("cvt.rn.f32.f64", reals<double>(), [](double x) { return static_cast<float>(x); });
  check<float>("cvt.rn.f32.f64", std::vector<double>{1 + std::ldexp(1., -24), 16777217., 1e300},
               [](double x) { return static_cast<float>(x); });
}

// The value of a number of five bits of exponent and ten of mantissa.
float value_of_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float size = exponent == 31 ? (mantissa ? kNan : kInfinity)
                     : exponent == 0
                         ? std::ldexp(static_cast<float>(mantissa), -24)
                         : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return bits & 0x8000 ? -size : size;
}
float value_of_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

TEST(Conversions, EveryHalfAndBfloatIsRead) {
  std::vector<std::uint16_t> all(65536);
  std::iota(all.begin(), all.end(), std::uint16_t{0});
  check<float>("cvt.f32.f16", all, value_of_half);
  check<float>("cvt.f32.bf16", all, value_of_bfloat);
  std::vector<float> halves, bfloats;
  for (const std::uint16_t bits : all) {
    halves.push_back(value_of_half(bits)), bfloats.push_back(value_of_bfloat(bits));
  }
  std::size_t k = 0;
  const auto numbers_only = [](auto& values) {
    std::erase_if(values, [](float x) { return std::isnan(x); });
  };
  std::erase_if(all, [](std::uint16_t b) { return std::isnan(value_of_half(b)); });
  numbers_only(halves);
  check<std::uint16_t>("cvt.rn.f16.f32", halves, [&](float) { return all[k++]; });
  numbers_only(bfloats);
  check<std::uint16_t>("cvt.rn.bf16.f32", bfloats, [](float x) {
    return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
  });
}

template <class From>
struct Rounded {
  From x;
  std::uint16_t bits;
};
template <class From>
void check_rounded(const std::string& opcode, const std::vector<Rounded<From>>& lines) {
  std::vector<From> v;
  for (const Rounded<From>& l : lines) v.push_back(l.x);
  std::size_t k = 0;
  check<std::uint16_t>(opcode, v, [&](From) { return lines[k++].bits; });
}

TEST(Conversions, ToHalfAndBfloatRoundToNearestEven) {
  const auto two_to = [](int power) { return std::ldexp(1.f, power); };
  check_rounded<float>("cvt.rn.f16.f32", {{1 + two_to(-11), 0x3C00},
                                          {1 + 3 * two_to(-11), 0x3C02},
                                          {1 + two_to(-11) + two_to(-20), 0x3C01},
                                          {65504, 0x7BFF},
                                          {65519, 0x7BFF},
                                          {65520, 0x7C00},
                                          {-1e9f, 0xFC00},
                                          {two_to(-24), 1},
                                          {two_to(-25), 0},
                                          {3 * two_to(-25), 2},
                                          {-two_to(-30), 0x8000}});
  check_rounded<float>("cvt.rn.bf16.f32", {{1 + two_to(-8), 0x3F80},
                                           {1 + 3 * two_to(-8), 0x3F82},
                                           {1 + two_to(-8) + two_to(-20), 0x3F81},
                                           {std::numeric_limits<float>::max(), 0x7F80},
                                           {-kInfinity, 0xFF80},
                                           {std::numeric_limits<float>::denorm_min(), 0},
                                           {std::bit_cast<float>(0x7F800001u), 0x7FFF}});
  const std::vector<std::uint64_t> nan =
      executed("cvt.rn.f16.f32", type_of<std::uint16_t>(), {type_of<float>()}, {{word(kNan)}});
  EXPECT_GT(nan[0] & 0x7FFF, 0x7C00u);
}

// Rounding to f32 first would lose the small part, and end at the even neighbour.
TEST(Conversions, ToHalfAndBfloatRoundOnce) {
  const double small = std::ldexp(1., -40);
  check_rounded<double>("cvt.rn.f16.f64", {{1 + std::ldexp(1., -11) + small, 0x3C01},
                                           {1 + std::ldexp(1., -11), 0x3C00}});
  check_rounded<double>("cvt.rn.bf16.f64", {{1 + std::ldexp(1., -8) + small, 0x3F81},
                                            {1 + std::ldexp(1., -8), 0x3F80}});
  check_rounded<std::int32_t>(
      "cvt.rn.bf16.s32",
      {{(1 << 30) + (1 << 22) + 1, 0x4E81}, {(1 << 30) + (1 << 22), 0x4E80}, {-3, 0xC040}});
}

TEST(Conversions, TwoNumbersBecomeOneWord) {
  const std::vector<float> v{1, -2, 65504, .5f};
  check<std::uint32_t>("cvt.rn.bf16x2.f32", std::vector{1.f, -2.f}, std::vector{.5f, 3.f},
                       [](float high, float low) {
                         return std::bit_cast<std::uint32_t>(high) >> 16 << 16 |
                                std::bit_cast<std::uint32_t>(low) >> 16;
                       });
  const auto half = [](float x) -> std::uint32_t {
    return x == 1 ? 0x3C00 : x == -2 ? 0xC000 : x == .5f ? 0x3800 : 0x7BFF;
  };
  check<std::uint32_t>("cvt.rn.f16x2.f32", v, v,
                       [&](float high, float low) { return half(high) << 16 | half(low); });
}

}  // namespace
}  // namespace emulator
