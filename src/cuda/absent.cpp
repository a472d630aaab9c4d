// Stands in for the CUDA device: says that there is none and how to get one.
#include "core/device_memory.h"
#include "core/error.h"
#include "core/joined_devices.h"
#include "core/ops.h"

namespace darknet {
namespace {
[[noreturn]] void absent() { fail(why_no_cuda()); }
}  // namespace

bool built_with_cuda() { return false; }

std::string why_no_cuda() {
  return "this program was built without CUDA (make cuda builds it with; see docs/cuda.md)";
}

Memory& cuda_memory() { absent(); }
Streams& cuda_streams() { absent(); }
Ops& cuda_ops() { absent(); }
int cuda_device_count() { return 0; }
const DeviceJoiner* cuda_joiner() { return nullptr; }
MemoryInUse cuda_memory_in_use(const Device&) { absent(); }
void launch_elsewhere(const Stream&, const std::function<void()>&) { absent(); }

}  // namespace darknet
