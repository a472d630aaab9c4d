// Sums over several GPUs by NCCL: one communicator for each, those of this process driven by the
// calling thread. They may span GPUs of other processes.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <mutex>
#include <vector>

#include "core/device_failure.h"
#include "core/device_guard.h"
#include "core/index.h"
#include "core/joined_devices.h"
#include "core/log.h"
#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

void check_result(ncclResult_t status, const char* call) {
  if (status != ncclSuccess)
    fail(call, ": ", ncclGetErrorString(status), " (", ncclGetLastError(nullptr), ")");
}

ncclUniqueId make_unique_id() {
  ncclUniqueId id;
  check_result(ncclGetUniqueId(&id), "ncclGetUniqueId");
  return id;
}

class NcclAllReduce final : public JoinedDevices {
 public:
  // Waits until all `count` devices have joined, of which these are `first` and the next.
  NcclAllReduce(std::span<const Device> devices, const ncclUniqueId& id, std::int64_t first,
                std::int64_t count)
      : communicators_(devices.size()) {
    for (const Device& d : devices) indices_.push_back(d.index);
    try {
      join(devices, id, static_cast<int>(first), static_cast<int>(count));
    } catch (const Error&) {
      std::erase(communicators_, nullptr);
      if (!communicators_.empty()) abort();
      throw;
    }
    joined_ = true;
    const std::lock_guard lock(mutex());
    all().push_back(this);
  }
  NcclAllReduce(const NcclAllReduce&) = delete;
  NcclAllReduce& operator=(const NcclAllReduce&) = delete;
  ~NcclAllReduce() override {
    {
      const std::lock_guard lock(mutex());
      std::erase(all(), this);
    }
    if (communicators_.empty()) return;
    if (for_all(ncclCommFinalize) == ncclSuccess)
      for_all(ncclCommDestroy);
    else
      abort();
  }
  void run(std::span<const Stream> streams, std::span<float* const> arrays,
           std::int64_t n) override {
    sum(streams, arrays, n, ncclFloat);
  }
  void run_bf16(std::span<const Stream> streams, std::span<BF16* const> arrays,
                std::int64_t n) override {
    sum(streams, arrays, n, ncclBfloat16);
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
    NcclAllReduce* const here = find(device);
    if (!here) return;
    // Another thread that is in a call learns of the error by itself.
    if (const std::unique_lock own(here->calls_, std::try_to_lock); own) here->check_links(device);
  }

 private:
  // A group: one thread may not wait in the first device's call for those it has yet to make.
  void join(std::span<const Device> devices, const ncclUniqueId& id, int first, int count) {
    const DeviceGuard guard(devices.front());
    check_result(ncclGroupStart(), "ncclGroupStart");
    ncclResult_t status = ncclSuccess;
    for (std::size_t d = 0; d < devices.size() && status == ncclSuccess; ++d) {
      const DeviceGuard of_this(devices[d]);
      status = ncclCommInitRank(&communicators_[d], count, id, first + static_cast<int>(d));
    }
    const ncclResult_t ended = ncclGroupEnd();  // also after a failure: none may be left open
    check_result(status == ncclSuccess ? ended : status, "ncclCommInitRank");
  }
  // A group, too.
  template <class T>
  void sum(std::span<const Stream> streams, std::span<T* const> arrays, std::int64_t n,
           ncclDataType_t type) {
    const std::lock_guard lock(calls_);
    if (communicators_.empty()) fail("NCCL sums no more after an error");
    give_up_on(ncclGroupStart(), "ncclGroupStart");
    ncclResult_t status = ncclSuccess;
    for (std::size_t d = 0; d < streams.size() && status == ncclSuccess; ++d)
      status = ncclAllReduce(arrays[d], arrays[d], to_size(n), type, ncclSum, communicators_[d],
                             cuda::native(streams[d]));
    const ncclResult_t ended = ncclGroupEnd();
    give_up_on(status, "ncclAllReduce");
    give_up_on(ended, "ncclGroupEnd");
  }
  // All below is called by one thread at a time.

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
    joined_ = false;
  }
  static NcclAllReduce* find(const Device& device) {
    const auto found = std::ranges::find_if(all(), [&](const NcclAllReduce* a) {
      return a->joined_ && std::ranges::count(a->indices_, device.index) > 0;
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
  // Of the list: one thread may not end what another checks. Not held by what may wait for other
  // ranks, which may be threads of this process.
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }

  std::vector<int> indices_;
  std::mutex calls_;                       // one thread may not sum what another checks or aborts
  std::vector<ncclComm_t> communicators_;  // none any more after an error
  std::atomic<bool> joined_ = false;       // whether there are some
};

// Of this start of the machine; containers on it share it.
std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!std::getline(in, id)) fail("/proc/sys/kernel/random/boot_id cannot be read");
  return id;
}

class NcclJoiner final : public DeviceJoiner {
 public:
  std::string version() const override {
    int version = 0;
    check_result(ncclGetVersion(&version), "ncclGetVersion");
    return std::to_string(version);
  }
  // As NCCL tells devices apart, of which one may not join twice.
  std::string name_of(const Device& device) const override {
    std::string name = boot_id();
    for (const cudaDeviceAttr part :
         {cudaDevAttrPciDomainId, cudaDevAttrPciBusId, cudaDevAttrPciDeviceId}) {
      int value = 0;
      cuda::check(cudaDeviceGetAttribute(&value, part, device.index), "cudaDeviceGetAttribute",
                  to_string(device));
      name += cat(":", value);
    }
    return name;
  }
  std::string make_id() const override {
    const ncclUniqueId id = make_unique_id();
    return {id.internal, sizeof id.internal};
  }
  std::unique_ptr<JoinedDevices> join(std::span<const Device> devices, const std::string& bytes,
                                      std::int64_t first, std::int64_t count) const override {
    ncclUniqueId id;
    if (bytes.size() != sizeof id.internal)
      fail("an id of NCCL with ", bytes.size(), " bytes in place of ", sizeof id.internal);
    std::memcpy(id.internal, bytes.data(), sizeof id.internal);
    return std::make_unique<NcclAllReduce>(devices, id, first, count);
  }
};

}  // namespace

std::unique_ptr<AllReduceLibrary> make_nccl_all_reduce(std::span<const Device> devices) {
  try {
    return std::make_unique<NcclAllReduce>(devices, make_unique_id(), 0, std::ssize(devices));
  } catch (const Error& e) {
    log::warn(cat(e.what(), "; the devices sum by copies instead of NCCL"));
    return nullptr;
  }
}

const DeviceJoiner* cuda_joiner() {
  static const NcclJoiner joiner;
  return &joiner;
}

bool sums_by_nccl(const Device& device) { return NcclAllReduce::sums_on(device); }
void check_nccl(const Device& device) { NcclAllReduce::check(device); }

}  // namespace darknet
