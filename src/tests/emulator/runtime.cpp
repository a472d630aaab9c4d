// The calls of the CUDA runtime that the program makes, answered as NVIDIA's "CUDA Runtime API"
// says. Calls that are missing here reach the real library, which finds no driver and says so.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "tests/emulator/fault.h"
#include "tests/emulator/gpu.h"
#include "tests/emulator/launches.h"

using namespace emulator;

namespace {

Gpus& gpus() { return Gpus::instance(); }

bool exists(int device) { return device >= 0 && device < gpus().options().devices; }

// Whether host memory can be read by a device at any time; other memory of the host is copied to or
// from while the call lasts.
bool page_locked(const void* p) {
  const Allocation* const a = gpus().memory().find(reinterpret_cast<Address>(p));
  return a && a->kind == MemoryKind::page_locked;
}

void* view(const void* p, std::size_t bytes, int device) {
  return gpus().memory().view(p, bytes, device);
}

cudaError_t give_back(void* p, MemoryKind kind, int device) {
  gpus().run(device, [&] { gpus().memory().release(p, kind); });
  return Gpus::fail(gpus().sticky(device));
}

cudaError_t take(void** p, std::size_t bytes, MemoryKind kind) {
  const int device = Gpus::current_device();
  if (const cudaError_t e = gpus().sticky(device)) return Gpus::fail(e);
  if (kind != MemoryKind::page_locked &&
      bytes > gpus().options().memory - gpus().memory().in_use(device))
    return Gpus::fail(cudaErrorMemoryAllocation);
  *p = gpus().memory().allocate(bytes, kind, device);
  return *p ? cudaSuccess : Gpus::fail(cudaErrorMemoryAllocation);
}

std::shared_ptr<Event>* event_of(cudaEvent_t e) {
  return reinterpret_cast<std::shared_ptr<Event>*>(e);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Configuration {
  dim3 grid, block;
  std::size_t shared = 0;
  cudaStream_t stream = nullptr;
};
thread_local Configuration configuration;

}  // namespace

extern "C" {

// What nvcc writes into the program for its kernels.

void** __cudaRegisterFatBinary(void* wrapper) {
  const Lock lock(gpus().mutex());
  return static_cast<void**>(Launches::instance().add_fat_binary(wrapper));
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {
  static bool written = false;
  const Lock lock(gpus().mutex());
  if (!written) Launches::instance().write_statistics();
  written = true;
}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** fat_binary, const char* host_function, char*,
                            const char* device_name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  const Lock lock(gpus().mutex());
  Launches::instance().add_kernel(fat_binary, host_function, device_name);
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared,
                                     struct CUstream_st* stream) {
  configuration = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *shared = configuration.shared;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host_function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  return Launches::instance().launch(kernel, grid, block, arguments, shared, stream);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  return Launches::instance().launch(function, grid, block, arguments, shared, stream);
}

// Errors and devices.

cudaError_t cudaGetLastError() {
  const Lock lock(gpus().mutex());
  if (const cudaError_t e = gpus().sticky(Gpus::current_device())) return e;
  const cudaError_t error = Gpus::last_error();
  Gpus::last_error() = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  const Lock lock(gpus().mutex());
  if (const cudaError_t e = gpus().sticky(Gpus::current_device())) return e;
  return Gpus::last_error();
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = gpus().options().devices;
  return *count > 0 ? cudaSuccess : Gpus::fail(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = Gpus::current_device();
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (!exists(device)) return Gpus::fail(cudaErrorInvalidDevice);
  Gpus::current_device() = device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (!exists(device)) return Gpus::fail(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrPageableMemoryAccess:
      *value = gpus().options().pageable_access;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      *value = !gpus().options().refuses("pools");
      return cudaSuccess;
    case cudaDevAttrPciBusId:
      *value = device + 1;
      return cudaSuccess;
    case cudaDevAttrPciDomainId:
    case cudaDevAttrPciDeviceId:
      *value = 0;
      return cudaSuccess;
    default:
      return Gpus::fail(cudaErrorNotSupported);
  }
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!exists(device)) return Gpus::fail(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = 9;
  properties->totalGlobalMem = gpus().options().memory;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}

// Memory.

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Lock lock(gpus().mutex());
  *total = gpus().options().memory;
  *free = *total - gpus().memory().in_use(Gpus::current_device());
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  if (!exists(device)) return Gpus::fail(cudaErrorInvalidDevice);
  if (gpus().options().refuses("pools")) return Gpus::fail(cudaErrorNotSupported);
  *pool = reinterpret_cast<cudaMemPool_t>(std::intptr_t{device} + 1);
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void*) {
  return pool ? cudaSuccess : Gpus::fail(cudaErrorInvalidValue);
}
// Memory that was given back is free at once.
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* value) {
  if (!pool) return Gpus::fail(cudaErrorInvalidValue);
  *static_cast<std::uint64_t*>(value) = 0;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  const Lock lock(gpus().mutex());
  if (const cudaError_t e = gpus().allow_unsafe_call()) return e;
  return take(p, bytes, MemoryKind::device);
}
cudaError_t cudaFree(void* p) {  // waits for all work of the device
  const Lock lock(gpus().mutex());
  if (const cudaError_t e = gpus().allow_unsafe_call()) return e;
  const int device = Gpus::current_device();
  const Allocation* const a = gpus().memory().find(reinterpret_cast<Address>(p));
  if (a && a->kind == MemoryKind::pool) return give_back(p, a->kind, device);  // does not wait
  if (const cudaError_t e = gpus().wait_for_device(device)) return e;
  return p ? give_back(p, MemoryKind::device, device) : cudaSuccess;
}
cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (gpus().options().refuses("pools")) return Gpus::fail(cudaErrorNotSupported);
  if (const cudaError_t e = gpus().issue(stream, [] {})) return e;
  return take(p, bytes, MemoryKind::pool);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (!p) return cudaSuccess;
  return gpus().issue(stream, [p] { gpus().memory().release(p, MemoryKind::pool); });
}
cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  const Lock lock(gpus().mutex());
  if (const cudaError_t e = gpus().allow_unsafe_call()) return e;
  return take(p, bytes, MemoryKind::page_locked);
}
cudaError_t cudaFreeHost(void* p) {
  const Lock lock(gpus().mutex());
  return p ? give_back(p, MemoryKind::page_locked, Gpus::current_device()) : cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  const int device = Gpus::current_device();
  const bool to_host = kind == cudaMemcpyDeviceToHost, from_host = kind == cudaMemcpyHostToDevice;
  if (!to_host && !from_host && kind != cudaMemcpyDeviceToDevice)
    return Gpus::fail(cudaErrorInvalidMemcpyDirection);
  const void* const host = to_host ? to : from_host ? from : nullptr;
  if (bytes == 0) return cudaSuccess;
  const bool locked = host && page_locked(host);
  const auto copy = [=] {
    if (locked) view(host, bytes, device);
    std::memcpy(to_host ? to : view(to, bytes, device),
                from_host ? from : view(from, bytes, device), bytes);
  };
  if (!host || locked || gpus().options().pageable_access) return gpus().issue(stream, copy);
  Stream* const s = gpus().find(stream);
  if (s && s->capture) {  // memory of the host that may be gone when the graph is launched
    s->capture->invalidated = true;
    return Gpus::fail(cudaErrorStreamCaptureUnsupported);
  }
  if (from_host) {  // taken over before the call returns
    std::vector<unsigned char> staged(bytes);
    std::memcpy(staged.data(), from, bytes);
    return gpus().issue(stream,
                        [=] { std::memcpy(view(to, bytes, device), staged.data(), bytes); });
  }
  if (const cudaError_t e = gpus().issue(stream, copy)) return e;
  return gpus().wait({s->queue, s->queue->issued()});
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                std::size_t bytes, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (!exists(to_device) || !exists(from_device)) return Gpus::fail(cudaErrorInvalidDevice);
  return gpus().issue(stream, [=] {
    std::memcpy(view(to, bytes, to_device), view(from, bytes, from_device), bytes);
  });
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (bytes == 0) return cudaSuccess;
  return gpus().issue(stream, [=, device = Gpus::current_device()] {
    std::memset(view(at, bytes, device), value, bytes);
  });
}

