// Streams, events and recordings (CUDA graphs), and which devices there are.
#include <mutex>

#include "core/device.h"
#include "core/log.h"
#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

using cuda::check;
using cuda::native;

class CudaGraph final : public CapturedGraph {
 public:
  explicit CudaGraph(cudaGraphExec_t run) : run_(run) {}
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph() override { cudaGraphExecDestroy(run_); }
  void replay(const Stream& s) override {
    check(cudaGraphLaunch(run_, native(s)), "cudaGraphLaunch", to_string(s.device));
  }

 private:
  cudaGraphExec_t run_;
};

class CudaEvent final : public Event {
 public:
  explicit CudaEvent(const Device& device) : device_(device) {
    check(cudaSetDevice(device.index), "cudaSetDevice", to_string(device));
    // Whoever waits sleeps: the loader's threads want the core.
    check(cudaEventCreateWithFlags(&event_, cudaEventBlockingSync), "cudaEventCreateWithFlags",
          to_string(device));
  }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  ~CudaEvent() override { cudaEventDestroy(event_); }
  void record(const Stream& s) override {
    check(cudaSetDevice(device_.index), "cudaSetDevice", to_string(device_));
    check(cudaEventRecord(event_, native(s)), "cudaEventRecord", to_string(device_));
  }
  void make_wait(const Stream& s) override {
    check(cudaStreamWaitEvent(native(s), event_, 0), "cudaStreamWaitEvent", to_string(s.device));
  }
  void wait() override { cuda::wait_for(device_, event_); }
  double seconds_since(const Event& earlier) const override {
    float milliseconds = 0;
    check(
        cudaEventElapsedTime(&milliseconds, dynamic_cast<const CudaEvent&>(earlier).event_, event_),
        "cudaEventElapsedTime", to_string(device_));
    return 1e-3 * double{milliseconds};
  }

 private:
  Device device_;
  cudaEvent_t event_ = nullptr;
};

class CudaStreams final : public Streams {
 public:
  void use(const Device& device) override {
    check(cudaSetDevice(device.index), "cudaSetDevice", to_string(device));
  }
  // One that waits for the default stream and is waited for: allocation and set-up happen there.
  void* open(const Device& device) override {
    use(device);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "cudaStreamCreate", to_string(device));
    return stream;
  }
  void close(const Device& device, void* stream) noexcept override {
    cudaSetDevice(device.index);
    cudaStreamSynchronize(static_cast<cudaStream_t>(stream));
    cudaStreamDestroy(static_cast<cudaStream_t>(stream));
  }
  std::unique_ptr<Event> event(const Device& device) override {
    return std::make_unique<CudaEvent>(device);
  }
  std::unique_ptr<AllReduceLibrary> all_reduce(std::span<const Device> devices) override {
    return make_nccl_all_reduce(devices);
  }
  std::unique_ptr<CapturedGraph> record(const Stream& s,
                                        const std::function<void()>& work) override {
    cudaError_t status = cudaStreamBeginCapture(native(s), cudaStreamCaptureModeThreadLocal);
    if (status != cudaSuccess) return refused("cudaStreamBeginCapture", status);
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (const std::exception& e) {  // the stream must not be left capturing
      status = cudaStreamEndCapture(native(s), &graph);
      if (graph) cudaGraphDestroy(graph);
      if (status != cudaSuccess) return refused(e.what(), status);
      cudaGetLastError();  // what the capture left is not to be found by the next launch
      throw;
    }
    status = cudaStreamEndCapture(native(s), &graph);
    if (status != cudaSuccess) return refused("cudaStreamEndCapture", status);
    cudaGraphExec_t run = nullptr;
    status = cudaGraphInstantiate(&run, graph, 0);
    cudaGraphDestroy(graph);
    if (status != cudaSuccess) return refused("cudaGraphInstantiate", status);
    return std::make_unique<CudaGraph>(run);
  }

 private:
  // The work goes on without a graph, at the cost of its launches.
  static std::unique_ptr<CapturedGraph> refused(const std::string& what, cudaError_t status) {
    cudaGetLastError();                          // not to be found by the next launch
    check(cudaPeekAtLastError(), what.c_str());  // an error of the device that stays
    static std::once_flag warned;
    std::call_once(warned, [&] {
      log::warn(cat("no CUDA graph could be captured (", what, ": ", cudaGetErrorString(status),
                    "); every step launches its work anew, which is slower"));
    });
    return nullptr;
  }
};

cudaError_t count_devices(int& count) {
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();  // not to be found by the next launch
    count = 0;
  }
  return status;
}

}  // namespace

Streams& cuda_streams() {
  static CudaStreams streams;
  return streams;
}

int cuda_device_count() {
  int count = 0;
  count_devices(count);
  return count;
}

bool built_with_cuda() { return true; }

std::string why_no_cuda() {
  int count = 0;
  const cudaError_t status = count_devices(count);
  if (count > 0) return "";
  return cat("this machine has no CUDA device that can be used (",
             status == cudaSuccess ? "none was found" : cudaGetErrorString(status), ")");
}

void launch_elsewhere(const Stream& s, const std::function<void()>&) {
  fail("a launch on ", to_string(s.device), " that the host compiler compiled");
}

}  // namespace darknet
