// The plans of the CPU, made by ops.cpp; each is defined in the file of its name.
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

std::shared_ptr<ConvPlan> make_cpu_conv(const ConvSpec&, const Epilogue&, const PlanOptions&);
std::unique_ptr<BaselineConv> make_cpu_baseline_conv(const ConvSpec&, const Epilogue&,
                                                     const PlanOptions&, bool as_planned);
std::shared_ptr<PoolPlan> make_cpu_pool(const PoolSpec&, const PlanOptions&);
std::shared_ptr<GemmPlan> make_cpu_gemm(const GemmSpec&);

}  // namespace darknet
