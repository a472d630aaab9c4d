// What the emulated GPUs refuse, each beside a like case that they accept, and the values that
// their instructions and libraries compute.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <zstd.h>
#if __has_include(<nccl.h>)
#include <nccl.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cfenv>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/fat_binary.h"
#include "tests/emulator/fault.h"
#include "tests/emulator/gpu.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/ptx.h"
#include "tests/emulator/runtime_fixture.h"

extern "C" {
void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFunction(void** fat_binary, const char* host_function, char* device_function,
                            const char* device_name, int, uint3*, uint3*, dim3*, dim3*, int*);
}

namespace emulator {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class F>
std::string message_of_fault(FaultKind kind, F f) {
  try {
    f();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), kind) << fault.what();
    return fault.what();
  }
  ADD_FAILURE() << "no fault";
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

// Memory.

TEST(EmulatedMemory, BeginsAlignedAndFilledWithPoison) {
  Memory memory(1 << 20);
  for (const std::size_t bytes : {1, 512, 513}) {
    void* const p = memory.allocate(bytes, MemoryKind::device, 0);
    EXPECT_EQ(reinterpret_cast<Address>(p) % Memory::kAlignment, 0u);
    const unsigned char* const v = memory.view(p, bytes, 0);
    EXPECT_TRUE(std::all_of(v, v + bytes, [](auto b) { return b == Memory::kPoison; }));
  }
}

TEST(EmulatedMemory, NoRoomGivesNull) {
  Memory memory(2048);
  void* const first = memory.allocate(1024, MemoryKind::device, 0);
  void* const second = memory.allocate(1024, MemoryKind::device, 0);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(memory.allocate(1, MemoryKind::device, 0), nullptr);
  memory.release(first, MemoryKind::device);
  EXPECT_EQ(memory.allocate(1025, MemoryKind::device, 0), nullptr);
  EXPECT_EQ(memory.allocate(1024, MemoryKind::device, 0), first);
  EXPECT_EQ(memory.allocate(~std::size_t{0}, MemoryKind::device, 0), nullptr);
}

TEST(EmulatedMemory, AnAllocationOfNoBytesIsNotGivenTwice) {
  Memory memory(1024);
  void* const empty = memory.allocate(0, MemoryKind::device, 0);
  EXPECT_NE(memory.allocate(512, MemoryKind::device, 0), nullptr);
  const void* const next = memory.allocate(512, MemoryKind::device, 0);
  EXPECT_TRUE(next == nullptr || next != empty);
}

TEST(EmulatedMemory, IsReleasedOnceAndAsItWasAllocated) {
  Memory memory(1 << 20);
  void* const p = memory.allocate(8, MemoryKind::device, 0);
  const auto release = [&](void* q, MemoryKind kind) { memory.release(q, kind); };
  message_of_fault(FaultKind::illegal_address, [&] { release(p, MemoryKind::pool); });
  message_of_fault(FaultKind::illegal_address,
                   [&] { release(static_cast<char*>(p) + 4, MemoryKind::device); });
  release(p, MemoryKind::device);
  message_of_fault(FaultKind::illegal_address, [&] { release(p, MemoryKind::device); });
}

TEST(EmulatedMemory, BytesThatWrapAroundAreRefused) {
  Memory memory(1 << 20);
  const auto p = reinterpret_cast<Address>(memory.allocate(16, MemoryKind::device, 0));
  EXPECT_NO_THROW(memory.require(p, 16, 0));
  for (const std::size_t bytes : {std::size_t{17}, std::size_t{1} << 40, ~std::size_t{0}})
    EXPECT_THROW(memory.require(p, bytes, 0), Fault) << bytes;
}

TEST(EmulatedMemory, CountsWhatIsInUseOfEachDevice) {
  Memory memory(1 << 20);
  void* const p = memory.allocate(1000, MemoryKind::device, 0);
  memory.allocate(10, MemoryKind::pool, 0);
  memory.allocate(10, MemoryKind::page_locked, 0);
  memory.allocate(7, MemoryKind::device, 1);
  EXPECT_EQ(memory.in_use(0), 1010u);
  EXPECT_EQ(memory.in_use(1), 7u);
  memory.release(p, MemoryKind::device);
  EXPECT_EQ(memory.in_use(0), 10u);
}

// The interpreter.

const std::string kHeader = ".version 8.0\n.target sm_90\n.address_size 64\n";
const std::string kRegisters =
    ".reg .pred %p<20>;\n.reg .b16 %rs<20>;\n.reg .b32 %r<20>;\n.reg .f32 %f<20>;\n"
    ".reg .b64 %rd<20>;\n.reg .f64 %fd<20>;\n";

// A kernel "f" of two pointers, %rd1 and %rd2. %r1: the thread in its block; %rd3 and %rd4: the
// word of 32 bits that is its own behind each pointer.
std::string kernel_of(const std::string& body, const std::string& variables = "") {
  return kHeader + variables +
         "\n.visible .entry f(\n.param .u64 f_param_0,\n.param .u64 f_param_1\n)\n{\n" +
         kRegisters +
         "ld.param.u64 %rd1, [f_param_0];\nld.param.u64 %rd2, [f_param_1];\n"
         "mov.u32 %r1, %tid.x;\nmul.wide.u32 %rd5, %r1, 4;\n"
         "add.s64 %rd3, %rd1, %rd5;\nadd.s64 %rd4, %rd2, %rd5;\n" +
         body + "\nret;\n}\n";
}

