#include <oneapi/dnnl/dnnl.h>

#include "core/error.h"
#include "cpu/plans.h"

namespace darknet {
namespace {

class CpuGemmPlan final : public GemmPlan {
 public:
  explicit CpuGemmPlan(const GemmSpec& spec) : spec_(spec) {}
  std::int64_t workspace() const override { return 0; }
  void run(const Stream&, const float* a, const float* b, float* c, void*) override {
    const GemmSpec& s = spec_;
    const dnnl_status_t status =
        dnnl_sgemm(s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', s.m, s.n, s.k, 1.f, a,
                   s.transpose_a ? s.m : s.k, b, s.transpose_b ? s.k : s.n, s.beta, c, s.n);
    if (status != dnnl_success) fail("oneDNN sgemm ", s.m, "x", s.n, "x", s.k, ": status ", status);
  }

 private:
  GemmSpec spec_;
};

}  // namespace

std::shared_ptr<GemmPlan> make_cpu_gemm(const GemmSpec& spec) {
  return std::make_unique<CpuGemmPlan>(spec);
}

}  // namespace darknet
