// Sums over the devices of several processes without host memory: by NCCL, of CUDA devices. How the
// processes agree on it is in train/join_devices.h.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/device.h"
#include "core/half.h"

namespace darknet {

// Over the devices of all processes. Each makes the same calls in the same order, with as many
// elements; run() and run_bf16() return before the others have made theirs. After a DeviceFailure
// the process is to end before it waits for a stream: sums that were begun may never end.
class JoinedDevices : public AllReduceLibrary {
 public:
  // As run(), of bf16, in which sums are formed, too.
  virtual void run_bf16(std::span<const Stream> streams, std::span<BF16* const> arrays,
                        std::int64_t n) = 0;
  // Once all have made their last call: waits for all, and ends what the library keeps. Does not
  // throw. What is destroyed without it is abandoned until the process ends, since the others may
  // never come: one that fails alone would wait for them.
  virtual void leave() = 0;
};

// What a library offers to join them. Calls throw Error where the library or the driver refuses.
class DeviceJoiner {
 public:
  virtual ~DeviceJoiner() = default;
  virtual std::string version() const = 0;  // of the library
  // The same for the same device in whichever process, another for any other of any host. No line
  // break in it.
  virtual std::string name_of(const Device&) const = 0;
  // Bytes by which the processes find each other: one process makes them for all.
  virtual std::string make_id() const = 0;
  // This process's devices are `first` and those behind it, of `count` in all. Waits until all have
  // come and small arrays, also of bf16 where `bf16` says so, were summed over their network:
  // perhaps for ever, where one does not come or fails alone. In any thread.
  virtual std::unique_ptr<JoinedDevices> join(std::span<const Device>, const std::string& id,
                                              std::int64_t first, std::int64_t count,
                                              bool bf16) const = 0;
};

// Null where this build has no library for the device type.
const DeviceJoiner* device_joiner(DeviceType);

}  // namespace darknet
