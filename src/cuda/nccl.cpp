// Sums over several GPUs by NCCL: one communicator for each, all driven by the calling thread.
#include <nccl.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "core/device_failure.h"
#include "core/device_guard.h"
#include "core/index.h"
#include "core/log.h"
#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

void check_result(ncclResult_t status, const char* call) {
  if (status != ncclSuccess)
    fail(call, ": ", ncclGetErrorString(status), " (", ncclGetLastError(nullptr), ")");
}

class NcclAllReduce final : public AllReduceLibrary {
 public:
  explicit NcclAllReduce(std::span<const Device> devices) : communicators_(devices.size()) {
    for (const Device& d : devices) indices_.push_back(d.index);
    check_result(
        ncclCommInitAll(communicators_.data(), static_cast<int>(indices_.size()), indices_.data()),
        "ncclCommInitAll");
    const std::lock_guard lock(mutex());
    all().push_back(this);
  }
  NcclAllReduce(const NcclAllReduce&) = delete;
  NcclAllReduce& operator=(const NcclAllReduce&) = delete;
  ~NcclAllReduce() override {
    const std::lock_guard lock(mutex());
    std::erase(all(), this);
    if (communicators_.empty()) return;
    if (for_all(ncclCommFinalize) == ncclSuccess)
      for_all(ncclCommDestroy);
    else
      abort();
  }
  // A group: one thread may not wait in the first device's call for those it has yet to make.
  void run(std::span<const Stream> streams, std::span<float* const> arrays,
           std::int64_t n) override {
    const std::lock_guard lock(mutex());
    if (communicators_.empty()) fail("NCCL sums no more after an error");
    give_up_on(ncclGroupStart(), "ncclGroupStart");
    ncclResult_t status = ncclSuccess;
    for (std::size_t d = 0; d < streams.size() && status == ncclSuccess; ++d)
      status = ncclAllReduce(arrays[d], arrays[d], to_size(n), ncclFloat, ncclSum,
                             communicators_[d], cuda::native(streams[d]));
    const ncclResult_t ended = ncclGroupEnd();  // also after a failure: none may be left open
    give_up_on(status, "ncclAllReduce");
    give_up_on(ended, "ncclGroupEnd");
  }

  // Whether there are communicators on the device.
  static bool sums_on(const Device& device) {
    const std::lock_guard lock(mutex());
    return find(device) != nullptr;
  }
  // What a link or another device broke after an earlier call returned. Nothing where no
  // communicators are on the device.
  static void check(const Device& device) {
    const std::lock_guard lock(mutex());
    if (NcclAllReduce* const here = find(device)) here->check_links(device);
  }

 private:
  // All below is called with the mutex held.

  // A group: the communicators of one thread wait for each other.
  ncclResult_t for_all(ncclResult_t (*call)(ncclComm_t)) const {
    const ncclResult_t begun = ncclGroupStart();
    ncclResult_t status = begun;
    for (const ncclComm_t c : communicators_)
      if (const ncclResult_t one = call(c); status == ncclSuccess) status = one;
    const ncclResult_t ended = begun == ncclSuccess ? ncclGroupEnd() : begun;
    return status == ncclSuccess ? ended : status;
  }
  // Ends the kernels, which would else wait for ever, and with them every wait for a stream.
  void abort() {
    for_all(ncclCommAbort);
    communicators_.clear();
  }
  static NcclAllReduce* find(const Device& device) {
    const auto found = std::ranges::find_if(all(), [&](const NcclAllReduce* a) {
      return !a->communicators_.empty() && std::ranges::count(a->indices_, device.index) > 0;
    });
    return found == all().end() ? nullptr : *found;
  }
  // `device`: which is current afterwards.
  void check_links(const Device& device) {
    for (const ncclComm_t c : communicators_) {
      ncclResult_t since = ncclSuccess;
      give_up_on(ncclCommGetAsyncError(c, &since), "ncclCommGetAsyncError");
      give_up_on(since, "an all-reduce of NCCL");
    }
    Device there = device;
    try {
      const DeviceGuard guard(device);
      for (const int index : indices_) {
        there.index = index;
        const DeviceGuard other(there);
        const cudaError_t status = cudaStreamQuery(nullptr);
        if (status != cudaSuccess) cudaGetLastError();  // not to be found by the next launch
        if (status != cudaSuccess && status != cudaErrorNotReady) fail(cudaGetErrorString(status));
      }
    } catch (const Error& e) {
      abort();
      throw DeviceFailure(
          cat("a GPU that takes part in an all-reduce, ", to_string(there), ": ", e.what()));
    }
  }
  void give_up_on(ncclResult_t status, const char* call) {
    if (status == ncclSuccess) return;
    const std::string detail = ncclGetLastError(nullptr);
    abort();
    throw DeviceFailure(cat(call, ": ", ncclGetErrorString(status), " (", detail, ")"));
  }
  static std::vector<NcclAllReduce*>& all() {
    static std::vector<NcclAllReduce*> all;
    return all;
  }
  // Held by every call: one thread may not sum, or end, what another checks or aborts.
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }

  std::vector<int> indices_;
  std::vector<ncclComm_t> communicators_;  // none any more after an error
};

}  // namespace

std::unique_ptr<AllReduceLibrary> make_nccl_all_reduce(std::span<const Device> devices) {
  try {
    return std::make_unique<NcclAllReduce>(devices);
  } catch (const Error& e) {
    log::warn(cat(e.what(), "; the devices sum by copies instead of NCCL"));
    return nullptr;
  }
}

bool sums_by_nccl(const Device& device) { return NcclAllReduce::sums_on(device); }
void check_nccl(const Device& device) { NcclAllReduce::check(device); }

}  // namespace darknet
