// Work that every rank of a job does (core/ranks.h), and that fails in all of them where it fails
// in one.
#pragma once
#include <cstdint>
#include <functional>

#include "core/error.h"
#include "core/ranks.h"

namespace darknet {

// An error that every rank throws at the same place: rank 0 alone reports it, and the ranks part in
// peace. Any other ends the job, since the others do not know of it.
class CommonFailure : public Error {
 public:
  using Error::Error;
};

// Does `work`, which must not call collectives. Returns the largest number that it returned in any
// rank. Where it throws in some, all throw a CommonFailure with the message of the first of them,
// "rank 2 on HOST: ..."; with one rank what it threw.
std::int64_t largest_of_all(Ranks&, const std::function<std::int64_t()>& work);
// The same of work that returns nothing.
void together(Ranks&, const std::function<void()>& work);

}  // namespace darknet