class Interpreter : public testing::Test {
 protected:
  template <class T>
  T* allocate(const std::vector<T>& values, int device = 0, MemoryKind kind = MemoryKind::device) {
    const std::size_t bytes = values.size() * sizeof(T);
    void* const p = memory_.allocate(bytes, kind, device);
    std::memcpy(memory_.view(p, bytes, device), values.data(), bytes);
    return static_cast<T*>(p);
  }
  template <class T>
  std::vector<T> contents(const T* p, std::size_t n, int device = 0) {
    std::vector<T> values(n);
    std::memcpy(values.data(), memory_.view(p, n * sizeof(T), device), n * sizeof(T));
    return values;
  }
  void run(const std::string& ptx, std::uint32_t threads, const void* first = nullptr,
           const void* second = nullptr, std::uint32_t blocks = 1) {
    Module module(ptx, memory_, 0);
    std::array<unsigned char, 16> parameters;
    std::memcpy(parameters.data(), &first, 8);
    std::memcpy(parameters.data() + 8, &second, 8);
    Counts counts;
    run_kernel(module.kernel("f"), {blocks, threads}, parameters, memory_, 0, counts);
  }
  std::string fault(FaultKind kind, const std::string& ptx, std::uint32_t threads,
                    const void* first = nullptr, const void* second = nullptr) {
    SCOPED_TRACE(ptx);
    return message_of_fault(kind, [&] { run(ptx, threads, first, second); });
  }
  void passes(const std::string& ptx, std::uint32_t threads, const void* first = nullptr,
              const void* second = nullptr) {
    EXPECT_NO_THROW(run(ptx, threads, first, second)) << ptx;
  }

  Memory memory_{std::size_t{8} << 20};
};

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

const std::string kShared = ".shared .align 4 .b8 s[256];\n";

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

// Values of instructions.

struct Type {
  const char *name, *registers;
};
template <class T>
Type type_of() {
  if (std::is_same_v<T, bool>) return {"pred", "%p"};
  if (std::is_same_v<T, float>) return {"f32", "%f"};
  if (std::is_same_v<T, double>) return {"f64", "%fd"};
  constexpr bool is_signed = std::is_signed_v<T>;
  if (sizeof(T) == 1) return {is_signed ? "s8" : "u8", "%rs"};
  if (sizeof(T) == 2) return {is_signed ? "s16" : "u16", "%rs"};
  if (sizeof(T) == 4) return {is_signed ? "s32" : "u32", "%r"};
  return {is_signed ? "s64" : "u64", "%rd"};
}
template <class T>
std::string name_of() {
  return type_of<T>().name;
}
template <class T>
std::string bits_name() {
  return "b" + std::to_string(8 * sizeof(T));
}
template <class T>
std::uint64_t word(T value) {
  std::uint64_t w = 0;
  std::memcpy(&w, &value, sizeof value);
  return w;
}

using Operands = std::array<std::uint64_t, 3>;

// The results of one instruction for each of the operands, a thread for each.
std::vector<std::uint64_t> executed(const std::string& opcode, const Type& to,
                                    const std::vector<Type>& from,
                                    const std::vector<Operands>& inputs) {
  const auto name = [](const Type& t, std::size_t k) {
    return t.registers + std::to_string(10 + k);
  };
  const auto is_predicate = [](const Type& t) { return std::string(t.name) == "pred"; };
  std::string text =
      kHeader + ".visible .entry f(.param .u64 f_to, .param .u64 f_from, .param .u32 f_n)\n{\n" +
      kRegisters +
      "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"
      "mad.lo.s32 %r4, %r1, %r2, %r3;\nld.param.u32 %r5, [f_n];\n"
      "setp.ge.u32 %p1, %r4, %r5;\n@%p1 bra $L_end;\n"
      "ld.param.u64 %rd1, [f_to];\nmul.wide.u32 %rd2, %r4, 8;\n"
      "add.s64 %rd3, %rd1, %rd2;\nld.param.u64 %rd4, [f_from];\n"
      "mul.wide.u32 %rd5, %r4, 24;\nadd.s64 %rd6, %rd4, %rd5;\n";
  std::string instruction = opcode + " " + name(to, 0);
  for (std::size_t k = 0; k < from.size(); ++k) {
    const std::string at = ", [%rd6+" + std::to_string(8 * k) + "];\n";
    if (is_predicate(from[k]))
      text += "ld.global.u8 %rs1" + at + "setp.ne.u16 " + name(from[k], k + 1) + ", %rs1, 0;\n";
    else
      text += std::string("ld.global.") + from[k].name + " " + name(from[k], k + 1) + at;
    instruction += ", " + name(from[k], k + 1);
  }
  text += instruction + ";\n";
  if (is_predicate(to))
    text += "selp.u16 %rs2, 1, 0, " + name(to, 0) + ";\nst.global.u8 [%rd3], %rs2;\n";
  else
    text += std::string("st.global.") + to.name + " [%rd3], " + name(to, 0) + ";\n";
  text += "$L_end:\nret;\n}\n";

  Memory memory(std::size_t{4} << 20);
  const std::size_t in_bytes = inputs.size() * sizeof(Operands), out_bytes = inputs.size() * 8;
  void* const in = memory.allocate(in_bytes, MemoryKind::device, 0);
  void* const out = memory.allocate(out_bytes, MemoryKind::device, 0);
  std::memcpy(memory.view(in, in_bytes, 0), inputs.data(), in_bytes);
  std::memset(memory.view(out, out_bytes, 0), 0, out_bytes);
  struct {
    void *out, *in;
    std::uint32_t n;
  } const parameters{out, in, static_cast<std::uint32_t>(inputs.size())};
  std::vector<std::uint64_t> results(inputs.size());
  try {
    Module module(text, memory, 0);
    Counts counts;
    run_kernel(module.kernel("f"), {(parameters.n + 63) / 64, 64},
               {reinterpret_cast<const unsigned char*>(&parameters), 20}, memory, 0, counts);
    std::memcpy(results.data(), memory.view(out, out_bytes, 0), out_bytes);
  } catch (const Fault& fault) {
    ADD_FAILURE() << fault.what();
  }
  return results;
}

template <class T>
bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(a) && std::isnan(b)) return true;
  return word(a) == word(b);
}
template <class T>
auto printed(T value) {
  if constexpr (sizeof(T) == 1)
    return static_cast<int>(value);
  else
    return value;
}

template <class To, class... From>
void compare(const std::string& opcode, const std::vector<Operands>& inputs,
             const std::vector<To>& expected) {
  const std::vector<std::uint64_t> results =
      executed(opcode, type_of<To>(), {type_of<From>()...}, inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    To result;
    std::memcpy(&result, &results[i], sizeof result);
    ASSERT_TRUE(same(result, expected[i]))
        << opcode << " of 0x" << std::hex << inputs[i][0] << ", 0x" << inputs[i][1] << ", 0x"
        << inputs[i][2] << std::dec << ": " << printed(result) << " for " << printed(expected[i]);
  }
}

