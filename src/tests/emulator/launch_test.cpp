// Launches of kernels through the runtime.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/fat_binary_sample.h"
#include "tests/emulator/interpreter_fixture.h"
#include "tests/emulator/runtime_fixture.h"

extern "C" {
void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFunction(void** fat_binary, const char* host_function, char* device_function,
                            const char* device_name, int, uint3*, uint3*, dim3*, dim3*, int*);
}

namespace emulator {
namespace {

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

}  // namespace
}  // namespace emulator
