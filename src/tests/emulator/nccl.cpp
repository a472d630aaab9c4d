// The calls of NCCL that the program makes: a sum over the devices when a group ends, in streams
// that wait for each other as NCCL's kernels do.
#include <nccl.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "tests/emulator/gpu.h"

using namespace emulator;

namespace {

struct Communicator {
  int device = 0, devices = 0;
  bool finalized = false;
  int asked = 0;  // for errors, since a link has broken
};
Communicator& of(ncclComm_t communicator) { return *reinterpret_cast<Communicator*>(communicator); }
constexpr int kNoticed = 20;  // a broken link is not noticed at once
struct Call {
  Communicator* communicator;
  int device;  // its; the communicator may be gone when the sum is formed
  const float* from;
  float* to;
  std::size_t count;
  cudaStream_t stream;
};
thread_local std::vector<Call> calls;
thread_local std::vector<Communicator*> finalized;
thread_local int depth = 0;

// NCCL reaches into memory of other devices, which pools do not allow.
float* view(const void* p, std::size_t count, int device) {
  return reinterpret_cast<float*>(Gpus::instance().memory().view(p, count * sizeof(float), device));
}
bool in_a_pool(const void* p) {
  const Allocation* const a = Gpus::instance().memory().find(reinterpret_cast<Address>(p));
  return a && a->kind == MemoryKind::pool;
}

// One thread's communicators wait for each other when they are finalized.
void finalize(const std::vector<Communicator*>& group) {
  for (Communicator* const c : group) {
    if (static_cast<std::size_t>(c->devices) != group.size())
      Gpus::hang(c->device,
                 "a communicator is finalized without the others, in no group with them");
    if (Gpus::instance().is_stuck(c->device))
      Gpus::hang(c->device, "a communicator is finalized in place of aborted after an error");
    c->finalized = true;
  }
}

// So they do when they end.
void require_group(const Communicator& c) {
  if (depth == 0 && c.devices > 1)
    Gpus::hang(c.device, "a communicator is ended without the others, in no group with them");
}

}  // namespace

extern "C" {

const char* ncclGetLastError(ncclComm_t) { return "the emulated NCCL knows no more"; }
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "an error of the emulated NCCL";
}
ncclResult_t ncclCommInitAll(ncclComm_t* communicators, int count, const int* devices) {
  for (int i = 0; i < count; ++i)
    if (devices[i] < 0 || devices[i] >= Gpus::instance().options().devices)
      return ncclInvalidArgument;
  for (int i = 0; i < count; ++i)
    communicators[i] =
        reinterpret_cast<ncclComm_t>(new Communicator{.device = devices[i], .devices = count});
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  const Lock lock(Gpus::instance().mutex());
  finalized.push_back(&of(communicator));
  if (depth == 0) finalize(std::exchange(finalized, {}));
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  const Lock lock(Gpus::instance().mutex());
  require_group(of(communicator));
  if (!of(communicator).finalized) return ncclInvalidUsage;  // it might wait for the others
  delete &of(communicator);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  const Lock lock(Gpus::instance().mutex());
  require_group(of(communicator));
  Gpus::instance().set_stuck(of(communicator).device, false);
  delete &of(communicator);
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* error) {
  const Lock lock(Gpus::instance().mutex());
  Communicator& c = of(communicator);
  const bool stuck = Gpus::instance().is_stuck(c.device) &&
                     Gpus::instance().options().refuses("all-reduce");  // it knows of links only
  *error = stuck && ++c.asked > kNoticed ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t communicator, cudaStream_t stream) {
  const Lock lock(Gpus::instance().mutex());
  if (type != ncclFloat || operation != ncclSum || in_a_pool(from) || in_a_pool(to))
    return ncclInvalidArgument;
  if (depth == 0) return ncclInvalidUsage;  // one thread would wait for its own later calls
  calls.push_back({&of(communicator), of(communicator).device, static_cast<const float*>(from),
                   static_cast<float*>(to), count, stream});
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  const Lock lock(Gpus::instance().mutex());
  if (--depth > 0) return ncclSuccess;
  finalize(std::exchange(finalized, {}));
  const std::vector<Call> group = std::move(calls);
  calls.clear();
  if (group.empty()) return ncclSuccess;
  const std::size_t count = group[0].count;
  const int before = Gpus::current_device();
  std::vector<Stream*> streams;
  for (std::size_t i = 1; i < group.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (group[i].communicator == group[j].communicator) return ncclInvalidUsage;
  for (const Call& call : group) {
    Gpus::current_device() = call.device;
    streams.push_back(Gpus::instance().find(call.stream));
    if (call.count != count || !streams.back() || streams.back()->queue->device() != call.device ||
        static_cast<std::size_t>(call.communicator->devices) != group.size()) {
      Gpus::current_device() = before;
      return ncclInvalidUsage;
    }
  }
  // The first stream sums when all have come as far; the others go on when it has.
  for (std::size_t i = 1; i < group.size(); ++i)
    streams[0]->queue->wait_for({streams[i]->queue, streams[i]->queue->issued()});
  Gpus::current_device() = group[0].device;
  const bool link = Gpus::instance().options().refuses("all-reduce");
  const bool device = Gpus::instance().options().refuses("second-device");
  const bool broken = link || device;
  cudaError_t error = Gpus::instance().issue(group[0].stream, [group, count, broken] {
    if (broken) return;  // it was aborted
    std::vector<float> sums(count);
    for (const Call& call : group) {
      const float* const from = view(call.from, count, call.device);
      for (std::size_t i = 0; i < count; ++i) sums[i] += from[i];
    }
    for (const Call& call : group)
      std::copy(sums.begin(), sums.end(), view(call.to, count, call.device));
  });
  const Point done{streams[0]->queue, streams[0]->queue->issued()};
  for (std::size_t i = 1; i < group.size() && !error; ++i) {
    Gpus::current_device() = group[i].device;
    streams[i]->queue->wait_for(done);
    error = Gpus::instance().issue(group[i].stream, [] {});
  }
  for (const Call& call : group)
    if (broken) Gpus::instance().set_stuck(call.device, true);
  if (device) Gpus::instance().break_later(group[1].device);
  Gpus::current_device() = before;
  return error ? ncclUnhandledCudaError : ncclSuccess;
}

}  // extern "C"