// The instruction against f, for every combination of operands.
template <class To, class A, class F>
void check(const std::string& opcode, const std::vector<A>& as, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as) {
    inputs.push_back({word(a)});
    expected.push_back(f(a));
  }
  compare<To, A>(opcode, inputs, expected);
}
template <class To, class A, class B, class F>
void check(const std::string& opcode, const std::vector<A>& as, const std::vector<B>& bs, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as)
    for (const B b : bs) {
      inputs.push_back({word(a), word(b)});
      expected.push_back(f(a, b));
    }
  compare<To, A, B>(opcode, inputs, expected);
}
template <class To, class A, class B, class C, class F>
void check(const std::string& opcode, const std::vector<A>& as, const std::vector<B>& bs,
           const std::vector<C>& cs, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as)
    for (const B b : bs)
      for (const C c : cs) {
        inputs.push_back({word(a), word(b), word(c)});
        expected.push_back(f(a, b, c));
      }
  compare<To, A, B, C>(opcode, inputs, expected);
}

template <class T>
std::vector<T> integers() {
  using Limits = std::numeric_limits<T>;
  const T low = Limits::min(), high = Limits::max(), middle = static_cast<T>(high / 2);
  return {0,
          1,
          2,
          3,
          7,
          100,
          static_cast<T>(-1),
          static_cast<T>(-2),
          static_cast<T>(-100),
          low,
          static_cast<T>(low + 1),
          high,
          static_cast<T>(high - 1),
          middle,
          static_cast<T>(middle + 1),
          static_cast<T>(0x5A3C96E1D2B4F708)};
}

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
std::vector<T> reals() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> v{0,
                   1,
                   T{.1},
                   T{1.5},
                   3,
                   T{1e10},
                   T{1e-10},
                   Limits::max(),
                   Limits::min(),
                   Limits::denorm_min(),
                   Limits::infinity(),
                   1 + Limits::epsilon()};
  for (std::size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  v.push_back(Limits::quiet_NaN());
  return v;
}

template <class T>
class FloatInstructions : public testing::Test {};
using FloatTypes = testing::Types<float, double>;
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

// Conversions.

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

// Device code as it lies in a program.

struct FatBinary {
  explicit FatBinary(const std::string& ptx) { add(1, 90, ptx.size(), 0, ptx, ptx.size()); }
  FatBinary() = default;

  void add(std::uint16_t kind, std::uint32_t architecture, std::size_t stored, std::uint64_t flags,
           const std::string& data, std::size_t whole) {
    put(kind), put(std::uint16_t{1}), put(std::uint32_t{64}), put(std::uint64_t{data.size()});
    put(static_cast<std::uint32_t>(stored)), put(std::uint32_t{0}), put(std::uint32_t{0});
    put(architecture), put(std::uint64_t{0}), put(flags), put(std::uint64_t{0});
    put(std::uint64_t{whole});
    entries += data;
  }
  const void* wrapper(std::uint32_t magic = 0x466243B1) {
    const std::string rest = std::move(entries);
    entries.clear();
    put(std::uint32_t{0xBA55ED50}), put(std::uint16_t{1}), put(std::uint16_t{16});
    put(std::uint64_t{rest.size()});
    entries += rest;
    head = {magic, 1, entries.data()};
    return &head;
  }
  template <class T>
  void put(T value) {
    entries.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  struct {
    std::uint32_t magic, version;
    const char* binary;
  } head{};
  std::string entries;
};

TEST(DeviceCode, IsThePtxOfTheNewestArchitecture) {
  constexpr std::uint64_t kZstd = 0x8000, kLz4 = 0x2000;
  const std::string text(300, 'x');
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  FatBinary binary;
  binary.add(1, 70, 0, 0, "old", 3);
  binary.add(2, 100, 0, 0, "machine code", 12);
  EXPECT_EQ(ptx_of(FatBinary(binary).wrapper()), "old");
  binary.add(1, 90, packed.size(), kZstd, packed, text.size());
  binary.add(1, 80, 0, 0, "between", 7);
  EXPECT_EQ(ptx_of(FatBinary(binary).wrapper()), text);
  FatBinary spoiled = binary;
  spoiled.add(1, 100, packed.size() - 1, kZstd, packed, text.size());
  message_of_fault(FaultKind::instruction, [&] { ptx_of(spoiled.wrapper()); });
  binary.add(1, 110, packed.size(), kLz4, packed, text.size());
  message_of_fault(FaultKind::instruction, [&] { ptx_of(binary.wrapper()); });
  message_of_fault(FaultKind::instruction, [&] { ptx_of(FatBinary("text").wrapper(7)); });
  EXPECT_EQ(ptx_of(FatBinary().wrapper()), "");
}

// The runtime.

TEST_F(Runtime, WorkIsDoneWhenTheHostWaits) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(*to, 2);
  *from = 3;  // too early: the copy has not begun
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 2);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 3);
}

TEST_F(Runtime, StreamsAreOrderedByEventsOnly) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  const cudaEvent_t e = event();
  for (const bool waits : {false, true}) {
    int* const p = on_device(1);
    EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
    if (waits) {
      EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
    }
    EXPECT_EQ(to_host(to, p, 1, b_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
    EXPECT_EQ(*to, waits ? 1 : -1);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  }
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, EventsCoverWhatWasBeforeThem) {
  int* const to = locked(2, 2);
  int* const p = filled(std::vector{5});
  const cudaEvent_t e = event();
  EXPECT_EQ(cudaEventSynchronize(e), cudaSuccess);  // never recorded
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(to_host(to + 1, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(e), cudaSuccess);
  EXPECT_EQ(to[0], 5);
  EXPECT_EQ(to[1], 2);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

// The host waits for a stream, and with it for the event that this stream waits for.
TEST_F(Runtime, WaitingForAStreamIsWaitingForItsEvents) {
  int* const to = locked(1, 2);
  int* const p = filled(std::vector{5});
  const cudaEvent_t e = event();
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 5);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, TheLegacyStreamIsOrderedWithAllOfItsDevice) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, nullptr), cudaSuccess);
  int* const after = locked(1, 2);
  EXPECT_EQ(to_host(after, p, 1, b_), cudaSuccess);
  cudaSetDevice(1);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);  // of another device
  EXPECT_EQ(*to, 2);
  cudaSetDevice(0);
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 1);
  EXPECT_EQ(*after, 0);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(*to, 0);
}

