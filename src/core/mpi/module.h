// The code that calls MPI, as a module (core/modules.h).
#pragma once
#include <memory>

#include "core/modules.h"
#include "core/ranks.h"

namespace darknet {

// Between two heartbeats of a rank. It is not lost because one or two of them are late.
inline constexpr int kHeartbeatSeconds = 2;
inline constexpr int kMinRankTimeout = 3 * kHeartbeatSeconds;  // seconds

struct MpiModule {
  static constexpr char kFile[] = "darknet_mpi.so";
  // Starts MPI, which waits for all processes of the job, and a thread that makes every call of it.
  // `timeout`: seconds without a heartbeat after which a rank counts as lost. Throws Error.
  std::unique_ptr<Ranks> (*open)(double timeout);
  // Waits for all ranks, then leaves MPI; nothing may be in progress.
  void (*close)(Ranks&);
};

}  // namespace darknet
