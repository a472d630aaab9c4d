// The plans of CUDA, made by ops.cpp and streams.cpp; each is defined in the file of its name.
#pragma once
#include <memory>
#include <span>

#include "core/ops.h"

namespace darknet {

std::shared_ptr<ConvPlan> make_cuda_conv(const ConvSpec&, const Epilogue&, const PlanOptions&);
std::shared_ptr<GemmPlan> make_cuda_gemm(const GemmSpec&);
// Null in a build without NCCL.
std::unique_ptr<AllReduceLibrary> make_nccl_all_reduce(std::span<const Device>);

}  // namespace darknet
