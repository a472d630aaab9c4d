// cuBLAS.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/emulator/gpu.h"
#include "tests/emulator/instruction_check.h"
#include "tests/emulator/runtime_fixture.h"

namespace emulator {
namespace {

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

}  // namespace
}  // namespace emulator
