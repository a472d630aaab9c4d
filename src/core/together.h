// Work that every rank of a job does (core/ranks.h), and that fails in all of them where it fails
// in one.
#pragma once
#include <cstdint>
#include <functional>

#include "core/ranks.h"

namespace darknet {

// Does `work`, which must not call collectives. Returns the largest number that it returned in any
// rank. Where it throws in some, all throw an Error with the message of the first of them, "rank 2
// on HOST: ..."; with one rank what it threw.
std::int64_t largest_of_all(Ranks&, const std::function<std::int64_t()>& work);
// The same of work that returns nothing.
void together(Ranks&, const std::function<void()>& work);

// Whether the error that ends this process ends all of them: then rank 0 alone reports it, and the
// ranks part in peace.
bool fails_together();
void note_common_failure();  // by who throws one and the same error in every rank

}  // namespace darknet
