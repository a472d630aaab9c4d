// What the interpreter refuses, each next to a similar case that it accepts.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/emulator/interpreter_fixture.h"
#include "tests/emulator/runtime_fixture.h"

namespace emulator {
namespace {

TEST_F(Interpreter, MisalignedAccessIsAFault) {
  const auto* const p = allocate(std::vector<std::uint32_t>(16));
  struct Access {
    const char *refused, *accepted;
  };
  for (const Access& a :
       {Access{"ld.global.f32 %f1, [%rd1+2];", "ld.global.f32 %f1, [%rd1+4];"},
        {"ld.global.u16 %rs1, [%rd1+1];", "ld.global.u8 %rs1, [%rd1+1];"},
        {"ld.global.f64 %fd1, [%rd1+4];", "ld.global.f64 %fd1, [%rd1+8];"},
        {"ld.global.v2.f32 {%f1, %f2}, [%rd1+4];", "ld.global.v2.f32 {%f1, %f2}, [%rd1+8];"},
        {"ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1+8];",
         "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1+16];"},
        {"st.global.u32 [%rd1+3], %r1;", "st.global.u32 [%rd1+8], %r1;"},
        {"st.global.v2.u16 [%rd1+2], {%rs1, %rs2};", "st.global.v2.u16 [%rd1+4], {%rs1, %rs2};"},
        {"ld.u32 %r1, [%rd1+2];", "ld.u32 %r1, [%rd1+4];"}}) {
    fault(FaultKind::misaligned_address, kernel_of(a.refused), 1, p);
    passes(kernel_of(a.accepted), 1, p);
  }
}

TEST_F(Interpreter, AccessOutOfBoundsIsAFault) {
  const auto* const p = allocate(std::vector<unsigned char>(18));
  const std::string text = kernel_of("ld.global.u32 %r2, [%rd1+20];");
  const std::string message = fault(FaultKind::illegal_address, text, 1, p);
  EXPECT_TRUE(contains(message, "2 bytes behind the end of an allocation of 18")) << message;
  EXPECT_TRUE(contains(message, "ld.global.u32 %r2, [%rd1+20]")) << message;
  EXPECT_TRUE(
      contains(fault(FaultKind::illegal_address, kernel_of("ld.global.u32 %r2, [%rd1+16];"), 1, p),
               "over the end"));
  for (const char* const refused :
       {"ld.global.u8 %rs1, [%rd1+18];", "ld.global.u32 %r2, [%rd1+-4];",
        "st.global.u8 [%rd1+18], %rs1;", "ld.global.v2.u64 {%rd6, %rd7}, [%rd1+16];",
        "ld.u8 %rs1, [%rd1+18];", "ld.global.u32 %r2, [%rd2];"})
    fault(FaultKind::illegal_address, kernel_of(refused), 1, p);
  for (const char* const accepted :
       {"ld.global.u8 %rs1, [%rd1+17];", "ld.global.u32 %r2, [%rd1+12];",
        "st.global.u16 [%rd1+16], %rs1;", "ld.global.v2.u64 {%rd6, %rd7}, [%rd1];"})
    passes(kernel_of(accepted), 1, p);
}

// Only one thread is out of bounds, and the message tells which.
TEST_F(Interpreter, EveryThreadIsChecked) {
  const auto* const p = allocate(std::vector<std::uint32_t>(40));
  const std::string text = kernel_of("st.global.u32 [%rd3], %r1;");
  passes(text, 40, p);
  const std::string message = fault(FaultKind::illegal_address, text, 41, p);
  EXPECT_TRUE(contains(message, "threads from 32")) << message;
  EXPECT_TRUE(message.ends_with(", of f")) << message;  // the kernel
}

// The end of such an access is address 0 again.
TEST_F(Interpreter, AnAccessAtTheTopOfTheAddressesIsAFault) {
  const auto* const p = allocate(std::vector<std::uint32_t>(4));
  const std::string text =
      kernel_of("ld.global.u32 %r2, [%rd1];\nmov.u64 %rd6, -4;\nld.global.u32 %r3, [%rd6];");
  expect_in_child([&] { fault(FaultKind::illegal_address, text, 1, p); });
}

TEST_F(Interpreter, UseAfterReleaseIsAFault) {
  auto* const p = allocate(std::vector<std::uint32_t>(4));
  const std::string text = kernel_of("ld.global.u32 %r2, [%rd1];");
  passes(text, 1, p);
  memory_.release(p, MemoryKind::device);
  fault(FaultKind::illegal_address, text, 1, p);
}

TEST_F(Interpreter, MemoryOfAnotherDeviceIsAFault) {
  const std::string text = kernel_of("ld.global.u32 %r2, [%rd1];");
  const std::vector<std::uint32_t> values(4);
  const std::string message = fault(FaultKind::illegal_address, text, 1, allocate(values, 1));
  EXPECT_TRUE(contains(message, "memory of device 1 touched by device 0")) << message;
  passes(text, 1, allocate(values, 0));
  fault(FaultKind::illegal_address, text, 1, values.data());  // memory of the host
  passes(text, 1, allocate(values, 1, MemoryKind::page_locked));
}

TEST_F(Interpreter, WhatNothingWroteReadsAsNanOrMinusOne) {
  const void* const unwritten = memory_.allocate(8, MemoryKind::device, 0);
  const auto* const to = allocate(std::vector<float>(8));
  run(kernel_of("ld.global.f32 %f1, [%rd1];\nst.global.f32 [%rd2], %f1;\n"
                "ld.global.s32 %r2, [%rd1+4];\ncvt.rn.f32.s32 %f2, %r2;\n"
                "st.global.f32 [%rd2+4], %f2;\n"
                ".shared .align 4 .b8 s[4];\nld.shared.f32 %f3, [s];\n"
                "st.global.f32 [%rd2+8], %f3;\n"
                ".local .align 4 .b8 depot[4];\nld.local.f32 %f4, [depot];\n"
                "st.global.f32 [%rd2+12], %f4;\n"
                "st.global.f32 [%rd2+16], %f5;"),
      1, unwritten, to);
  const std::vector<float> read = contents(to, 5);
  for (const std::size_t k : {0, 2, 3, 4}) EXPECT_TRUE(std::isnan(read[k])) << k;
  EXPECT_EQ(read[1], -1);
}

TEST_F(Interpreter, SharedMemoryHasBounds) {
  for (const char* const refused :
       {"st.shared.u32 [s+256], %r1;", "ld.shared.u32 %r2, [s+256];",
        "ld.shared.v2.u32 {%r2, %r3}, [s+256];", "ld.shared.u32 %r2, [s+-4];",
        "mov.u64 %rd6, s;\ncvta.shared.u64 %rd7, %rd6;\nld.u32 %r2, [%rd7+256];"})
    fault(FaultKind::illegal_address, kernel_of(kShared + refused), 1);
  fault(FaultKind::misaligned_address, kernel_of(kShared + "ld.shared.u32 %r2, [s+2];"), 1);
  for (const char* const accepted :
       {"st.shared.u32 [s+252], %r1;", "ld.shared.v2.u32 {%r2, %r3}, [s+248];",
        "mov.u64 %rd6, s;\ncvta.shared.u64 %rd7, %rd6;\nst.u32 [%rd7+252], %r1;"})
    passes(kernel_of(kShared + accepted), 1);
}

// Also a variable of the module.
TEST_F(Interpreter, SharedMemoryOfTheModuleBelongsToTheKernelsThatNameIt) {
  const auto* const to = allocate(std::vector<std::uint32_t>(1));
  run(kernel_of("mov.u32 %r2, 7;\nst.shared.u32 [m+4], %r2;\nld.shared.u32 %r3, [m+4];\n"
                "st.global.u32 [%rd1], %r3;",
                ".shared .align 4 .b8 m[8];\n"),
      1, to);
  EXPECT_EQ(contents(to, 1)[0], 7u);
  fault(FaultKind::illegal_address,
        kernel_of("st.shared.u32 [m+8], %r1;", ".shared .align 4 .b8 m[8];\n"), 1);
}

// In a warp of 32 threads, and between the two of 64.
TEST_F(Interpreter, SharedMemoryWithoutABarrierBetweenIsARace) {
  const std::string own = "mov.u32 %r2, s;\nshl.b32 %r3, %r1, 2;\nadd.s32 %r4, %r2, %r3;\n";
  const std::string neighbour =  // in a ring of all threads of the block
      "mov.u32 %r5, %ntid.x;\nadd.s32 %r6, %r1, 1;\nrem.u32 %r7, %r6, %r5;\n"
      "shl.b32 %r8, %r7, 2;\nadd.s32 %r9, %r2, %r8;\n";
  const std::string first = "setp.eq.s32 %p1, %r1, 0;\n", last = "setp.eq.s32 %p2, %r1, 31;\n";
  struct Pair {
    const char* name;
    std::string before, then;
  };
  const std::vector<Pair> pairs{
      {"read what another wrote", own + neighbour + "st.shared.u32 [%r4], %r1;\n",
       "ld.shared.u32 %r10, [%r9];\n"},
      {"two writers", first + last + "@%p1 st.shared.u32 [s], %r1;\n",
       "@%p2 st.shared.u32 [s], %r1;\n"},
      {"write what another read", own + neighbour + "ld.shared.u32 %r10, [%r9];\n",
       "st.shared.u32 [%r4], %r1;\n"},
      {"write what all read", first + "ld.shared.u32 %r10, [s];\n",
       "@%p1 st.shared.u32 [s], %r1;\n"},
      {"one byte of a word", own + neighbour + "st.shared.u32 [%r4], %r1;\n",
       "ld.shared.u8 %rs1, [%r9+3];\n"}};
  for (const Pair& p : pairs)
    for (const std::uint32_t threads : {32u, 64u}) {
      SCOPED_TRACE(p.name);
      fault(FaultKind::race, kernel_of(kShared + p.before + p.then), threads);
      passes(kernel_of(kShared + p.before + "bar.sync 0;\n" + p.then), threads);
    }
  fault(FaultKind::race, kernel_of(kShared + "st.shared.u32 [s], %r1;"), 2);
  passes(kernel_of(kShared + "st.shared.u32 [s], %r1;\nld.shared.u32 %r2, [s];"), 1);
  passes(kernel_of(kShared + "ld.shared.u32 %r2, [s];\nld.shared.u32 %r3, [s];"), 64);
}

TEST_F(Interpreter, EveryThreadReachesABarrierOrIsAFault) {
  struct Case {
    const char* name;
    std::string condition, refused;
  };
  const std::vector<Case> cases{
      {"some lanes of a warp", "setp.lt.u32 %p1, %r1, 16;\n",
       "@%p1 bra $L_end;\nbar.sync 0;\n$L_end:\n"},
      {"some warps", "setp.lt.u32 %p1, %r1, 32;\n", "@%p1 bra $L_end;\nbar.sync 0;\n$L_end:\n"},
      {"an exited lane", "setp.eq.u32 %p1, %r1, 5;\n", "@%p1 ret;\nbar.sync 0;\n"},
      {"an exited warp", "setp.ge.u32 %p1, %r1, 32;\n", "@%p1 exit;\nbar.sync 0;\n"},
      {"a guarded barrier", "setp.lt.u32 %p1, %r1, 5;\n", "@%p1 bar.sync 0;\n"},
      {"two barriers in one warp", "setp.lt.u32 %p1, %r1, 5;\n",
       "@%p1 bra $L_2;\nbar.sync 0;\nbra $L_end;\n$L_2:\nbar.sync 0;\n$L_end:\n"},
      {"a barrier for each warp", "setp.lt.u32 %p1, %r1, 32;\n",
       "@%p1 bra $L_2;\nbar.sync 0;\nbra $L_end;\n$L_2:\nbar.sync 0;\n$L_end:\n"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    fault(FaultKind::barrier, kernel_of(c.condition + c.refused), 64);
  }
  for (const std::uint32_t threads : {1u, 31u, 32u, 40u, 64u}) {
    passes(kernel_of("bar.sync 0;\nbar.sync 0;"), threads);
    passes(kernel_of("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L_1;\nmov.u32 %r2, 1;\n$L_1:\n"
                     "bar.sync 0;\n@%p1 ret;"),
           threads);
    passes(kernel_of("setp.lt.u32 %p1, %r1, 5000;\n@%p1 bar.sync 0;"), threads);
    passes(kernel_of("setp.lt.u32 %p1, %r1, 5000;\n@!%p1 bar.sync 0;"), threads);
  }
}

TEST_F(Interpreter, UnknownInstructionsAreNamed) {
  for (const char* const instruction : {"mul24.lo.u32 %r2, %r1, %r1",
                                        "atom.global.add.u32 %r2, [%rd1], %r1",
                                        "shf.l.clamp.b32 %r2, %r1, %r1, %r1",
                                        "setp.lt.ftz.f32 %p1, %f1, %f2",
                                        "add.ftz.f32 %f1, %f2, %f3",
                                        "add.sat.s32 %r2, %r1, %r1",
                                        "min.NaN.f32 %f1, %f2, %f3",
                                        "cvt.rz.f32.f64 %f1, %fd1",
                                        "cvt.sat.s8.s32 %r2, %r1",
                                        "cvt.rn.relu.f16.f32 %rs1, %f1",
                                        "div.rz.f32 %f1, %f2, %f3",
                                        "sqrt.rz.f32 %f1, %f2",
                                        "prmt.b32.f4e %r2, %r1, %r1, %r1",
                                        "ld.global.L1::no_allocate.u32 %r2, [%rd1]",
                                        "bar.sync 1",
                                        "bar.sync 0, 32",
                                        "bar.warp.sync -1",
                                        "barrier.sync 2",
                                        "mov.u32 %r2, %clock",
                                        "mov.u32 %r2, missing",
                                        "bra $L_missing",
                                        "st.param.u64 [f_param_0], %rd1",
                                        "call.uni g, (%r1)",
                                        "shfl.sync.down.b32 %r2, %r1, 1, 31, -1",
                                        "trap",
                                        "membar.gl",
                                        "fence.acq_rel.gpu"}) {
    const std::string text = kernel_of(std::string(instruction) + ";");
    const std::string message = fault(FaultKind::instruction, text, 1);
    EXPECT_TRUE(contains(message, instruction)) << message;
  }
  passes(kernel_of("mul.lo.u32 %r2, %r1, %r1;\nbra.uni $L_1;\n$L_1:\nbarrier.sync 0;"), 1);
}

}  // namespace
}  // namespace emulator
