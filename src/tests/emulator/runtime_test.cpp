// Streams, events, devices and captures of the runtime.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/emulator/fault_check.h"
#include "tests/emulator/gpu.h"
#include "tests/emulator/runtime_fixture.h"

namespace emulator {
namespace {

TEST_F(Runtime, WorkIsDoneWhenTheHostWaits) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(*to, 2);
  *from = 3;  // too early: the copy has not begun
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 2);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 3);
}

TEST_F(Runtime, StreamsAreOrderedByEventsOnly) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  const cudaEvent_t e = event();
  for (const bool waits : {false, true}) {
    int* const p = on_device(1);
    EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
    if (waits) {
      EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
    }
    EXPECT_EQ(to_host(to, p, 1, b_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
    EXPECT_EQ(*to, waits ? 1 : -1);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  }
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, EventsCoverWhatWasBeforeThem) {
  int* const to = locked(2, 2);
  int* const p = filled(std::vector{5});
  const cudaEvent_t e = event();
  EXPECT_EQ(cudaEventSynchronize(e), cudaSuccess);  // never recorded
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(to_host(to + 1, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(e), cudaSuccess);
  EXPECT_EQ(to[0], 5);
  EXPECT_EQ(to[1], 2);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

// What is asked for once is done when it is asked for again, as a card's own work goes on.
TEST_F(Runtime, AQueryDoesNotWait) {
  int* const to = locked(1, 2);
  int* const p = filled(std::vector{5});
  const cudaEvent_t e = event();
  EXPECT_EQ(cudaEventQuery(e), cudaSuccess);  // never recorded
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(e), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(e), cudaSuccess);
  EXPECT_EQ(*to, 5);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(a_), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamQuery(a_), cudaSuccess);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(e), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamQuery(a_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

// The host waits for a stream, and with it for the event that this stream waits for.
TEST_F(Runtime, WaitingForAStreamIsWaitingForItsEvents) {
  int* const to = locked(1, 2);
  int* const p = filled(std::vector{5});
  const cudaEvent_t e = event();
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 5);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, TheLegacyStreamIsOrderedWithAllOfItsDevice) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, nullptr), cudaSuccess);
  int* const after = locked(1, 2);
  EXPECT_EQ(to_host(after, p, 1, b_), cudaSuccess);
  cudaSetDevice(1);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);  // of another device
  EXPECT_EQ(*to, 2);
  cudaSetDevice(0);
  EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
  EXPECT_EQ(*to, 1);
  EXPECT_EQ(*after, 0);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(*to, 0);
}

