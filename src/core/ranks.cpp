#include "core/ranks.h"

#include <cstdlib>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/mpi/module.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr char kMpirun[] = "mpirun";
// Open MPI's --mca odls_base_sigkill_timeout, and its default. Seconds; mpirun waits as long before
// the SIGTERM, too.
constexpr char kKillTimeout[] = "OMPI_MCA_odls_base_sigkill_timeout";
constexpr std::int64_t kUsualKillTimeout = 1;

std::int64_t number_in(const char* variable, std::int64_t otherwise) {
  const char* const text = std::getenv(variable);
  std::int64_t value = 0;
  return text && read_number(std::string_view(text), value) ? value : otherwise;
}

double rank_timeout() {
  const char* const text = std::getenv("DARKNET_RANK_TIMEOUT");
  if (!text) return kRankTimeout;
  std::int64_t seconds = 0;
  if (!read_number(std::string_view(text), seconds) || seconds < kMinRankTimeout)
    fail("DARKNET_RANK_TIMEOUT=", text, ": expected an integer from ", kMinRankTimeout,
         " on, in seconds: ranks send a heartbeat every ", kHeartbeatSeconds, " s");
  return static_cast<double>(seconds);
}

std::string together(const Launch& launch) {
  return cat(launch.launcher, " started ", launch.count, " processes that are to work as one job");
}

const MpiModule& mpi(const Launch& launch) {
  constexpr const char* kAlone = "; or start the program without the launcher";
#if defined(DARKNET_MPI)
  try {
    return functions_of<MpiModule>();
  } catch (const ModuleError& e) {
    fail(together(launch), ", but its module for MPI cannot be opened: ", e.what(),
         "; Debian package: install darknet-focal-mpi_*.deb, which `make package` writes next to "
         "darknet-focal_*.deb; where libmpi is missing, apt-get install openmpi-bin",
         kAlone);
  }
#else
  fail(together(launch),
       ", but this program was built without MPI: install libopenmpi-dev and openmpi-bin (make "
       "deps does) and build it again",
       kAlone);
#endif
}

Ranks* opened = nullptr;  // never destroyed before close_ranks(): MPI could not be left then

Ranks* open() {
  const Launch launch = launch_of_environment();
  if (launch.count <= 1) return &single_rank();
  const double seconds = rank_timeout();
  std::unique_ptr<Ranks> ranks = mpi(launch).open(seconds);
  if (ranks->count() != launch.count)
    fail(together(launch), ", but MPI joins ", plural(ranks->count(), "process"),
         ": the launcher does not speak with the MPI that this program was built with; with srun "
         "name another one (srun --mpi=pmix; srun --mpi=list shows which there are)");
  opened = ranks.release();
  log::set_rank(opened->rank());
  return opened;
}

}  // namespace

// The first that is there counts. Where mpirun runs in a job of SLURM, it starts its own helpers by
// srun, one on each host, and those start this program: the variables of srun are there too, and
// count the helpers. PMI_* is of the mpiexec of other MPIs; srun sets it as well, to its own
// numbers.
Launch launch_of_environment() {
  struct Variables {
    const char *count, *rank, *launcher;
  };
  // SLURM_NTASKS is set in a batch script too, whose program runs once: SLURM_STEP_NUM_TASKS is of
  // srun.
  for (const Variables& v : {Variables{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", kMpirun},
                             Variables{"PMI_SIZE", "PMI_RANK", "the launcher"},
                             Variables{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "srun"}}) {
    const std::int64_t count = number_in(v.count, 0), rank = number_in(v.rank, -1);
    if (count < 1 || rank < 0 || rank >= count) continue;
    Launch launch{.rank = rank, .count = count, .launcher = v.launcher};
    if (launch.launcher == kMpirun)
      launch.kill_timeout = static_cast<double>(number_in(kKillTimeout, kUsualKillTimeout));
    return launch;
  }
  return {};
}

Ranks& single_rank() {
  static Ranks alone;
  return alone;
}

Ranks& launched_ranks() {
  static Ranks* const ranks = open();
  return *ranks;
}

void close_ranks(int exit_code, bool failed) {
  if (!opened) return;
  if (failed) opened->abort(exit_code);
  try {
    mpi({}).close(*opened);
  } catch (const std::exception& e) {
    log::error(e.what());
    opened->abort(exit_code == 0 ? 1 : exit_code);
  }
  const std::unique_ptr<Ranks> closed(std::exchange(opened, nullptr));
}

}  // namespace darknet
