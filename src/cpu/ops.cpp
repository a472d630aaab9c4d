#include "core/ops.h"

#include "cpu/instruction_set.h"
#include "cpu/int8_conv.h"
#include "cpu/onednn.h"
#include "cpu/plans.h"

namespace darknet {
namespace {

#if defined(__aarch64__)
// There the library numbers other sets of instructions than its header names.
std::string isa_name() {
  constexpr unsigned kAsimd = 1;
  return static_cast<unsigned>(dnnl::get_effective_cpu_isa()) == kAsimd ? "asimd" : "sve";
}
#else
std::string isa_name() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse4.1";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx512_core:
      return "avx512";
    default:
      return onednn::uses_x86_isa(dnnl::cpu_isa::avx512_core) ? "avx512+" : "avx2+";
  }
}
#endif

// oneDNN computes bf16 convolutions from AVX-512 on: with conversions around f32 instructions until
// the processor has bf16 ones.
std::string accept_bf16() {
  if (!onednn::uses_x86_isa(dnnl::cpu_isa::avx512_core))
    fail("oneDNN computes it on processors with AVX-512 only, this one has ", isa_name(),
         "; use f32");
  if (!onednn::uses_x86_isa(dnnl::cpu_isa::avx512_core_bf16))
    return "this processor has no bf16 instructions; oneDNN emulates them, several times slower "
           "than f32";
  return "";
}

class CpuOps final : public Ops {
 public:
  std::shared_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    return make_cpu_conv(s, e, o);
  }
  std::unique_ptr<BaselineConv> baseline_conv(const ConvSpec& s, const Epilogue& e,
                                              const PlanOptions& o, bool as_planned) override {
    return make_cpu_baseline_conv(s, e, o, as_planned);
  }
  std::shared_ptr<PoolPlan> pool(const PoolSpec& s, const PlanOptions& o) override {
    return make_cpu_pool(s, o);
  }
  std::shared_ptr<GemmPlan> gemm(const GemmSpec& s) override { return make_cpu_gemm(s); }
  std::string accept_precision(DType t, const Device&) const override {
    if (t == DType::f16)
      fail("the CPU does not compute in f16; use f32, or bf16 on a processor with AVX-512");
    return t == DType::bf16 ? accept_bf16() : "";
  }
  std::string accept_int8() const override {
    if (int8_weight_limit() == 127) return "";
    return "this processor has no VNNI instructions: weights get 7 bits, and it is slower than f32";
  }
  bool reads_int8(const ConvSpec& s, const Epilogue& e) const override {
    return int8_conv_reads_integers(s, e);
  }
  bool writes_int8(const ConvSpec& s, const Epilogue& e) const override {
    return int8_conv_writes_integers(s, e);
  }
  std::string name(const Device&) const override {
    const dnnl::version_t& v = *dnnl::version();
    return cat("oneDNN ", v.major, ".", v.minor, ".", v.patch, " (", isa_name(), ")");
  }
};

}  // namespace

Ops& cpu_ops() {
  static CpuOps ops;
  return ops;
}

const char* instruction_set() {
#if !defined(__x86_64__)
  return "this architecture";
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && \
    defined(__AVX512DQ__) && defined(__AVX512VL__)
  return "x86-64-v4";
#elif defined(__AVX2__) && defined(__BMI2__) && defined(__F16C__) && defined(__FMA__) && \
    defined(__LZCNT__) && defined(__MOVBE__)
  return "x86-64-v3";
#elif defined(__SSE4_2__) && defined(__SSSE3__) && defined(__POPCNT__)
  return "x86-64-v2";
#else
  return "x86-64";
#endif
}

}  // namespace darknet