// Streams and events.

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  const Lock lock(gpus().mutex());
  *stream = gpus().open_stream();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (!stream || !gpus().find(stream)) return Gpus::fail(cudaErrorInvalidResourceHandle);
  gpus().close_stream(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  Stream* const s = gpus().find(stream);
  if (!s) return Gpus::fail(cudaErrorInvalidResourceHandle);
  if (s->capture) {
    s->capture->invalidated = true;
    return Gpus::fail(cudaErrorStreamCaptureUnsupported);
  }
  if (!stream) {  // it waits for the other streams, and a capture is among them
    if (const cudaError_t e = gpus().issue(stream, [] {})) return e;
  }
  return gpus().wait({s->queue, s->queue->issued()});
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  Stream* const s = gpus().find(stream);
  if (!s) return Gpus::fail(cudaErrorInvalidResourceHandle);
  if (s->capture) {
    s->capture->invalidated = true;
    return Gpus::fail(cudaErrorStreamCaptureUnsupported);
  }
  return gpus().query({s->queue, s->queue->issued()});
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t handle, unsigned) {
  const Lock lock(gpus().mutex());
  Stream* const s = gpus().find(stream);
  if (!s || !handle) return Gpus::fail(cudaErrorInvalidResourceHandle);
  const Event& event = **event_of(handle);
  if (s->capture && !event.captured && event.point.queue) {
    s->capture->invalidated = true;
    return Gpus::fail(cudaErrorStreamCaptureIsolation);
  }
  if (event.captured)  // joining another stream to a capture, which nothing here does
    return s->capture && s->capture->graph.get() == event.captured
               ? cudaSuccess
               : Gpus::fail(cudaErrorStreamCaptureIsolation);
  if (event.point.queue) s->queue->wait_for(event.point);
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned) {
  auto event = std::make_shared<Event>();
  event->device = Gpus::current_device();
  *handle = reinterpret_cast<cudaEvent_t>(new std::shared_ptr<Event>(std::move(event)));
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  if (!handle) return Gpus::fail(cudaErrorInvalidResourceHandle);
  const Lock lock(gpus().mutex());
  delete event_of(handle);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  Stream* const s = gpus().find(stream);
  if (!s || !handle || (*event_of(handle))->device != s->queue->device())
    return Gpus::fail(cudaErrorInvalidResourceHandle);
  Event& event = **event_of(handle);
  const auto seconds = std::make_shared<double>(0);
  if (const cudaError_t e = gpus().issue(stream, [seconds] { *seconds = now(); })) return e;
  event.captured = s->capture ? s->capture->graph.get() : nullptr;
  event.point = {s->queue, s->queue->issued()};
  event.seconds = seconds;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  const Lock lock(gpus().mutex());
  if (!handle) return Gpus::fail(cudaErrorInvalidResourceHandle);
  const Event& event = **event_of(handle);
  if (event.captured) return Gpus::fail(cudaErrorCapturedEvent);
  return event.point.queue ? gpus().wait(event.point) : cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t handle) {
  const Lock lock(gpus().mutex());
  if (!handle) return Gpus::fail(cudaErrorInvalidResourceHandle);
  const Event& event = **event_of(handle);
  if (event.captured) return Gpus::fail(cudaErrorCapturedEvent);
  return event.point.queue ? gpus().query(event.point) : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t first, cudaEvent_t second) {
  const Lock lock(gpus().mutex());
  const auto& a = *event_of(first);
  const auto& b = *event_of(second);
  if (!a->seconds || !b->seconds || a->device != b->device)
    return Gpus::fail(cudaErrorInvalidResourceHandle);
  if (*a->seconds == 0 || *b->seconds == 0) return Gpus::fail(cudaErrorNotReady);
  *milliseconds = static_cast<float>(1e3 * (*b->seconds - *a->seconds));
  return cudaSuccess;
}