TEST_F(Runtime, CopiesOfPageableMemoryTakePartAtTheCall) {
  int from = 1, to = 2;
  int* const p = on_device(1);
  EXPECT_EQ(to_device(p, &from, 1, a_), cudaSuccess);
  from = 3;
  EXPECT_EQ(to_host(&to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(to, 1);
}

TEST_F(Runtime, CopiesBetweenDevicesAndOnOne) {
  int* const first = filled(std::vector{5, 6});
  int* const second = on_device(2);
  cudaSetDevice(1);
  int* const other = on_device(2);
  cudaSetDevice(0);
  EXPECT_EQ(cudaMemcpyAsync(second, first, 8, cudaMemcpyDeviceToDevice, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyPeerAsync(other, 1, second, 0, 8, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyPeerAsync(first, 0, other + 1, 1, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(contents(first, 2), (std::vector{6, 6}));
  EXPECT_EQ(cudaMemcpyPeerAsync(other, 2, second, 0, 8, a_), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaMemcpyAsync(second, first, 8, cudaMemcpyDefault, a_),
            cudaErrorInvalidMemcpyDirection);
  expect_in_child([&] {  // not at the peer
    cudaMemcpyPeerAsync(other, 0, second, 0, 8, a_);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
}

TEST_F(Runtime, DevicesAreCounted) {
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  for (const int device : {-1, 2}) EXPECT_EQ(cudaSetDevice(device), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Runtime, StreamsAndEventsBelongToTheirDevice) {
  int* const p = on_device(1);
  const cudaEvent_t of_first = event();
  cudaSetDevice(1);
  const cudaEvent_t of_second = event();
  const cudaStream_t second = stream();
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_second, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_first, a_), cudaErrorInvalidResourceHandle);  // not current
  EXPECT_EQ(cudaEventRecord(of_first, second), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(of_second, second), cudaSuccess);
  cudaSetDevice(0);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(of_first, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(of_second, a_), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamWaitEvent(a_, of_second, 0), cudaSuccess);  // across devices
  cudaStream_t gone = nullptr;
  EXPECT_EQ(cudaStreamCreate(&gone), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(gone), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventDestroy(of_first), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(of_second), cudaSuccess);
}

TEST_F(Runtime, ElapsedTimeIsOfEventsThatWereReached) {
  const cudaEvent_t first = event(), second = event();
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventRecord(first, a_), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(second, a_), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(first), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(second), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, first, second), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventDestroy(first), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(second), cudaSuccess);
}

// Captures.

TEST_F(Runtime, UnsafeCallsEndACapture) {
  void *p = nullptr, *q = nullptr;
  int pageable = 0;
  int* const d = on_device(1);
  int* const host = locked(1);
  const cudaEvent_t outside = event(), inside = event();
  EXPECT_EQ(cudaEventRecord(outside, b_), cudaSuccess);
  struct Call {
    const char* name;
    std::function<cudaError_t()> call;
    cudaError_t error;
  };
  const std::vector<Call> calls{
      {"cudaMalloc", [&] { return cudaMalloc(&p, 4); }, cudaErrorStreamCaptureUnsupported},
      {"cudaFree", [&] { return cudaFree(nullptr); }, cudaErrorStreamCaptureUnsupported},
      {"cudaHostAlloc", [&] { return cudaHostAlloc(&q, 4, 0); }, cudaErrorStreamCaptureUnsupported},
      {"waiting", [&] { return cudaStreamSynchronize(a_); }, cudaErrorStreamCaptureUnsupported},
      {"legacy stream", [&] { return cudaMemsetAsync(d, 0, 4, nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"waiting for the legacy stream", [&] { return cudaStreamSynchronize(nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"event in the legacy stream", [&] { return cudaEventRecord(outside, nullptr); },
       cudaErrorStreamCaptureImplicit},
      {"from pageable memory", [&] { return to_device(d, &pageable, 1, a_); },
       cudaErrorStreamCaptureUnsupported},
      {"to pageable memory", [&] { return to_host(&pageable, d, 1, a_); },
       cudaErrorStreamCaptureUnsupported},
      {"event from outside", [&] { return cudaStreamWaitEvent(a_, outside, 0); },
       cudaErrorStreamCaptureIsolation},
      {"memset", [&] { return cudaMemsetAsync(d, 0, 4, a_); }, cudaSuccess},
      {"to page-locked memory", [&] { return to_host(host, d, 1, a_); }, cudaSuccess},
      {"event", [&] { return cudaEventRecord(inside, a_); }, cudaSuccess},
      {"another stream", [&] { return cudaMemsetAsync(d, 0, 4, b_); }, cudaSuccess},
      {"pageable memory of another stream", [&] { return to_host(&pageable, d, 1, b_); },
       cudaSuccess},
      {"waiting for another stream", [&] { return cudaStreamSynchronize(b_); }, cudaSuccess}};
  for (const Call& c : calls) {
    SCOPED_TRACE(c.name);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(c.call(), c.error);
    if (c.error != cudaSuccess) {
      EXPECT_EQ(cudaMemsetAsync(d, 0, 4, a_), cudaErrorStreamCaptureInvalidated);
    }
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              c.error == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph != nullptr, c.error == cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  EXPECT_EQ(cudaEventRecord(inside, b_), cudaSuccess);  // it is no event of the capture any more
  for (const Call& c : calls) EXPECT_EQ(c.call(), cudaSuccess) << c.name;
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(q), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(outside), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(inside), cudaSuccess);
}

TEST_F(Runtime, EventsOfACaptureStayInIt) {
  const cudaEvent_t e = event();
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(e, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(a_, e, 0), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(e), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(b_, e, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamBeginCapture(b_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_NE(cudaStreamWaitEvent(b_, e, 0), cudaSuccess);  // two captures would become one
  cudaStreamEndCapture(b_, &graph);
  cudaGraphDestroy(graph);
  cudaStreamEndCapture(a_, &graph);
  cudaGraphDestroy(graph);
  EXPECT_EQ(cudaEventDestroy(e), cudaSuccess);
}

TEST_F(Runtime, CapturesBeginAndEndOnce) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorIllegalState);
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&executable, nullptr, 0), cudaErrorInvalidValue);
}

TEST_F(Runtime, CapturesKnowTheirThread) {
  struct Mode {
    cudaStreamCaptureMode mode;
    cudaError_t own, other, end;
  };
  constexpr cudaError_t kRefused = cudaErrorStreamCaptureUnsupported;
  for (const Mode& m :
       {Mode{cudaStreamCaptureModeGlobal, kRefused, kRefused, cudaErrorStreamCaptureWrongThread},
        {cudaStreamCaptureModeThreadLocal, kRefused, cudaSuccess,
         cudaErrorStreamCaptureWrongThread},
        {cudaStreamCaptureModeRelaxed, cudaSuccess, cudaSuccess, cudaSuccess}}) {
    SCOPED_TRACE(m.mode);
    void* p = nullptr;
    cudaGraph_t graph = nullptr;
    const auto in_thread = [](auto f) { std::thread(f).join(); };
    const auto allocate = [&] {
      const cudaError_t error = cudaMalloc(&p, 4);
      return error == cudaSuccess ? cudaFree(p) : error;
    };
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    in_thread([&] { EXPECT_EQ(allocate(), m.other); });
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              m.other == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    cudaGraphDestroy(graph);
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    EXPECT_EQ(allocate(), m.own);
    cudaStreamEndCapture(a_, &graph);
    cudaGraphDestroy(graph);
    EXPECT_EQ(cudaStreamBeginCapture(a_, m.mode), cudaSuccess);
    in_thread([&] { EXPECT_EQ(cudaStreamEndCapture(a_, &graph), m.end); });
    EXPECT_EQ(graph != nullptr, m.end == cudaSuccess);
    cudaGraphDestroy(graph);
    cudaStreamEndCapture(a_, &graph);
  }
}

TEST_F(Runtime, GraphsRepeatTheirWork) {
  int* const from = locked(1, 1);
  int* const to = locked(1, 2);
  int* const p = on_device(1);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(to_device(p, from, 1, a_), cudaSuccess);
  EXPECT_EQ(to_host(to, p, 1, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 2);  // captured, not done
  EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (const int value : {5, 6}) {
    const int before = *to;
    *from = value;
    EXPECT_EQ(cudaGraphLaunch(executable, b_), cudaSuccess);
    EXPECT_EQ(*to, before);
    EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
    EXPECT_EQ(*to, value);
  }
  cudaSetDevice(1);
  EXPECT_EQ(cudaGraphLaunch(executable, stream()), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphLaunch(executable, a_), cudaErrorInvalidValue);
  cudaSetDevice(0);
  EXPECT_EQ(cudaGraphLaunch(nullptr, a_), cudaErrorInvalidValue);
  *from = 7;
  EXPECT_EQ(cudaGraphLaunch(executable, a_), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);  // while it waits for its turn
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(*to, 7);
}

}  // namespace
}  // namespace emulator
