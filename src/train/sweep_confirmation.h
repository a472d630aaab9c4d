// What follows a tuning sweep: the variants that it chose are trained anew, with seeds that it did
// not use, on the whole training list, and evaluated once on the validation list. That is a sweep
// of its own, in a subfolder of the first.
#pragma once
#include <cstdint>
#include <filesystem>

#include "train/sweep.h"

namespace darknet {

std::filesystem::path confirmation_folder(const std::filesystem::path& sweep);

// The sweep that confirms what `tuning` chose, with so many seeds. Its baseline is what was chosen
// in the group of the tuning sweep's baseline: tuned is compared with tuned. The other groups'
// follow, and the tuning sweep's baseline where it was not chosen itself. Throws where runs are
// missing, nothing was chosen in the group of the baseline, an optimum lies at an edge of what was
// tried, or another confirmation has been begun: a second one on the same images would be a second
// try.
SweepOptions confirmation_of(const Sweep& tuning, std::int64_t seeds);
// Shows the confirmation that has been begun; throws where there is none.
SweepOptions begun_confirmation(const SweepOptions& tuning);
// Throws where one of its runs diverged: its figures would be those of the attempt that did not.
void refuse_retry(const Sweep& confirmation);

// Throws where a seed of this tuning sweep is one of its confirmation, begun before.
void require_other_seeds(const SweepOptions& tuning);

}  // namespace darknet