// Captures and graphs.

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Lock lock(gpus().mutex());
  const Stream* const s = gpus().find(stream);
  if (!s) return Gpus::fail(cudaErrorInvalidResourceHandle);
  *status = !s->capture               ? cudaStreamCaptureStatusNone
            : s->capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Lock lock(gpus().mutex());
  Stream* const s = gpus().find(stream);
  if (!s) return Gpus::fail(cudaErrorInvalidResourceHandle);
  if (!stream || gpus().options().refuses("capture"))
    return Gpus::fail(cudaErrorStreamCaptureUnsupported);
  if (s->capture) return Gpus::fail(cudaErrorIllegalState);
  s->capture = std::make_unique<Capture>(
      Capture{std::make_unique<Graph>(), mode, std::this_thread::get_id()});
  s->capture->graph->device = s->queue->device();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Lock lock(gpus().mutex());
  *graph = nullptr;
  Stream* const s = gpus().find(stream);
  if (!s || !s->capture) return Gpus::fail(cudaErrorIllegalState);
  const std::unique_ptr<Capture> capture = std::move(s->capture);
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id())
    return Gpus::fail(cudaErrorStreamCaptureWrongThread);
  if (capture->invalidated) return Gpus::fail(cudaErrorStreamCaptureInvalidated);
  *graph = reinterpret_cast<cudaGraph_t>(capture->graph.release());
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (!graph) return Gpus::fail(cudaErrorInvalidValue);
  *executable = reinterpret_cast<cudaGraphExec_t>(
      new std::shared_ptr<const Graph>(new Graph(*reinterpret_cast<Graph*>(graph))));
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<std::shared_ptr<const Graph>*>(executable);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Lock lock(gpus().mutex());
  if (!executable) return Gpus::fail(cudaErrorInvalidValue);
  const auto graph = *reinterpret_cast<std::shared_ptr<const Graph>*>(executable);
  Stream* const s = gpus().find(stream);
  if (s && s->capture) return Gpus::fail(cudaErrorStreamCaptureUnsupported);
  if (graph->device != Gpus::current_device()) return Gpus::fail(cudaErrorInvalidValue);
  return gpus().issue(stream, [graph] {
    for (const Work& work : graph->work) work();
  });
}

}  // extern "C"
