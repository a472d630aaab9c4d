// Kernels in PTX that the interpreter runs, on memory without a runtime.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/fault_check.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/ptx.h"

namespace emulator {

inline const std::string kHeader = ".version 8.0\n.target sm_90\n.address_size 64\n";
inline const std::string kRegisters =
    ".reg .pred %p<20>;\n.reg .b16 %rs<20>;\n.reg .b32 %r<20>;\n.reg .f32 %f<20>;\n"
    ".reg .b64 %rd<20>;\n.reg .f64 %fd<20>;\n";

inline const std::string kShared = ".shared .align 4 .b8 s[256];\n";

// A kernel "f" of two pointers, %rd1 and %rd2. %r1: the thread in its block; %rd3 and %rd4: the
// word of 32 bits that is its own behind each pointer.
inline std::string kernel_of(const std::string& body, const std::string& variables = "") {
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

}  // namespace emulator
