// How the ranks of a training agree on sums over their devices without host memory: all take part,
// or none.
#pragma once
#include <memory>
#include <vector>

#include "core/joined_devices.h"
#include "core/ranks.h"

namespace darknet {

// Seconds that ranks wait for each other while they join: where nothing is wrong (a large job takes
// its time), and after one has failed, whose failure the others may not notice.
struct JoinLimits {
  double usual = 180, after_failure = 10;
};

// A collective; each rank has as many devices. `joiner` null: this build has no library; `wanted`:
// whether this rank's environment lets it be used. Null in all ranks where it is missing or not
// wanted in one, where versions differ, where two ranks use the same device, or where joining
// failed; unless nobody wants it, rank 0 warns why. Throws a CommonFailure where a rank still waits
// for others when the time is up, since nothing ends that.
std::unique_ptr<JoinedDevices> join_devices(const std::vector<Device>&, Ranks&,
                                            const DeviceJoiner* joiner, bool wanted,
                                            const JoinLimits& = {});

}  // namespace darknet
