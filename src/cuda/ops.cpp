#include "core/ops.h"

#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

class CudaOps final : public Ops {
 public:
  std::shared_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    return make_cuda_conv(s, e, o);
  }
  // cuDNN pads both sides alike; Darknet's size 2 stride 1 does not.
  std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override { return nullptr; }
  std::shared_ptr<GemmPlan> gemm(const GemmSpec& s) override { return make_cuda_gemm(s); }
  std::string accept_precision(DType t, const Device& device) const override {
    const cudaDeviceProp card = properties(device);
    if (t == DType::bf16 && card.major < 8)
      fail("it needs a GPU of compute capability 8.0, ", card.name, " has ", card.major, '.',
           card.minor, "; use f16");
    if (t == DType::f16 && card.major < 7)
      return cat(card.name, " has no tensor cores: f16 saves memory, not time");
    return "";
  }
  std::string name(const Device& device) const override {
    const std::size_t v = cudnnGetVersion();
    const cudaDeviceProp card = properties(device);
    return cat(card.name, " (", card.major, '.', card.minor, "), cuDNN ", v / 10000, '.',
               v / 100 % 100, '.', v % 100);
  }

 private:
  static cudaDeviceProp properties(const Device& device) {
    cudaDeviceProp p{};
    cuda::check(cudaGetDeviceProperties(&p, device.index), "cudaGetDeviceProperties",
                to_string(device));
    return p;
  }
};

}  // namespace

Ops& cuda_ops() {
  static CudaOps ops;
  return ops;
}

}  // namespace darknet
