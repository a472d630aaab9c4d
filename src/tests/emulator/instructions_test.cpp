// Values of instructions.
#include <gtest/gtest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/emulator/instruction_check.h"

namespace emulator {
namespace {

template <class T>
class IntegerInstructions : public testing::Test {};
using IntegerTypes = testing::Types<std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                                    std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(IntegerInstructions, IntegerTypes);

TYPED_TEST(IntegerInstructions, CalculateAsInMoreBits) {
  using T = TypeParam;
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  const std::vector<T> v = integers<T>();
  const std::string type = name_of<T>();
  constexpr int kBits = 8 * sizeof(T);
  check<T>("add." + type, v, v, [](Wide a, Wide b) { return static_cast<T>(a + b); });
  check<T>("sub." + type, v, v, [](Wide a, Wide b) { return static_cast<T>(a - b); });
  check<T>("mul.lo." + type, v, v, [](Wide a, Wide b) { return static_cast<T>(a * b); });
  check<T>("mul.hi." + type, v, v, [](Wide a, Wide b) { return static_cast<T>(a * b >> kBits); });
  check<T>("mad.lo." + type, v, v, v,
           [](Wide a, Wide b, Wide c) { return static_cast<T>(a * b + c); });
  check<T>("mad.hi." + type, v, v, v,
           [](Wide a, Wide b, Wide c) { return static_cast<T>((a * b >> kBits) + c); });
  check<T>("min." + type, v, v, [](T a, T b) { return a < b ? a : b; });
  check<T>("max." + type, v, v, [](T a, T b) { return a < b ? b : a; });
  if constexpr (std::is_signed_v<T>) {
    check<T>("neg." + type, v, [](Wide a) { return static_cast<T>(-a); });
    check<T>("abs." + type, v, [](Wide a) { return static_cast<T>(a < 0 ? -a : a); });
  }
}

// By zero: every bit set, and the dividend.
TYPED_TEST(IntegerInstructions, Divide) {
  using T = TypeParam;
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  const std::vector<T> v = integers<T>();
  check<T>("div." + name_of<T>(), v, v,
           [](Wide a, Wide b) { return static_cast<T>(b == 0 ? ~Wide{0} : a / b); });
  check<T>("rem." + name_of<T>(), v, v,
           [](Wide a, Wide b) { return static_cast<T>(b == 0 ? a : a % b); });
}

TYPED_TEST(IntegerInstructions, ShiftByAnyNumber) {
  using T = TypeParam;
  using U = std::make_unsigned_t<T>;
  constexpr std::uint32_t kBits = 8 * sizeof(T);
  const std::vector<std::uint32_t> n{0,  1,  7,  8,  15, 16,  17,         31,
                                     32, 33, 63, 64, 65, 256, 0x80000000, 0xFFFFFFFF};
  check<U>("shl." + bits_name<T>(), integers<U>(), n, [](U a, std::uint32_t by) {
    return by >= kBits ? U{0} : static_cast<U>(std::uint64_t{a} << by);
  });
  check<T>("shr." + name_of<T>(), integers<T>(), n, [](T a, std::uint32_t by) {
    if (by >= kBits) return static_cast<T>(a < 0 ? -1 : 0);
    return static_cast<T>(a >> by);
  });
}

TYPED_TEST(IntegerInstructions, Compare) {
  using T = TypeParam;
  const std::vector<T> v = integers<T>();
  const auto setp = [&](const char* word, auto holds) {
    check<bool>(std::string("setp.") + word + "." + name_of<T>(), v, v, holds);
  };
  setp("lt", [](T a, T b) { return a < b; });
  setp("le", [](T a, T b) { return a <= b; });
  setp("gt", [](T a, T b) { return a > b; });
  setp("ge", [](T a, T b) { return a >= b; });
  setp("eq", [](T a, T b) { return a == b; });
  setp("ne", [](T a, T b) { return a != b; });
  if (std::is_signed_v<T>) return;
  setp("lo", [](T a, T b) { return a < b; });
  setp("ls", [](T a, T b) { return a <= b; });
  setp("hi", [](T a, T b) { return a > b; });
  setp("hs", [](T a, T b) { return a >= b; });
}

TYPED_TEST(IntegerInstructions, WorkOnBits) {
  using T = std::make_unsigned_t<TypeParam>;
  const std::vector<T> v = integers<T>();
  const std::string type = bits_name<T>();
  check<T>("and." + type, v, v, [](T a, T b) { return static_cast<T>(a & b); });
  check<T>("or." + type, v, v, [](T a, T b) { return static_cast<T>(a | b); });
  check<T>("xor." + type, v, v, [](T a, T b) { return static_cast<T>(a ^ b); });
  check<T>("not." + type, v, [](T a) { return static_cast<T>(~a); });
  check<T>("selp." + type, v, v, std::vector<bool>{false, true},
           [](T a, T b, bool p) { return p ? a : b; });
  if constexpr (sizeof(T) >= 4) {
    check<std::uint32_t>("clz." + type, v,
                         [](T a) { return static_cast<std::uint32_t>(std::countl_zero(a)); });
    check<std::uint32_t>("popc." + type, v,
                         [](T a) { return static_cast<std::uint32_t>(std::popcount(a)); });
  }
}

template <class T, class W>
void check_wide_products() {
  const std::vector<T> v = integers<T>();
  const std::string type = name_of<T>();
  check<W>("mul.wide." + type, v, v, [](W a, W b) { return static_cast<W>(a * b); });
  check<W>("mad.wide." + type, v, v, integers<W>(), [](W a, W b, W c) {
    using U = std::make_unsigned_t<W>;
    return static_cast<W>(static_cast<U>(a * b) + static_cast<U>(c));
  });
}

TEST(Instructions, MultiplyToTwiceTheBits) {
  check_wide_products<std::int16_t, std::int32_t>();
  check_wide_products<std::uint16_t, std::uint32_t>();
  check_wide_products<std::int32_t, std::int64_t>();
  check_wide_products<std::uint32_t, std::uint64_t>();
}

TEST(Instructions, PermuteBytes) {
  const std::vector<std::uint32_t> v{0x03020100, 0x87654321, 0xFFFFFFFF, 0x80};
  check<std::uint32_t>("prmt.b32", v, v,
                       std::vector<std::uint32_t>{0x3210, 0x7654, 0x0123, 0x5410, 0xBA98, 0xF8},
                       [](std::uint32_t a, std::uint32_t b, std::uint32_t s) {
                         std::uint32_t result = 0;
                         for (int k = 0; k < 4; ++k) {
                           const std::uint32_t from = s >> 4 * k & 7, sign = s >> 4 * k & 8;
                           const std::uint32_t byte = (from < 4 ? a : b) >> 8 * (from % 4) & 0xFF;
                           result |= (!sign ? byte : byte >= 0x80 ? 0xFF : 0) << 8 * k;
                         }
                         return result;
                       });
}

TEST(Instructions, ShiftTwoWordsAsOne) {
  const std::vector<std::uint32_t> v{0, 1, 0x80000001, 0x12345678, 0xFFFFFFFF},
      n{0, 1, 16, 31, 32, 33, 63};
  const auto left = [](std::uint32_t a, std::uint32_t b, std::uint32_t by) {
    by %= 32;
    return by == 0 ? b : b << by | a >> (32 - by);
  };
  const auto right = [](std::uint32_t a, std::uint32_t b, std::uint32_t by) {
    by %= 32;
    return by == 0 ? a : b << (32 - by) | a >> by;
  };
  check<std::uint32_t>("shf.l.wrap.b32", v, v, n, left);
  check<std::uint32_t>("shf.r.wrap.b32", v, v, n, right);
}

template <class T>
class FloatInstructions : public testing::Test {};
TYPED_TEST_SUITE(FloatInstructions, FloatTypes);

TYPED_TEST(FloatInstructions, RoundToNearest) {
  using T = TypeParam;
  const std::vector<T> v = reals<T>();
  const std::string type = name_of<T>();
  for (const std::string rounding : {"", "rn."}) {
    check<T>("add." + rounding + type, v, v, [](T a, T b) { return a + b; });
    check<T>("sub." + rounding + type, v, v, [](T a, T b) { return a - b; });
    check<T>("mul." + rounding + type, v, v, [](T a, T b) { return a * b; });
  }
  check<T>("div.rn." + type, v, v, [](T a, T b) { return a / b; });
  check<T>("fma.rn." + type, v, v, v, [](T a, T b, T c) { return std::fma(a, b, c); });
  check<T>("sqrt.rn." + type, v, [](T a) { return std::sqrt(a); });
  check<T>("rcp.rn." + type, v, [](T a) { return 1 / a; });
  check<T>("neg." + type, v, [](T a) { return -a; });
  check<T>("abs." + type, v, [](T a) { return std::fabs(a); });
  check<T>("copysign." + type, v, v, [](T a, T b) { return std::copysign(b, a); });
}

// The number of two where the other is a NaN. (Of two zeros either may be the smaller.)
TYPED_TEST(FloatInstructions, ExtremaPreferNumbers) {
  using T = TypeParam;
  std::vector<T> v = reals<T>();
  std::erase_if(v, [](T x) { return x == 0 && std::signbit(x); });
  const auto of = [](T a, T b, T of_numbers) {
    return std::isnan(a) ? b : std::isnan(b) ? a : of_numbers;
  };
  check<T>("min." + name_of<T>(), v, v, [&](T a, T b) { return of(a, b, a < b ? a : b); });
  check<T>("max." + name_of<T>(), v, v, [&](T a, T b) { return of(a, b, a < b ? b : a); });
}

TYPED_TEST(FloatInstructions, CompareWithNan) {
  using T = TypeParam;
  const std::vector<T> v = reals<T>();
  const auto setp = [&](const std::string& word, auto holds) {
    check<bool>("setp." + word + "." + name_of<T>(), v, v, holds);
  };
  const auto ordered_and_not = [&](const std::string& word, auto holds) {
    setp(word, [=](T a, T b) { return !std::isunordered(a, b) && holds(a, b); });
    setp(word + "u", [=](T a, T b) { return std::isunordered(a, b) || holds(a, b); });
  };
  ordered_and_not("lt", [](T a, T b) { return a < b; });
  ordered_and_not("le", [](T a, T b) { return a <= b; });
  ordered_and_not("gt", [](T a, T b) { return a > b; });
  ordered_and_not("ge", [](T a, T b) { return a >= b; });
  ordered_and_not("eq", [](T a, T b) { return a == b; });
  ordered_and_not("ne", [](T a, T b) { return a != b; });
  setp("num", [](T a, T b) { return !std::isunordered(a, b); });
  setp("nan", [](T a, T b) { return std::isunordered(a, b); });
}

// 1 and a part of its last bit, to each side.
TYPED_TEST(FloatInstructions, RoundAsDirected) {
  using T = TypeParam;
  const T small = std::numeric_limits<T>::epsilon() / 8;
  const T above = std::nextafter(T{1}, T{2}), below = std::nextafter(T{1}, T{0});
  struct Line {
    T a, b, rn, rz, rm, rp;
  };
  const std::vector<Line> lines{{1, small, 1, 1, 1, above},
                                {1, -small, 1, below, below, 1},
                                {-1, -small, -1, -1, -above, -1},
                                {-1, small, -1, -below, -1, -below},
                                {1, 2, 3, 3, 3, 3}};
  for (const Line& l : lines) {
    struct {
      const char* word;
      T result;
    } const roundings[] = {{"rn", l.rn}, {"rz", l.rz}, {"rm", l.rm}, {"rp", l.rp}};
    for (const auto& r : roundings) {
      const std::string tail = std::string(".") + r.word + "." + name_of<T>();
      const std::vector<T> a{l.a}, b{l.b}, minus_b{-l.b}, one{1};
      check<T>("add" + tail, a, b, [&](T, T) { return r.result; });
      check<T>("sub" + tail, a, minus_b, [&](T, T) { return r.result; });
      check<T>("fma" + tail, a, one, b, [&](T, T, T) { return r.result; });
    }
  }
  // (1 + e)^2 = 1 + 2 e + e^2
  const std::vector<T> v{above};
  const T twice = std::nextafter(above, T{2}), more = std::nextafter(twice, T{2});
  for (const std::string word : {"rn", "rz", "rm"})
    check<T>("mul." + word + "." + name_of<T>(), v, v, [&](T, T) { return twice; });
  check<T>("mul.rp." + name_of<T>(), v, v, [&](T, T) { return more; });
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST(Instructions, ApproximateFunctions) {
  const float subnormal = std::ldexp(1.f, -140);
  const std::vector<float> v{-3, -1, -.25f, 0, .25f, 1, 2, 10, kInfinity, kNan};
  const std::vector<float> positive{.25f, 1, 2, 3, 10, kInfinity};
  check<float>("ex2.approx.f32", v, [](float a) { return std::exp2(a); });
  check<float>("lg2.approx.f32", positive, [](float a) { return std::log2(a); });
  check<float>("sin.approx.f32", v, [](float a) { return std::sin(a); });
  check<float>("cos.approx.f32", v, [](float a) { return std::cos(a); });
  check<float>("tanh.approx.f32", v, [](float a) { return std::tanh(a); });
  check<float>("rsqrt.approx.f32", positive, [](float a) { return 1 / std::sqrt(a); });
  check<float>("div.full.f32", positive, positive, [](float a, float b) { return a / b; });
  check<float>("sqrt.approx.f32", positive, [](float a) { return std::sqrt(a); });
  const std::vector<float> small{subnormal, -subnormal};
  check<float>("rcp.approx.ftz.f32", small, [](float a) { return std::copysign(kInfinity, a); });
  check<float>("rcp.approx.ftz.f32", std::vector{std::ldexp(1.f, 127)}, [](float) { return 0.f; });
  check<float>("rcp.rn.f32", std::vector{std::ldexp(1.f, 127)},
               [](float) { return std::ldexp(1.f, -127); });
  check<float>("ex2.approx.ftz.f32", std::vector{-130.f}, [](float) { return 0.f; });
  check<float>("ex2.approx.f32", std::vector{-130.f}, [](float) { return std::ldexp(1.f, -130); });
  check<float>("sqrt.approx.ftz.f32", std::vector{subnormal}, [](float) { return 0.f; });
}

}  // namespace
}  // namespace emulator
