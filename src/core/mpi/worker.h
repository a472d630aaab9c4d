// The one thread that calls MPI: jobs in the order they were given, and next to them the
// heartbeats by which a lost rank is noticed.
#pragma once
#include <mpi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"

namespace darknet::mpi {

inline void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  fail(call, ": ", text);
}

class Worker {
 public:
  // Starts the thread, and MPI in it. Throws Error.
  explicit Worker(double timeout);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  std::future<void> start(std::function<void()> job);
  void run(const std::function<void()>& job) { start(job).get(); }
  // In a job: waits for these, and sends heartbeats meanwhile.
  void complete(std::span<MPI_Request>);
  void complete(MPI_Request r) { complete(std::span(&r, 1)); }
  [[noreturn]] void abort(int exit_code);
  void leave();  // the last job: waits for all ranks, then leaves MPI

  MPI_Comm ranks() const { return ranks_; }
  int rank() const { return rank_; }
  int count() const { return count_; }
  int local_rank() const { return local_rank_; }
  int local_count() const { return local_count_; }
  const std::string& host_of(int rank) const { return hosts_[static_cast<std::size_t>(rank)]; }

 private:
  using Clock = std::chrono::steady_clock;
  // A rank that this one watches.
  struct Peer {
    int rank = 0;
    Clock::time_point last_received, last_sent;
    MPI_Request sending = MPI_REQUEST_NULL, receiving = MPI_REQUEST_NULL;
    char out = 0, in = 0;
  };
  void join_job();
  void name_hosts();
  void begin_watch();
  void watch();
  void watch(Peer&, Clock::time_point now);
  void end_watch();
  void wait_while_leaving(const Peer&, const std::function<bool()>& done);
  [[noreturn]] void report_lost(const Peer&);
  void end_if_asked();
  void work();

  double timeout_;
  MPI_Comm ranks_ = MPI_COMM_NULL, heartbeats_ = MPI_COMM_NULL;
  int rank_ = 0, count_ = 1, local_rank_ = 0, local_count_ = 1;
  std::vector<std::string> hosts_;
  std::vector<Peer> peers_;  // of rank 0 all others, of the others rank 0; until MPI has ended
  bool watching_ = false;
  Clock::time_point watched_;
  std::mutex mutex_;
  std::condition_variable given_;
  std::deque<std::packaged_task<void()>> jobs_;
  bool stop_ = false;
  std::atomic<int> abort_with_ = -1;
  std::thread thread_;
};

}  // namespace darknet::mpi
