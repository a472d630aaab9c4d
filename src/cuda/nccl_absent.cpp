// Stands in for nccl.cpp in a build without NCCL.
#include "cuda/plans.h"

namespace darknet {

std::unique_ptr<AllReduceLibrary> make_nccl_all_reduce(std::span<const Device>) { return nullptr; }
const DeviceJoiner* cuda_joiner() { return nullptr; }
bool sums_by_nccl(const Device&) { return false; }
void check_nccl(const Device&) {}

}  // namespace darknet
