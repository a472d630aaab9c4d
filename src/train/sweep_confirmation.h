// What follows a tuning sweep: the variants that it chose are trained anew, with seeds that it did
// not use, on the whole training list, and evaluated once on the validation list. That is a sweep
// of its own, in a subfolder of the first.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "train/sweep.h"

namespace darknet {

std::filesystem::path confirmation_folder(const std::filesystem::path& sweep);

// The sweep that confirms what `tuning` chose, with so many seeds. Its baseline is what was chosen
// in the group of the tuning sweep's baseline: tuned is compared with tuned. The other groups'
// follow, and the tuning sweep's baseline where it was not chosen itself. Throws where runs are
// missing, which `command` makes, nothing was chosen in the group of the baseline, an optimum lies
// at an edge of what was tried, or another confirmation has been begun: a second one on the same
// images would be a second try.
using RunCommand = std::function<std::string(const ComparedVariant&, std::uint64_t seed)>;
SweepOptions confirmation_of(const Sweep& tuning, std::int64_t seeds, const RunCommand& command);
// Shows the confirmation that has been begun; throws where there is none.
SweepOptions begun_confirmation(const SweepOptions& tuning);
// Throws where one of its runs diverged: its figures would be those of the attempt that did not.
// And where one of the tuning did: what is chosen might change.
void refuse_retry(const Sweep& tuning, const Sweep& confirmation);

// Of a confirmation that was begun before: throws where it has another number of seeds than
// `confirm` (0: any), or a seed of this tuning sweep.
void require_begun_confirmation(const SweepOptions& tuning, std::int64_t confirm);
// Throws where a confirmation was begun and something is added to the tuning before it (`added`, ""
// for nothing, as SweepFolder::additions() has it): it would be trained for a choice that cannot be
// confirmed any more.
void require_nothing_added(const SweepOptions& tuning, const std::string& added);

}  // namespace darknet
