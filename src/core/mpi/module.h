// The code that calls MPI, as a module (core/modules.h).
#pragma once
#include <memory>

#include "core/modules.h"
#include "core/ranks.h"

namespace darknet {

// Each rank shows so often that it lives. Fewer than three signs without one tell nothing.
inline constexpr int kSecondsBetweenSigns = 2;
inline constexpr int kShortestSilence = 3 * kSecondsBetweenSigns;  // seconds

struct MpiModule {
  static constexpr char kFile[] = "darknet_mpi.so";
  // Starts MPI, which waits for all processes of the job, and a thread that makes every call of it.
  // `silence`: seconds without a sign of life after which a rank counts as lost. Throws Error.
  std::unique_ptr<Ranks> (*open)(double silence);
  // Waits for all ranks, then leaves MPI; nothing may be in progress.
  void (*close)(Ranks&);
};

}  // namespace darknet
