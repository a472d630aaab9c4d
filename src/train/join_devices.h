// How the ranks of a training agree on sums over their devices without host memory: all take part,
// or none.
#pragma once
#include <exception>
#include <memory>
#include <vector>

#include "core/joined_devices.h"
#include "core/ranks.h"

namespace darknet {

struct JoinOptions {
  bool wanted = true;  // this rank's environment lets the library be used
  bool bf16 = false;   // it is to sum such arrays, too
  // Seconds that ranks wait for each other while they join: where nothing is wrong (a large job
  // takes its time), and from the first failure on, which the others may not notice.
  double usual = 180, after_failure = 10;
};

// A collective. `joiner` null: this build has no library. Null in all ranks where it is missing or
// not wanted in one, where versions or numbers of devices differ, where two ranks use the same
// device, or where joining failed in such a way that it ended in all; unless nobody wants it,
// rank 0 warns why. Throws a CommonFailure where a rank still waits for others when the time is up,
// since nothing ends that: so where one rank alone failed and the library of the others did not
// notice. The process then ends without destructors (core/process_end.h).
std::unique_ptr<JoinedDevices> join_devices(const std::vector<Device>&, Ranks&,
                                            const DeviceJoiner* joiner, const JoinOptions&);

// To be called where an error that ends a training is caught, before anything is destroyed, since
// destructors may wait for sums that the GPUs of other ranks never form. Where there are several
// ranks, on GPUs: logs an error of this rank alone, or of a GPU, and ends the job. Else nothing.
void end_job_of_devices(Ranks&, const Device&, const std::exception&);

}  // namespace darknet