TEST_F(Runtime, CopiesOfPageableMemoryTakePartAtTheCall) {
  int from = 1, to = 2;
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, &from, 1, a_), cudaSuccess);
  from = 3;
  EXPECT_EQ(to_host(&to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(to, 1);
}

TEST_F(Runtime, CopiesBetweenDevicesAndOnOne) {
  int* const first = filled(std::vector{5, 6});
  int* const second = on_device(2);
  cudaSetDevice(1);
  int* const other = on_device(2);
  cudaSetDevice(0);
  EXPECT_EQ(cudaMemcpyAsync(second, first, 8, cudaMemcpyDeviceToDevice, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyPeerAsync(other, 1, second, 0, 8, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyPeerAsync(first, 0, other + 1, 1, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(contents(first, 2), (std::vector{6, 6}));
  EXPECT_EQ(cudaMemcpyPeerAsync(other, 2, second, 0, 8, a_), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaMemcpyAsync(second, first, 8, cudaMemcpyDefault, a_),
            cudaErrorInvalidMemcpyDirection);
  expect_in_child([&] {  // not at the peer
    cudaMemcpyPeerAsync(other, 0, second, 0, 8, a_);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
}

TEST_F(Runtime, DevicesAreCounted) {
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  for (const int device : {-1, 2}) EXPECT_EQ(cudaSetDevice(device), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Runtime, StreamsAndEventsBelongToTheirDevice) {
  int* const p = on_device(1);
  const cudaEvent_t of_first = event();
  cudaSetDevice(1);
  const cudaEvent_t of_second = event();
  const cudaStream_t second = stream();
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_second, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_first, a_), cudaErrorInvalidResourceHandle);  // not current
  EXPECT_EQ(cudaEventRecord(of_first, second), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_second, second), cudaSuccess);
  cudaSetDevice(0);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(of_first, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(of_second, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamWaitEvent(a_, of_second, 0), cudaSuccess);  // across devices
  cudaStream_t gone = nullptr;
  EXPECT_EQ(cudaStreamCreate(&gone), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(gone), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventDestroy(of_first), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(of_second), cudaSuccess);
}

TEST_F(Runtime, ElapsedTimeIsOfEventsThatWereReached) {
  const cudaEvent_t first = event(), second = event();
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(first, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(second, a_), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(first), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(second), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventDestroy(first), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(second), cudaSuccess);
}

// Captures.

TEST_F(Runtime, UnsafeCallsEndACapture) {
  void *p = nullptr, *q = nullptr;
  int pageable = 0;
  int* const d = on_device(1);
  int* const host = locked(1);
  const cudaEvent_t outside = event(), inside = event();
  EXPECT_EQ(cudaEventRecord(outside, b_), cudaSuccess);
  struct Call {
    const char* name;
    std::function<cudaError_t()> call;
    cudaError_t error;
  };
  const std::vector<Call> calls{
      {"cudaMalloc", [&] { return cudaMalloc(&p, 4); }, cudaErrorStreamCaptureUnsupported},
      {"cudaFree", [&] { return cudaFree(nullptr); }, cudaErrorStreamCaptureUnsupported},
      {"cudaHostAlloc", [&] { return cudaHostAlloc(&q, 4, 0); }, cudaErrorStreamCaptureUnsupported},
      {"waiting", [&] { return cudaStreamSynchronize(a_); }, cudaErrorStreamCaptureUnsupported},
      {"legacy stream", [&] { return cudaMemsetAsync(d, 0, 4, nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"waiting for the legacy stream", [&] { return cudaStreamSynchronize(nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"event in the legacy stream", [&] { return cudaEventRecord(outside, nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"from pageable memory", [&] { return to_device(d, &pageable, 1, a_); },
       cudaErrorStreamCaptureUnsupported},
      {"to pageable memory", [&] { return to_host(&pageable, d, 1, a_); },
       cudaErrorStreamCaptureUnsupported},
      {"event from outside", [&] { return cudaStreamWaitEvent(a_, outside, 0); },
       cudaErrorStreamCaptureIsolation},
      {"memset", [&] { return cudaMemsetAsync(d, 0, 4, a_); }, cudaSuccess},
      {"to page-locked memory", [&] { return to_host(host, d, 1, a_); }, cudaSuccess},
      {"event", [&] { return cudaEventRecord(inside, a_); }, cudaSuccess},
      {"another stream", [&] { return cudaMemsetAsync(d, 0, 4, b_); }, cudaSuccess},
      {"pageable memory of another stream", [&] { return to_host(&pageable, d, 1, b_); },
       cudaSuccess},
      {"waiting for another stream", [&] { return cudaStreamSynchronize(b_); }, cudaSuccess}};
  for (const Call& c : calls) {
    SCOPED_TRACE(c.name);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(c.call(), c.error);
    if (c.error != cudaSuccess) {
      EXPECT_EQ(cudaMemsetAsync(d, 0, 4, a_), cudaErrorStreamCaptureInvalidated);
    }
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              c.error == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph != nullptr, c.error == cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  EXPECT_EQ(cudaEventRecord(inside, b_), cudaSuccess);  // it is no event of the capture any more
  for (const Call& c : calls) EXPECT_EQ(c.call(), cudaSuccess) << c.name;
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(q), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(outside), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(inside), cudaSuccess);
}

TEST_F(Runtime, EventsOfACaptureStayInIt) {
  const cudaEvent_t e = event();
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(a_, e, 0), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(e), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamBeginCapture(b_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_NE(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);  // two captures would become one
  cudaStreamEndCapture(b_, &graph);
  cudaGraphDestroy(graph);
  cudaStreamEndCapture(a_, &graph);
  cudaGraphDestroy(graph);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, CapturesBeginAndEndOnce) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorIllegalState);
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&executable, nullptr, 0), cudaErrorInvalidValue);
}

TEST_F(Runtime, CapturesKnowTheirThread) {
  struct Mode {
    cudaStreamCaptureMode mode;
    cudaError_t own, other, end;
  };
  constexpr cudaError_t kRefused = cudaErrorStreamCaptureUnsupported;
  for (const Mode& m :
       {Mode{cudaStreamCaptureModeGlobal, kRefused, kRefused, cudaErrorStreamCaptureWrongThread},
        {cudaStreamCaptureModeThreadLocal, kRefused, cudaSuccess,
         cudaErrorStreamCaptureWrongThread},
        {cudaStreamCaptureModeRelaxed, cudaSuccess, cudaSuccess, cudaSuccess}}) {
    SCOPED_TRACE(m.mode);
    void* p = nullptr;
    cudaGraph_t graph = nullptr;
    const auto in_thread = [](auto f) { std::thread(f).join(); };
    const auto allocate = [&] {
      const cudaError_t error = cudaMalloc(&p, 4);
      return error == cudaSuccess ? cudaFree(p) : error;
    };
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    in_thread([&] { EXPECT_EQ(allocate(), m.other); });
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              m.other == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    cudaGraphDestroy(graph);
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    EXPECT_EQ(allocate(), m.own);
    cudaStreamEndCapture(a_, &graph);
    cudaGraphDestroy(graph);
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    in_thread([&] { EXPECT_EQ(cudaStreamEndCapture(a_, &graph), m.end); });
    EXPECT_EQ(graph != nullptr, m.end == cudaSuccess);
    cudaGraphDestroy(graph);
    cudaStreamEndCapture(a_, &graph);
  }
}

TEST_F(Runtime, GraphsRepeatTheirWork) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 2);  // captured, not done
  EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (const int value : {5, 6}) {
    const int before = *to;
    *from = value;
    EXPECT_EQ(cudaGraphLaunch(executable, b_), cudaSuccess);
    EXPECT_EQ(*to, before);
    EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
    EXPECT_EQ(*to, value);
  }
  cudaSetDevice(1);
  EXPECT_EQ(cudaGraphLaunch(executable, stream()), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphLaunch(executable, a_), cudaErrorInvalidValue);
  cudaSetDevice(0);
  EXPECT_EQ(cudaGraphLaunch(nullptr, a_), cudaErrorInvalidValue);
  *from = 7;
  EXPECT_EQ(cudaGraphLaunch(executable, a_), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);  // while it waits for its turn
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 7);
}

// Memory of the runtime.

TEST_F(Runtime, MemoryIsFreedOnce) {
  void* p = nullptr;
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFree(p), cudaSuccess); });
  EXPECT_EQ(cudaHostAlloc(&p, 4, 0), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFree(p), cudaSuccess); });
  EXPECT_EQ(cudaFreeHost(p), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFreeHost(p), cudaSuccess); });
}

