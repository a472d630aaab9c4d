// The plans of CUDA, made by ops.cpp and streams.cpp; each is defined in the file of its name.
#pragma once
#include <memory>
#include <span>

#include "core/joined_devices.h"
#include "core/ops.h"

namespace darknet {

std::shared_ptr<ConvPlan> make_cuda_conv(const ConvSpec&, const Epilogue&, const PlanOptions&);
std::shared_ptr<GemmPlan> make_cuda_gemm(const GemmSpec&);
// Both null in a build without NCCL.
std::unique_ptr<AllReduceLibrary> make_nccl_all_reduce(std::span<const Device>);
const DeviceJoiner* cuda_joiner();
// Whether NCCL sums on this device. Where a link breaks, its kernels wait for each other for ever:
// whoever waits for the device calls check_nccl() meanwhile.
bool sums_by_nccl(const Device&);
// Throws what NCCL has noticed of such an error, and ends its kernels.
void check_nccl(const Device&);

}  // namespace darknet
