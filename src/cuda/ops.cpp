#include "core/ops.h"

#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

class CudaOps final : public Ops {
 public:
  std::unique_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    return make_cuda_conv(s, e, o);
  }
  // cuDNN pads both sides alike; Darknet's size 2 stride 1 does not.
  std::unique_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override { return nullptr; }
  std::unique_ptr<GemmPlan> gemm(const GemmSpec& s) override { return make_cuda_gemm(s); }
  std::string name() const override {
    const std::size_t v = cudnnGetVersion();
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, cuda::current_device()),
                "cudaGetDeviceProperties");
    return cat(properties.name, " (", properties.major, '.', properties.minor, "), cuDNN ",
               v / 10000, '.', v / 100 % 100, '.', v % 100);
  }
};

}  // namespace

Ops& cuda_ops() {
  static CudaOps ops;
  return ops;
}

}  // namespace darknet
