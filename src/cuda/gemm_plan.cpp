#include "cuda/cublas.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

constexpr std::int64_t kWorkspace = std::int64_t{32} << 20;  // what cuBLAS recommends for Hopper

// cuBLAS counts columns first: C = op(A) op(B) by rows is C' = op(B)' op(A)' by columns.
class CudaGemmPlan final : public GemmPlan {
 public:
  explicit CudaGemmPlan(const GemmSpec& spec) : spec_(spec) {}
  std::int64_t workspace() const override { return kWorkspace; }
  void run(const Stream& stream, const float* a, const float* b, float* c,
           void* workspace) override {
    const GemmSpec& s = spec_;
    const cuda::Cublas& blas = cuda::cublas();
    const cublasHandle_t handle = cuda::cublas_handle(stream);
    // The network's, not the handle's own, which a recording would outlive.
    blas.check(blas.set_workspace(handle, workspace, kWorkspace), "cublasSetWorkspace");
    const float alpha = 1;
    const auto operation = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
    const cublasComputeType_t compute =
        s.exact ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F_FAST_TF32;
    blas.check(blas.gemm_ex(handle, operation(s.transpose_b), operation(s.transpose_a), s.n, s.m,
                            s.k, &alpha, b, CUDA_R_32F, s.transpose_b ? s.k : s.n, a, CUDA_R_32F,
                            s.transpose_a ? s.m : s.k, &s.beta, c, CUDA_R_32F, s.n, compute,
                            CUBLAS_GEMM_DEFAULT),
               "cublasGemmEx", cat(s.m, 'x', s.n, 'x', s.k));
  }

 private:
  GemmSpec spec_;
};

}  // namespace

std::shared_ptr<GemmPlan> make_cuda_gemm(const GemmSpec& spec) {
  return std::make_unique<CudaGemmPlan>(spec);
}

}  // namespace darknet
