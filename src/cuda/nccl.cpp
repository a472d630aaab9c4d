// Sums over several GPUs by NCCL: one communicator for each, all driven by the calling thread.
#include <nccl.h>

#include <vector>

#include "core/index.h"
#include "core/log.h"
#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

void check_nccl(ncclResult_t status, const char* call) {
  if (status != ncclSuccess) fail(call, ": ", ncclGetErrorString(status));
}

class NcclAllReduce final : public AllReduceLibrary {
 public:
  explicit NcclAllReduce(std::span<const Device> devices) : communicators_(devices.size()) {
    std::vector<int> indices;
    for (const Device& d : devices) indices.push_back(d.index);
    check_nccl(
        ncclCommInitAll(communicators_.data(), static_cast<int>(indices.size()), indices.data()),
        "ncclCommInitAll");
  }
  NcclAllReduce(const NcclAllReduce&) = delete;
  NcclAllReduce& operator=(const NcclAllReduce&) = delete;
  ~NcclAllReduce() override {
    for (const ncclComm_t c : communicators_) ncclCommDestroy(c);
  }
  // A group: one thread may not wait in the first device's call for those it has yet to make.
  void run(std::span<const Stream> streams, std::span<float* const> arrays,
           std::int64_t n) override {
    // What a link or another device broke after an earlier call returned.
    for (const ncclComm_t c : communicators_) {
      ncclResult_t since = ncclSuccess;
      check_nccl(ncclCommGetAsyncError(c, &since), "ncclCommGetAsyncError");
      check_nccl(since, "an all-reduce of NCCL");
    }
    check_nccl(ncclGroupStart(), "ncclGroupStart");
    ncclResult_t status = ncclSuccess;
    for (std::size_t d = 0; d < streams.size() && status == ncclSuccess; ++d)
      status = ncclAllReduce(arrays[d], arrays[d], to_size(n), ncclFloat, ncclSum,
                             communicators_[d], cuda::native(streams[d]));
    const ncclResult_t ended = ncclGroupEnd();  // also after a failure: none may be left open
    check_nccl(status, "ncclAllReduce");
    check_nccl(ended, "ncclGroupEnd");
  }

 private:
  std::vector<ncclComm_t> communicators_;
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

}  // namespace darknet
