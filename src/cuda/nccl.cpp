// Sums over several GPUs by NCCL: one communicator for each, those of this process driven by the
// calling thread. They may span GPUs of other processes: then this process never waits for those
// but where all have agreed to, since one of them may have failed alone.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "core/device_failure.h"
#include "core/device_guard.h"
#include "core/index.h"
#include "core/joined_devices.h"
#include "core/log.h"
#include "core/process_end.h"
#include "core/tensor.h"
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
      : over_ranks_(count > std::ssize(devices)), communicators_(devices.size()) {
    for (const Device& d : devices) indices_.push_back(d.index);
    try {
      join(devices, id, static_cast<int>(first), static_cast<int>(count));
    } catch (const Error&) {
      std::erase(communicators_, nullptr);
      if (!over_ranks_ && !communicators_.empty()) abort();
      forget();
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
    if (!over_ranks_) leave();
    forget();
  }
  void leave() override {
    const std::lock_guard lock(calls_);
    if (communicators_.empty() || !failure_.empty()) return;
    joined_ = false;
    if (for_all(ncclCommFinalize) == ncclSuccess) {
      for_all(ncclCommDestroy);
      communicators_.clear();
    } else if (!over_ranks_) {
      abort();
    }
  }
  // The connections are made by the first sums. Ends them where they fail, and may wait for that.
  void try_out(std::span<const Device> devices, bool bf16) {
    constexpr std::int64_t kNumbers = 256;
    std::vector<Trial> trials;
    std::vector<Stream> streams;
    std::vector<float*> arrays;
    std::vector<BF16*> in_bf16;
    for (const Device& d : devices) {
      const DeviceGuard guard(d);
      Trial t{.array = Buffer(d, kNumbers * std::int64_t{sizeof(float)}, MemoryAccess::peer),
              .stream = OwnedStream({.device = d})};
      memory(d.type).zero(t.stream.get(), t.array.data(), to_size(t.array.bytes()));
      streams.push_back(t.stream.get());
      arrays.push_back(static_cast<float*>(t.array.data()));
      in_bf16.push_back(static_cast<BF16*>(t.array.data()));
      trials.push_back(std::move(t));
    }
    try {
      run(streams, arrays, kNumbers);
      if (bf16) run_bf16(streams, in_bf16, kNumbers);
      for (const Stream& s : streams) {
        const DeviceGuard guard(s.device);
        cuda::wait_for(s);
      }
    } catch (const Error&) {
      const std::lock_guard lock(calls_);
      if (!communicators_.empty()) abort();
      throw;
    }
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
    return std::ranges::any_of(all(), [&](const NcclAllReduce* a) { return a->sums_here(device); });
  }
  // What a link or another device broke after an earlier call returned. Nothing where no
  // communicators are on the device.
  static void check(const Device& device) {
    const std::lock_guard lock(mutex());
    for (NcclAllReduce* const a : all()) {
      if (!a->sums_here(device)) continue;
      // Another thread that is in a call learns of the error by itself.
      if (const std::unique_lock own(a->calls_, std::try_to_lock); own) a->check_links(device);
    }
  }

 private:
  // Summed to see whether it works; the stream ends before its memory.
  struct Trial {
    Buffer array;
    OwnedStream stream;
  };
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
    if (!failure_.empty())
      throw DeviceFailure(cat("NCCL sums no more after an error (", failure_,
                              "); to resume from the last checkpoint, start the training again: "
                              "DARKNET_NCCL=0 sums without NCCL"));
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
  // The library keeps them: an end of them might wait for other processes.
  void forget() {
    if (!communicators_.empty()) ends_without_destructors = true;
    communicators_.clear();
    joined_ = false;
  }
  bool sums_here(const Device& device) const {
    return joined_ && std::ranges::count(indices_, device.index) > 0;
  }
  // `device`: which is current afterwards.
  void check_links(const Device& device) {
    if (!failure_.empty()) throw DeviceFailure(failure_);
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
      give_up(cat("a GPU that takes part in an all-reduce, ", to_string(there), ": ", e.what()));
    }
  }
  void give_up_on(ncclResult_t status, const char* call) {
    if (status == ncclSuccess) return;
    give_up(cat(call, ": ", ncclGetErrorString(status), " (", ncclGetLastError(nullptr), ")"));
  }
  // Over ranks an abort may wait for theirs: the job ends instead, with this message first.
  [[noreturn]] void give_up(const std::string& why) {
    failure_ = why;
    if (!over_ranks_) abort();
    throw DeviceFailure(why);
  }
  // Never destroyed, as the mutex: a thread may still be in NCCL when the process ends.
  static std::vector<NcclAllReduce*>& all() {
    static auto& all = *new std::vector<NcclAllReduce*>;
    return all;
  }
  // Of the list: one thread may not end what another checks. Not held by what may wait for other
  // ranks, which may be threads of this process.
  static std::mutex& mutex() {
    static auto& mutex = *new std::mutex;
    return mutex;
  }

  std::vector<int> indices_;
  const bool over_ranks_;
  std::mutex calls_;                       // one thread may not sum what another checks or aborts
  std::vector<ncclComm_t> communicators_;  // none any more after an error
  std::atomic<bool> joined_ = false;       // whether there are some
  std::string failure_;
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
  // As NCCL tells devices apart, of which one may not join twice: by their place on the bus, which
  // MIG instances of one GPU share.
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
                                      std::int64_t first, std::int64_t count,
                                      bool bf16) const override {
    ncclUniqueId id;
    if (bytes.size() != sizeof id.internal)
      fail("an id of NCCL with ", bytes.size(), " bytes in place of ", sizeof id.internal);
    std::memcpy(id.internal, bytes.data(), sizeof id.internal);
    auto joined = std::make_unique<NcclAllReduce>(devices, id, first, count);
    joined->try_out(devices, bf16);
    return joined;
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
  static const auto& joiner = *new NcclJoiner;
  return &joiner;
}

bool sums_by_nccl(const Device& device) { return NcclAllReduce::sums_on(device); }
void check_nccl(const Device& device) { NcclAllReduce::check(device); }

}  // namespace darknet