TEST_F(Runtime, AFaultIsSticky) {
  cudaSetDevice(1);
  const cudaStream_t second = stream();
  int* const of_second = on_device(1);
  cudaSetDevice(0);
  int* const p = on_device(1);
  expect_in_child(
      [&] {
        EXPECT_EQ(cudaMemsetAsync(p, 0, 8, a_), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaStreamSynchronize(b_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaMemsetAsync(p, 0, 4, b_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaFree(p), cudaErrorIllegalAddress);
        cudaSetDevice(1);
        EXPECT_EQ(cudaMemsetAsync(of_second, 0, 4, second), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
      },
      "8 bytes at 0x[0-9a-f]+: over the end of an allocation");
}

// Every call returns it, and cudaGetLastError() does not take it back.
TEST_F(Runtime, NoCallSucceedsAfterAFault) {
  int* const p = on_device(1);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p, 0, 8, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
    void* q = nullptr;
    EXPECT_EQ(cudaMalloc(&q, 4), cudaErrorIllegalAddress);
    EXPECT_EQ(cudaHostAlloc(&q, 4, 0), cudaErrorIllegalAddress);
  });
}

TEST_F(Runtime, CopiesStayInTheirMemory) {
  int* const p = on_device(4);
  int* const host = locked(4);
  const auto illegal = [&](auto call) {
    expect_in_child([&] {
      call();
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
  };
  int* const wide = locked(8);
  illegal([&] { to_device(p, wide, 5, a_); });
  illegal([&] { to_host(wide, p + 1, 4, a_); });
  illegal([&] { to_device(p, host + 1, 4, a_); });  // also of page-locked memory
  cudaSetDevice(1);
  int* const other = on_device(4);
  cudaSetDevice(0);
  illegal([&] { to_device(other, host, 4, a_); });
  EXPECT_EQ(to_device(p, host, 4, a_), cudaSuccess);
  EXPECT_EQ(to_host(host + 1, p + 1, 3, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
}

TEST_F(Runtime, CopiesOfNothingNeedNoMemory) {
  int* const p = on_device(4);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p + 4, 0, 0, a_), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(nullptr, 0, 0, a_), cudaSuccess);
    EXPECT_EQ(to_device<int>(nullptr, nullptr, 0, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  });
}

TEST_F(Runtime, PageLockedMemoryOutlivesItsCopies) {
  int* const p = on_device(1);
  void *from = nullptr, *to = nullptr;
  EXPECT_EQ(cudaHostAlloc(&from, 4, 0), cudaSuccess);
  EXPECT_EQ(cudaHostAlloc(&to, 4, 0), cudaSuccess);
  for (const bool reads : {true, false})
    expect_in_child([&] {
      EXPECT_EQ(cudaMemcpyAsync(reads ? p : to, reads ? from : p, 4,
                                reads ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, a_),
                cudaSuccess);
      cudaFreeHost(reads ? from : to);
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
  EXPECT_EQ(cudaMemcpyAsync(p, from, 4, cudaMemcpyHostToDevice, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(to, p, 4, cudaMemcpyDeviceToHost, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(from), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(to), cudaSuccess);
}

TEST_F(Runtime, MemoryOfPoolsIsFreedInOrder) {
  void* p = nullptr;
  EXPECT_EQ(cudaMallocAsync(&p, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(p, a_), cudaSuccess);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
  expect_in_child([&] {
    EXPECT_EQ(cudaFreeAsync(p, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
}

TEST_F(Runtime, MemoryOfADeviceEnds) {
  constexpr std::size_t kMost = kDeviceMiB << 20;
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(total, kMost);
  void *p = nullptr, *q = nullptr;
  EXPECT_EQ(cudaMalloc(&p, kMost + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&p, kMost / 2 + 1), cudaSuccess);
  std::size_t now = 0;
  EXPECT_EQ(cudaMemGetInfo(&now, &total), cudaSuccess);
  EXPECT_EQ(free - now, kMost / 2 + 1);
  EXPECT_EQ(cudaMalloc(&q, kMost / 2), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMallocAsync(&q, kMost / 2, a_), cudaErrorMemoryAllocation);
  expect_in_child([&] {  // as much as a negative number, or one that wraps around with the others
    for (const std::size_t bytes : {std::size_t{0} - 4, ~(kMost / 2)})
      EXPECT_EQ(cudaMalloc(&q, bytes), cudaErrorMemoryAllocation) << bytes;
  });
  cudaSetDevice(1);
  EXPECT_EQ(cudaMalloc(&q, kMost / 2 + 1), cudaSuccess);
  EXPECT_EQ(cudaFree(q), cudaSuccess);
  cudaSetDevice(0);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&p, kMost / 2 + 1), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
}

TEST_F(Runtime, TheHostCannotTouchDeviceMemory) {
  volatile int* const p = filled(std::vector{5});
  EXPECT_EXIT(std::exit(*p), testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(*p = 1, testing::KilledBySignal(SIGSEGV), "");
  volatile int* const host = locked(1, 6);
  EXPECT_EQ(*host, 6);
}

// Launches.

class Launch : public Runtime {
 protected:
  // Registers kernel_of(body).
  void load(const std::string& body) {
    binaries_.push_back(std::make_unique<FatBinary>(kernel_of(body)));
    const void* const wrapper = binaries_.back()->wrapper();
    __cudaRegisterFunction(__cudaRegisterFatBinary(const_cast<void*>(wrapper)), &function_, nullptr,
                           "f", -1, nullptr, nullptr, nullptr, nullptr, nullptr);
  }
  cudaError_t launch(cudaStream_t s, const void* first, dim3 grid = 1, dim3 block = 1,
                     std::size_t shared = 0) {
    const void* second = nullptr;
    void* arguments[] = {&first, &second};
    return cudaLaunchKernel(&function_, grid, block, arguments, shared, s);
  }

 private:
  // Registered binaries are those of a program: they are never taken back.
  inline static std::vector<std::unique_ptr<FatBinary>> binaries_;
  inline static char function_ = 0;
};

const char* const kIncrement =
    "ld.global.u32 %r2, [%rd3];\nadd.s32 %r3, %r2, 1;\nst.global.u32 [%rd3], %r3;";

TEST_F(Launch, RunsInItsStream) {
  load(kIncrement);
  int* const p = filled(std::vector{5, 6, 7});
  int* const to = locked(3, 1);
  EXPECT_EQ(launch(a_, p, 2, 3), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 3, a_), cudaSuccess);
  EXPECT_EQ(*to, 1);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(std::vector(to, to + 3), (std::vector{7, 8, 9}));
  cudaSetDevice(1);
  EXPECT_EQ(launch(a_, p), cudaErrorInvalidResourceHandle);
}

TEST_F(Launch, HasRowsOfBlocks) {
  load(
      "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ctaid.y;\nmov.u32 %r4, %nctaid.x;\n"
      "mov.u32 %r5, %nctaid.y;\nmad.lo.s32 %r6, %r3, %r4, %r2;\nmul.wide.u32 %rd6, %r6, 4;\n"
      "add.s64 %rd7, %rd1, %rd6;\nmad.lo.s32 %r7, %r3, 10, %r5;\nst.global.u32 [%rd7], %r7;");
  int* const p = filled(std::vector<int>(6));
  EXPECT_EQ(launch(a_, p, dim3(2, 3)), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(contents(p, 6), (std::vector{3, 3, 13, 13, 23, 23}));
}

TEST_F(Launch, IsCapturedWithItsArguments) {
  load(kIncrement);
  int* const p = filled(std::vector{5});
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(launch(a_, p), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(executable, a_), cudaSuccess);
  EXPECT_EQ(contents(p, 1)[0], 8);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(Launch, OfASizeThatNoDeviceHasIsRefused) {
  load(kIncrement);
  int* const p = filled(std::vector<int>(1024));
  EXPECT_EQ(launch(a_, p, 0, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(a_, p, 1, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(a_, p, 1, 1025), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(a_, p, 0x80000000), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(a_, p, 1, 1024), cudaSuccess);
  EXPECT_EQ(launch(a_, p, dim3(1, 0)), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(a_, p, dim3(1, 65536)), cudaErrorInvalidConfiguration);
  EXPECT_NE(launch(a_, p, dim3(1, 1, 2)), cudaSuccess);  // that the emulator does not run
  EXPECT_NE(launch(a_, p, 1, dim3(1, 2)), cudaSuccess);
  EXPECT_NE(launch(a_, p, 1, 1, 4), cudaSuccess);
  const int unknown = 0;
  EXPECT_EQ(cudaLaunchKernel(&unknown, 1, 1, nullptr, 0, a_), cudaErrorInvalidDeviceFunction);
  load(".shared .align 4 .b8 s[49152];\nst.shared.u32 [s], %r1;");
  EXPECT_EQ(launch(a_, p), cudaSuccess);
  load(".shared .align 4 .b8 s[49153];\nst.shared.u32 [s], %r1;");
  EXPECT_EQ(launch(a_, p), cudaErrorInvalidValue);
  load("membar.xx %r1;");
  EXPECT_EQ(launch(a_, p), cudaErrorInvalidDeviceFunction);
}

TEST_F(Launch, FaultsAreErrorsOfTheDevice) {
  int* const p = filled(std::vector{5});
  struct Case {
    const char* body;
    cudaError_t error;
  };
  for (const Case& c :
       {Case{"ld.global.u32 %r2, [%rd1+4];", cudaErrorIllegalAddress},
        {"ld.global.u16 %rs1, [%rd1+1];", cudaErrorMisalignedAddress},
        {"setp.eq.s32 %p1, %r1, 0;\n@%p1 bar.sync 0;", cudaErrorLaunchFailure},
        {".shared .align 4 .b8 s[4];\nst.shared.u32 [s], %r1;", cudaErrorLaunchFailure}})
    expect_in_child([&] {
      load(c.body);
      EXPECT_EQ(launch(a_, p, 1, 2), cudaSuccess);
      EXPECT_EQ(cudaStreamSynchronize(a_), c.error) << c.body;
    });
}

// cuBLAS.

class Cublas : public Runtime {
 protected:
  void SetUp() override {
    Runtime::SetUp();
    EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetStream(handle_, a_), CUBLAS_STATUS_SUCCESS);
  }
  void TearDown() override {
    EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS);
    Runtime::TearDown();
  }
  struct Product {
    const void *a = nullptr, *b = nullptr;
    void* c = nullptr;
    cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
    std::int64_t lda = 4, ldb = 6, ldc = 5;
    float alpha = 1, beta = 0;
    cudaDataType type_a = CUDA_R_32F, type_b = CUDA_R_32F, type_c = CUDA_R_32F;
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F_PEDANTIC;
  };
  static constexpr std::int64_t kM = 3, kN = 2, kK = 4;
  cublasStatus_t run(const Product& p) {
    return cublasGemmEx_64(handle_, p.op_a, p.op_b, kM, kN, kK, &p.alpha, p.a, p.type_a, p.lda, p.b,
                           p.type_b, p.ldb, &p.beta, p.c, p.type_c, p.ldc, p.compute,
                           CUBLAS_GEMM_DEFAULT);
  }
  // With memory for strides of up to 8.
  Product with_memory() {
    std::vector<float> a(40), b(40);
    std::iota(a.begin(), a.end(), 1.f), std::iota(b.begin(), b.end(), -11.f);
    Product p;
    p.a = filled(a), p.b = filled(b), p.c = on_device<float>(40);
    return p;
  }
  cublasHandle_t handle_ = nullptr;
};

TEST_F(Cublas, ProductsOfEveryTransposition) {
  Product p = with_memory();
  const std::vector<float> a = contents(static_cast<const float*>(p.a), 40),
                           b = contents(static_cast<const float*>(p.b), 40);
  for (p.op_a = CUBLAS_OP_N;; p.op_a = CUBLAS_OP_T) {
    for (p.op_b = CUBLAS_OP_N;; p.op_b = CUBLAS_OP_T) {
      p.lda = p.op_a ? kK + 1 : kM + 2, p.ldb = p.op_b ? kN + 3 : kK + 1;
      std::vector<float> expected;
      for (const float beta : {0.f, 3.f}) {
        p.alpha = 2, p.beta = beta;
        p.c = beta == 0 ? on_device<float>(40) : p.c;
        EXPECT_EQ(run(p), CUBLAS_STATUS_SUCCESS);
        const std::vector<float> before = std::move(expected);
        expected.assign(static_cast<std::size_t>(p.ldc * kN), kNan);  // what no element lies in
        for (std::int64_t row = 0; row < kM; ++row)
          for (std::int64_t column = 0; column < kN; ++column) {
            float sum = 0;
            for (std::int64_t k = 0; k < kK; ++k)
              sum += a[static_cast<std::size_t>(p.op_a ? row * p.lda + k : k * p.lda + row)] *
                     b[static_cast<std::size_t>(p.op_b ? k * p.ldb + column : column * p.ldb + k)];
            const auto at = static_cast<std::size_t>(column * p.ldc + row);
            expected[at] = 2 * sum + (beta == 0 ? 0 : beta * before[at]);
          }
        const std::vector<float> c = contents(static_cast<const float*>(p.c), expected.size());
        for (std::size_t i = 0; i < c.size(); ++i) EXPECT_TRUE(same(c[i], expected[i])) << i;
      }
      if (p.op_b == CUBLAS_OP_T) break;
    }
    if (p.op_a == CUBLAS_OP_T) break;
  }
}

TEST_F(Cublas, CallsThatDoNotFitAreRefused) {
  const Product good = with_memory();
  struct Case {
    const char* name;
    void (*change)(Product&);
    cublasStatus_t status;
  };
  constexpr cublasStatus_t kInvalid = CUBLAS_STATUS_INVALID_VALUE,
                           kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED,
                           kGood = CUBLAS_STATUS_SUCCESS;
  const Case cases[] = {
      {"half a", [](Product& p) { p.type_a = CUDA_R_16F; }, kUnsupported},
      {"half b", [](Product& p) { p.type_b = CUDA_R_16F; }, kUnsupported},
      {"half c", [](Product& p) { p.type_c = CUDA_R_16F; }, kUnsupported},
      {"f64", [](Product& p) { p.compute = CUBLAS_COMPUTE_64F; }, kUnsupported},
      {"tf32", [](Product& p) { p.compute = CUBLAS_COMPUTE_32F_FAST_TF32; }, kGood},
      {"null a", [](Product& p) { p.a = nullptr; }, kInvalid},
      {"null b", [](Product& p) { p.b = nullptr; }, kInvalid},
      {"null c", [](Product& p) { p.c = nullptr; }, kInvalid},
      {"lda", [](Product& p) { p.lda = kM - 1; }, kInvalid},
      {"least lda", [](Product& p) { p.lda = kM; }, kGood},
      {"lda of a transposed", [](Product& p) { p.op_a = CUBLAS_OP_T, p.lda = kK - 1; }, kInvalid},
      {"ldb", [](Product& p) { p.ldb = kK - 1; }, kInvalid},
      {"ldb of b transposed", [](Product& p) { p.op_b = CUBLAS_OP_T, p.ldb = kN; }, kGood},
      {"ldc", [](Product& p) { p.ldc = kM - 1; }, kInvalid}};
  for (const Case& k : cases) {
    Product p = good;
    k.change(p);
    EXPECT_EQ(run(p), k.status) << k.name;
  }
  char* const p = on_device<char>(512);
  EXPECT_EQ(cublasSetWorkspace(handle_, p, 512), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSetWorkspace(handle_, p + 128, 256), CUBLAS_STATUS_INVALID_VALUE);
}

// A float lies at a multiple of its size: refused at once, or a fault.
TEST_F(Cublas, MisalignedMatricesAreRefused) {
  const Product good = with_memory();
  for (const int which : {0, 1, 2})
    expect_in_child([&] {
      Product p = good;
      if (which == 0) p.a = shifted(p.a, 2);
      if (which == 1) p.b = shifted(p.b, 2);
      if (which == 2) p.c = shifted(p.c, 2);
      const bool refused = run(p) != CUBLAS_STATUS_SUCCESS;
      EXPECT_TRUE(refused || cudaStreamSynchronize(a_) != cudaSuccess);
    });
}

TEST_F(Cublas, HandlesBelongToADevice) {
  const Product p = with_memory();
  cudaSetDevice(1);
  EXPECT_EQ(cublasSetStream(handle_, stream()), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_NE(run(p), CUBLAS_STATUS_SUCCESS);
  cudaSetDevice(0);
  EXPECT_EQ(cublasSetStream(handle_, b_), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(run(p), CUBLAS_STATUS_SUCCESS);
}

TEST_F(Cublas, MatricesLieInTheirMemory) {
  const Product good = with_memory();
  for (const bool output : {false, true})
    expect_in_child([&] {
      Product p = good;
      if (output)
        p.ldc = 38;
      else
        p.lda = 14;
      EXPECT_EQ(run(p), CUBLAS_STATUS_SUCCESS);
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
  Product p = good;
  p.ldc = 37, p.lda = 12;  // their last elements are those of the memory
  EXPECT_EQ(run(p), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
}

// NCCL.

#if __has_include(<nccl.h>)
class Nccl : public Runtime {
 protected:
  static constexpr std::size_t kCount = 3;
  void SetUp() override {
    Runtime::SetUp();
    const int devices[] = {0, 1};
    EXPECT_EQ(ncclCommInitAll(communicators_, 2, devices), ncclSuccess);
    streams_[0] = a_, from_[0] = filled(std::vector<float>{1, 2, 3});
    to_[0] = on_device<float>(kCount);
    cudaSetDevice(1);
    streams_[1] = stream();
    from_[1] = on_device<float>(kCount), to_[1] = on_device<float>(kCount);
    const std::vector<float> values{10, 20, 30};
    EXPECT_EQ(to_device(from_[1], values.data(), kCount, streams_[1]), cudaSuccess);
    cudaSetDevice(0);
  }
  void TearDown() override {
    EXPECT_EQ(cudaStreamSynchronize(streams_[0]), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(streams_[1]), cudaSuccess);
    for (const ncclComm_t c : communicators_) EXPECT_EQ(ncclCommDestroy(c), ncclSuccess);
    Runtime::TearDown();
  }
  ncclResult_t add(int device, const void* from, void* to, std::size_t count = kCount,
                   ncclDataType_t type = ncclFloat, ncclRedOp_t operation = ncclSum) {
    return ncclAllReduce(from, to, count, type, operation, communicators_[device],
                         streams_[device]);
  }
  ncclResult_t add(int device) { return add(device, from_[device], to_[device]); }

  ncclComm_t communicators_[2] = {};
  cudaStream_t streams_[2] = {};
  float *from_[2] = {}, *to_[2] = {};
};

// Each device sees the sum, whichever the host waits for; work before and after it is ordered.
TEST_F(Nccl, SumsOverTheDevices) {
  for (const int waits : {0, 1}) {
    float* const host = locked(kCount, -1.f);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (const int device : {0, 1}) EXPECT_EQ(add(device), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    cudaSetDevice(waits);
    EXPECT_EQ(to_host(host, to_[waits], kCount, streams_[waits]), cudaSuccess);
    EXPECT_EQ(host[0], -1);
    EXPECT_EQ(cudaStreamSynchronize(streams_[waits]), cudaSuccess);
    EXPECT_EQ(std::vector(host, host + kCount), (std::vector<float>{11, 22, 33}));
    cudaSetDevice(0);
  }
}

TEST_F(Nccl, CallsThatDoNotFitAreRefused) {
  EXPECT_EQ(add(0), ncclInvalidUsage);  // outside of a group
  void* pool = nullptr;
  EXPECT_EQ(cudaMallocAsync(&pool, 4 * kCount, a_), cudaSuccess);
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(add(0, pool, to_[0]), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], pool), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], to_[0], kCount, ncclDouble), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], to_[0], kCount, ncclFloat, ncclMax), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_EQ(cudaFreeAsync(pool, a_), cudaSuccess);
}

TEST_F(Nccl, AGroupIsOfAllDevices) {
  const auto group = [&](auto calls) {
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    calls();
    return ncclGroupEnd();
  };
  EXPECT_NE(group([&] { add(0); }), ncclSuccess);
  EXPECT_NE(group([&] { add(0), add(1, from_[1], to_[1], kCount - 1); }), ncclSuccess);
  std::swap(streams_[0], streams_[1]);
  EXPECT_NE(group([&] { add(0), add(1); }), ncclSuccess);
  std::swap(streams_[0], streams_[1]);
  EXPECT_NE(group([&] { add(0), add(0); }), ncclSuccess);  // one of them twice
  EXPECT_EQ(group([] {}), ncclSuccess);
  EXPECT_EQ(group([&] { add(0), add(1); }), ncclSuccess);
  EXPECT_EQ(group([&] {  // one within another
              EXPECT_EQ(group([&] { add(0), add(1); }), ncclSuccess);
            }),
            ncclSuccess);
}

TEST_F(Nccl, BuffersLieInMemoryOfTheirDevice) {
  const std::vector<std::function<ncclResult_t()>> calls{
      [&] { return add(0, from_[1], to_[0]); }, [&] { return add(0, nullptr, to_[0]); },
      [&] { return add(0, from_[0], nullptr); }, [&] { return add(0, from_[0] + 1, to_[0]); }};
  for (const auto& call : calls)
    expect_in_child([&] {
      EXPECT_EQ(ncclGroupStart(), ncclSuccess);
      EXPECT_EQ(call(), ncclSuccess);
      EXPECT_EQ(add(1), ncclSuccess);
      EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
}

#endif

}  // namespace
}  // namespace emulator
