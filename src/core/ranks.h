// The processes of one job, which mpirun or srun started: ranks, in the terms of MPI, and what they
// exchange. Collectives work on host memory: every rank makes the same calls in the same order.
// MPI itself is a module (core/mpi/, core/modules.h), opened only where a launcher started several
// processes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace darknet {

struct SumOptions {
  bool bf16 = false;  // values travel in 16 bits, half the bytes; sums are formed in f32
};

// A sum that goes on next to other work; this one is done.
class PendingSum {
 public:
  virtual ~PendingSum() = default;  // waits
  virtual void wait() {}
};

// This one is the only rank. Calls may come from any thread, one at a time. They throw Error where
// MPI reports a fault. A rank that no longer answers ends the job with a message, after
// kRankTimeout seconds at the latest.
class Ranks {
 public:
  virtual ~Ranks() = default;

  virtual std::int64_t rank() const { return 0; }         // of this process
  virtual std::int64_t count() const { return 1; }        // of all processes
  virtual std::int64_t local_rank() const { return 0; }   // among those of this host,
  virtual std::int64_t local_count() const { return 1; }  // which are so many
  virtual std::string host_of(std::int64_t /*rank*/) const { return "this host"; }
  bool several() const { return count() > 1; }
  bool is_first() const { return rank() == 0; }

  // Each element becomes the sum over all ranks, formed in the order of the ranks: the same bytes
  // in every rank and from run to run.
  virtual void sum(std::span<float>, const SumOptions&) {}
  void sum(std::span<float> values) { sum(values, {}); }
  virtual void sum(std::span<double>) {}
  virtual void sum(std::span<std::int64_t>) {}  // exact
  // The same without waiting: the values must stay as they are until the sum was waited for. Sums
  // of several calls are formed one after the other.
  virtual std::unique_ptr<PendingSum> begin_sum(std::span<float> values,
                                                const SumOptions& options) {
    sum(values, options);
    return std::make_unique<PendingSum>();
  }
  std::unique_ptr<PendingSum> begin_sum(std::span<float> values) { return begin_sum(values, {}); }

  // The bytes of every rank, in the order of the ranks; gather: in rank 0, none in the others. They
  // may differ in length.
  virtual std::vector<std::string> gather(std::string_view mine) { return {std::string(mine)}; }
  virtual std::vector<std::string> all_gather(std::string_view mine) { return {std::string(mine)}; }
  // The same of arrays of one length: `all` takes count() of them.
  virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
    std::copy(mine.begin(), mine.end(), all.begin());
  }
  virtual std::string broadcast(std::string bytes) { return bytes; }  // those of rank 0
  virtual void broadcast(std::span<float>) {}                         // the same
  virtual void barrier() {}

  // Ends every process of the job, after this one has said why; does not return where there are
  // several. For faults that the others do not know of.
  virtual void abort(int /*exit_code*/) {}

  // Of a plain value: that of every rank, or that of rank 0 in every rank.
  template <class T>
  std::vector<T> all_gather_values(const T& mine);
  template <class T>
  T broadcast_value(const T& mine);
};

// A rank from which nothing came for so many seconds counts as lost; the environment variable
// DARKNET_RANK_TIMEOUT sets another number (core/mpi/module.h: the smallest).
inline constexpr double kRankTimeout = 25;

// The only rank: nothing is exchanged.
Ranks& single_rank();

// Those that a launcher started together with this process, or single_rank(). The first call starts
// MPI, and from then on this process logs as what it is: rank 0 as a single process, the others
// only warnings and errors, with their number. Throws where the launcher started several and this
// program has no MPI, or MPI does not join them.
Ranks& launched_ranks();

// At the end of the program: where launched_ranks() has opened several, waits for all of them and
// leaves MPI; after a failure, which has been printed, ends those of all ranks.
void close_ranks(int exit_code, bool failed);

// How many processes a launcher started together with this one, as the environment says; 1 without
// a launcher. Starts nothing.
struct Launch {
  std::int64_t rank = 0, count = 1;
  std::string launcher;  // "mpirun", "srun"; "": none
  // Seconds from the SIGTERM that the launcher sends to its processes until it kills them:
  // of mpirun its option odls_base_sigkill_timeout, or the default of Open MPI 4, which a
  // configuration file may change unseen; infinite of other launchers.
  double kill_timeout = std::numeric_limits<double>::infinity();
};
Launch launch_of_environment();

template <class T>
std::vector<T> Ranks::all_gather_values(const T& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(static_cast<std::size_t>(count()), mine);
  if (several())
    all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
  return all;
}

template <class T>
T Ranks::broadcast_value(const T& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value = mine;
  broadcast(std::string(reinterpret_cast<const char*>(&mine), sizeof mine))
      .copy(reinterpret_cast<char*>(&value), sizeof value);
  return value;
}

}  // namespace darknet
