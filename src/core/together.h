// Work that every rank of a job does (core/ranks.h), and that fails in all of them where it fails
// in one.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "core/error.h"
#include "core/ranks.h"

namespace darknet {

// An error that every rank throws at the same place: rank 0 alone reports it, and the ranks part in
// peace. Any other ends the job, since the others do not know of it.
class CommonFailure : public Error {
 public:
  using Error::Error;
  CommonFailure(const std::string& what, int exit_code, bool of_device)
      : Error(what, exit_code), of_device_(of_device) {}
  // Whether it was a DeviceFailure (core/device_failure.h) in any rank.
  bool of_device() const { return of_device_; }

 private:
  bool of_device_ = false;
};

// "rank 2 on HOST", as messages name a rank.
std::string name_of_rank(const Ranks&, std::int64_t rank);

// Does `work`, which must not call collectives. Returns the largest number that it returned in any
// rank. Where it throws in some ranks, all throw a CommonFailure with what sentence_of()
// (core/sentence_of.h) says of the exception of the lowest of these; where that is not rank 0,
// "rank 2 on HOST: " comes before it. With one rank the exception itself passes.
std::int64_t largest_of_all(Ranks&, const std::function<std::int64_t()>& work);
// The same of work that returns nothing.
void together(Ranks&, const std::function<void()>& work);

}  // namespace darknet
