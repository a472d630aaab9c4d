// What kernels compute: threads, branches, kinds of memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "tests/emulator/interpreter_fixture.h"

namespace emulator {
namespace {

TEST_F(Interpreter, EveryWayToEndAThreadEndsIt) {
  for (const char* const end : {"ret;", "exit;", "ret.uni;", "bra $L_end;"}) {
    const auto* const to = allocate(std::vector<std::uint32_t>{1});
    run(kernel_of(std::string(end) + "\nst.global.u32 [%rd1], 7;\n$L_end:"), 1, to);
    EXPECT_EQ(contents(to, 1)[0], 1u) << end;
  }
}

TEST_F(Interpreter, ParametersAreReadAndNotWritten) {
  const auto* const to = allocate(std::vector<std::uint64_t>(1));
  const std::string address = "mov.b64 %rd6, f_param_0;\ncvta.param.u64 %rd7, %rd6;\n";
  const std::string message =
      fault(FaultKind::illegal_address, kernel_of(address + "st.u64 [%rd7], %rd1;"), 1, to);
  EXPECT_TRUE(contains(message, "a parameter is written")) << message;
  run(kernel_of(address + "ld.u64 %rd8, [%rd7];\nst.global.u64 [%rd1], %rd8;"), 1, to);
  EXPECT_EQ(contents(to, 1)[0], reinterpret_cast<std::uint64_t>(to));
  fault(FaultKind::illegal_address, kernel_of("ld.param.u64 %rd6, [f_param_1+8];"), 1, to);
  fault(FaultKind::illegal_address, kernel_of(address + "ld.u64 %rd8, [%rd7+16];"), 1, to);
  fault(FaultKind::misaligned_address, kernel_of("ld.param.u64 %rd6, [f_param_0+4];"), 1, to);
}

// The number of steps to 1 of "half if even, else three times and one": a loop of another length
// in every lane, with a branch in it.
TEST_F(Interpreter, DivergingBranchesMeetAgain) {
  const std::string text =
      kernel_of(kShared +
                "add.s32 %r2, %r1, 1;\nmov.u32 %r3, 0;\n"
                "$L_loop:\nsetp.eq.s32 %p1, %r2, 1;\n@%p1 bra $L_end;\n"
                "and.b32 %r4, %r2, 1;\nsetp.eq.s32 %p2, %r4, 0;\n@%p2 bra $L_even;\n"
                "mad.lo.s32 %r2, %r2, 3, 1;\nbra.uni $L_next;\n"
                "$L_even:\nshr.u32 %r2, %r2, 1;\n"
                "$L_next:\nadd.s32 %r3, %r3, 1;\nbra.uni $L_loop;\n"
                "$L_end:\nbar.sync 0;\nst.global.u32 [%rd3], %r3;");
  constexpr std::uint32_t kThreads = 40;
  const auto* const to = allocate(std::vector<std::uint32_t>(kThreads));
  run(text, kThreads, to);
  std::vector<std::uint32_t> expected;
  for (std::uint32_t i = 1; i <= kThreads; ++i) {
    std::uint32_t steps = 0;
    for (std::uint32_t x = i; x != 1; ++steps) x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    expected.push_back(steps);
  }
  EXPECT_EQ(contents(to, kThreads), expected);
}

TEST_F(Interpreter, SomeLanesEndEarlier) {
  const auto* const to = allocate(std::vector<std::uint32_t>(64, 9));
  run(kernel_of("and.b32 %r2, %r1, 3;\nsetp.eq.u32 %p1, %r2, 2;\n@%p1 ret;\n"
                "st.global.u32 [%rd3], %r1;"),
      64, to);
  const std::vector<std::uint32_t> values = contents(to, 64);
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(values[i], i % 4 == 2 ? 9 : i);
}

TEST_F(Interpreter, GuardsChooseLanes) {
  const auto* const to = allocate(std::vector<std::uint32_t>(32, 9));
  run(kernel_of("setp.lt.u32 %p1, %r1, 20;\nmov.u32 %r2, 1;\n@%p1 mov.u32 %r2, 2;\n"
                "setp.lt.u32 %p2, %r1, 25;\n@!%p2 mov.u32 %r2, 3;\n"
                "setp.eq.u32 %p3, %r1, 31;\n@!%p3 st.global.u32 [%rd3], %r2;"),
      32, to);
  const std::vector<std::uint32_t> values = contents(to, 32);
  for (std::uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], i == 31 ? 9u : i < 20 ? 2u : i < 25 ? 1u : 3u) << i;
}

// A guarded access touches nothing in the other lanes.
TEST_F(Interpreter, GuardedAccessesOutOfBoundsAreNone) {
  const auto* const p = allocate(std::vector<std::uint32_t>(8));
  const std::string guard = "setp.lt.u32 %p1, %r1, 8;\n";
  passes(kernel_of(guard + "@%p1 ld.global.u32 %r2, [%rd3];"), 32, p);
  fault(FaultKind::illegal_address, kernel_of(guard + "@!%p1 ld.global.u32 %r2, [%rd3];"), 32, p);
}

TEST_F(Interpreter, ThreadsKnowTheirPlace) {
  const auto* const to = allocate(std::vector<std::uint32_t>(12 * 6));
  run(kernel_of("mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %nctaid.x;\n"
                "mov.u32 %r5, %laneid;\nmov.u32 %r6, %tid.y;\nmov.u32 %r7, %ntid.z;\n"
                "mad.lo.s32 %r8, %r2, %r3, %r1;\nmul.wide.u32 %rd6, %r8, 24;\n"
                "add.s64 %rd7, %rd1, %rd6;\nst.global.v2.u32 [%rd7], {%r1, %r2};\n"
                "st.global.v2.u32 [%rd7+8], {%r3, %r4};\nadd.s32 %r9, %r6, %r7;\n"
                "st.global.v2.u32 [%rd7+16], {%r5, %r9};"),
      4, to, nullptr, 3);
  const std::vector<std::uint32_t> values = contents(to, 12 * 6);
  for (std::uint32_t i = 0; i < 12; ++i)
    EXPECT_EQ(std::vector(&values[i * 6], &values[i * 6] + 6),
              (std::vector<std::uint32_t>{i % 4, i / 4, 4, 3, i % 4, 1}));
}

TEST_F(Interpreter, VectorsMoveTogether) {
  std::vector<std::uint32_t> in(8);
  std::iota(in.begin(), in.end(), 100);
  const auto* const from = allocate(in);
  const auto* const to = allocate(std::vector<std::uint32_t>(8));
  run(kernel_of("ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd1];\n"
                "st.global.v4.u32 [%rd2+16], {%r5, %r4, %r3, %r2};\n"
                "ld.global.nc.v2.f32 {%f1, %f2}, [%rd1+16];\n"
                "st.global.v2.f32 [%rd2], {%f2, %f1};\n"
                "ld.global.v2.u64 {%rd6, %rd7}, [%rd1+16];\nst.global.u64 [%rd2+8], %rd7;"),
      1, from, to);
  EXPECT_EQ(contents(to, 8), (std::vector<std::uint32_t>{105, 104, 106, 107, 103, 102, 101, 100}));
}

TEST_F(Interpreter, SmallIntegersAreExtendedBySign) {
  const auto* const from = allocate(std::vector<std::uint16_t>{0xFFFE, 0x80, 0x7F01});
  struct Load {
    const char* instruction;
    std::int32_t value;
  };
  for (const Load& load : {Load{"ld.global.u8 %r2, [%rd1];", 0xFE},
                           {"ld.global.s8 %r2, [%rd1];", -2},
                           {"ld.global.u16 %r2, [%rd1];", 0xFFFE},
                           {"ld.global.s16 %r2, [%rd1];", -2},
                           {"ld.global.s8 %r2, [%rd1+2];", -128},
                           {"ld.global.s16 %r2, [%rd1+2];", 128},
                           {"ld.global.v2.s8 {%r3, %r2}, [%rd1+4];", 0x7F},
                           {"ld.global.v2.s16 {%r2, %r3}, [%rd1];", -2},
                           {"ld.global.v4.u8 {%r3, %r2, %r4, %r5}, [%rd1];", 0xFF},
                           {"ld.global.v4.s8 {%r3, %r4, %r2, %r5}, [%rd1];", -128}}) {
    const auto* const to = allocate(std::vector<std::int32_t>(2, 7));
    run(kernel_of(std::string(load.instruction) + "\nst.global.u32 [%rd2], %r2;"), 1, from, to);
    EXPECT_EQ(contents(to, 2), (std::vector<std::int32_t>{load.value, 7})) << load.instruction;
  }
}

TEST_F(Interpreter, SmallStoresTouchTheirBytesOnly) {
  struct Store {
    const char* instruction;
    std::uint32_t word;
  };
  for (const Store& s : {Store{"st.global.u8 [%rd1+1], %r2;", 0x11112311},
                         {"st.global.s8 [%rd1+3], %r2;", 0x23111111},
                         {"st.global.u16 [%rd1+2], %r2;", 0x01231111},
                         {"st.global.s16 [%rd1], %r2;", 0x11110123},
                         {"st.global.v2.u8 [%rd1+2], {%r2, %r3};", 0x45231111},
                         {"st.global.v2.u16 [%rd1], {%r3, %r2};", 0x01230045}}) {
    const auto* const to = allocate(std::vector<std::uint32_t>{0x11111111});
    run(kernel_of("mov.u32 %r2, 0x123;\nmov.u32 %r3, 0x45;\n" + std::string(s.instruction)), 1, to);
    EXPECT_EQ(contents(to, 1)[0], s.word) << s.instruction;
  }
}

// An array for each thread, written at indices that depend on the thread and read back by both
// kinds of address.
TEST_F(Interpreter, LocalMemoryBelongsToAThread) {
  const std::string array =
      ".local .align 8 .b8 depot[16];\nmov.u64 %rd6, depot;\ncvta.local.u64 %rd7, %rd6;\n";
  const auto* const to = allocate(std::vector<std::uint32_t>(64));
  run(kernel_of(array +
                "and.b32 %r2, %r1, 3;\nmul.wide.u32 %rd8, %r2, 4;\nadd.s64 %rd9, %rd7, %rd8;\n"
                "add.s32 %r3, %r1, 1000;\nst.u32 [%rd9], %r3;\nbar.sync 0;\n"
                "add.s64 %rd10, %rd6, %rd8;\nld.local.u32 %r4, [%rd10];\n"
                "cvta.to.local.u64 %rd11, %rd9;\nld.local.u32 %r5, [%rd11];\n"
                "add.s32 %r6, %r4, %r5;\nst.global.u32 [%rd3], %r6;"),
      64, to);
  const std::vector<std::uint32_t> values = contents(to, 64);
  for (std::uint32_t i = 0; i < 64; ++i) EXPECT_EQ(values[i], 2 * (i + 1000));
  fault(FaultKind::illegal_address, kernel_of(array + "st.u32 [%rd7+16], %r1;"), 1);
  fault(FaultKind::illegal_address, kernel_of(array + "ld.local.u32 %r2, [%rd6+16];"), 1);
  fault(FaultKind::misaligned_address, kernel_of(array + "ld.local.u32 %r2, [%rd6+2];"), 1);
  passes(kernel_of(array + "st.u32 [%rd7+12], %r1;\nld.local.u64 %rd8, [%rd6+8];"), 1);
}

TEST_F(Interpreter, VariablesOfAModuleHaveTheirFirstValues) {
  const std::string variables =
      ".global .align 4 .u32 table[4] = {5, 6, 7};\n.const .align 2 .u16 small[2] = {3, 65535};\n";
  const auto* const to = allocate(std::vector<std::uint32_t>(4));
  run(kernel_of("ld.global.u32 %r2, [table+8];\nst.global.u32 [%rd1], %r2;\n"
                "mov.u64 %rd6, table;\nld.global.u32 %r3, [%rd6+12];\n"
                "st.global.u32 [%rd1+4], %r3;\nld.const.s16 %r4, [small+2];\n"
                "st.global.u32 [%rd1+8], %r4;",
                variables),
      1, to);
  EXPECT_EQ(contents(to, 3), (std::vector<std::uint32_t>{7, 0, ~0u}));
  fault(FaultKind::illegal_address, kernel_of("ld.global.u32 %r2, [table+16];", variables), 1);
}

TEST_F(Interpreter, WordsArePutTogetherAndTakenApart) {
  const auto* const to = allocate(std::vector<std::uint32_t>(4));
  run(kernel_of("mov.u16 %rs1, 0x1234;\nmov.u16 %rs2, 0xABCD;\nmov.b32 %r2, {%rs1, %rs2};\n"
                "st.global.u32 [%rd1], %r2;\nmov.b32 {%rs3, %rs4}, %r2;\n"
                "st.global.v2.u16 [%rd1+4], {%rs4, %rs3};\nmov.u32 %r3, -1;\n"
                "mov.b64 %rd6, {%r3, %r2};\nmov.b64 {%r4, %r5}, %rd6;\n"
                "st.global.v2.u32 [%rd1+8], {%r5, %r4};"),
      1, to);
  EXPECT_EQ(contents(to, 4), (std::vector<std::uint32_t>{0xABCD1234, 0x1234ABCD, 0xABCD1234, ~0u}));
}

TEST_F(Interpreter, PredicatesAreCombined) {
  // Bits of the result: a < b with c, a >= b with c, for c = thread & 1, a = thread >> 1 & 1, b
  // = 1.
  struct Combination {
    const char* word;
    bool (*of)(bool, bool);
  };
  for (const Combination& c : {Combination{"and", [](bool x, bool y) { return x && y; }},
                               {"or", [](bool x, bool y) { return x || y; }},
                               {"xor", [](bool x, bool y) { return x != y; }}}) {
    const std::string word = c.word;
    const auto* const to = allocate(std::vector<std::uint32_t>(4));
    run(kernel_of("and.b32 %r2, %r1, 1;\nsetp.ne.s32 %p1, %r2, 0;\nshr.u32 %r3, %r1, 1;\n"
                  "setp.lt." +
                  word +
                  ".s32 %p2|%p3, %r3, 1, %p1;\n"
                  "setp.lt." +
                  word + ".s32 %p4, %r3, 1, !%p1;\n" + word +
                  ".pred %p5, %p2, %p4;\n"
                  "not.pred %p6, %p5;\nselp.u32 %r4, 1, 0, %p2;\nselp.u32 %r5, 2, 0, %p3;\n"
                  "selp.u32 %r6, 4, 0, %p4;\nselp.u32 %r7, 8, 0, %p6;\nadd.s32 %r8, %r4, %r5;\n"
                  "add.s32 %r9, %r6, %r7;\nadd.s32 %r10, %r8, %r9;\nst.global.u32 [%rd3], %r10;"),
        4, to);
    const std::vector<std::uint32_t> values = contents(to, 4);
    for (std::uint32_t i = 0; i < 4; ++i) {
      const bool with = i & 1, less = (i >> 1) < 1;
      const bool p2 = c.of(less, with), p4 = c.of(less, !with);
      const std::uint32_t expected =
          (p2 ? 1 : 0) + (c.of(!less, with) ? 2 : 0) + (p4 ? 4 : 0) + (c.of(p2, p4) ? 0 : 8);
      EXPECT_EQ(values[i], expected) << word << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace emulator
