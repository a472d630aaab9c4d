// Stands in for the CUDA device: says that there is none and how to get one.
#include "core/device.h"
#include "core/error.h"
#include "core/ops.h"

namespace darknet {
namespace {
[[noreturn]] void absent() {
  fail("this program was built without a CUDA device; use the CPU, or see docs/cuda.md");
}
}  // namespace

Memory& cuda_memory() { absent(); }
Ops& cuda_ops() { absent(); }
int cuda_device_count() { return 0; }

}  // namespace darknet
