#include "core/mpi/worker.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <system_error>
#include <utility>

#include "core/mpi/module.h"

namespace darknet::mpi {
namespace {

using namespace std::chrono_literals;

constexpr auto kBetweenHeartbeats = std::chrono::seconds(kHeartbeatSeconds);
constexpr auto kBetweenLooks = 200ms;  // at those of others
constexpr auto kWasStopped = 5s;       // between two looks: this process itself did not run
constexpr auto kAbortTakes = 5s;       // at most; then the process ends by itself
constexpr int kTriesAwake = 500;       // before the thread sleeps between two looks at a request
constexpr auto kShortSleep = 20us, kLongSleep = 200us;
constexpr int kTriesShort = 2000;
constexpr char kAlive = 1, kLeaving = 2;

void pause(int tries) {
  if (tries < kTriesAwake)
    std::this_thread::yield();
  else if (tries < kTriesShort)
    std::this_thread::sleep_for(kShortSleep);
  else
    std::this_thread::sleep_for(kLongSleep);
}

// Ends the process where a call of MPI that waits for other ranks does not return. Time in which
// this process itself was stopped does not count.
class Watchdog {
 public:
  explicit Watchdog(double seconds)
      : thread_([this, seconds] {
          std::unique_lock lock(mutex_);
          for (double waited = 0; waited < seconds;
               waited += std::chrono::duration<double>(kBetweenLooks).count())
            if (changed_.wait_for(lock, kBetweenLooks, [this] { return done_; })) return;
          std::fflush(stdout);
          std::fprintf(
              stderr,
              "darknet: MPI has not ended for %.0f s, although all ranks were done: one was "
              "killed or stopped, or its host cannot be reached\n",
              seconds);
          ::_exit(1);
        }) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace

Worker::Worker(double timeout) : timeout_(timeout) {
  thread_ = std::thread([this] { work(); });
  try {
    run([this] { join_job(); });
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    given_.notify_all();
    thread_.join();
    throw;
  }
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  given_.notify_all();
  thread_.join();
}

void Worker::join_job() {
  int running = 0, provided = 0;
  MPI_Initialized(&running);
  if (running) fail("this process uses MPI already");
  // This thread makes all calls.
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) fail("this MPI allows no threads (MPI_THREAD_FUNNELED)");
  check(MPI_Comm_dup(MPI_COMM_WORLD, &ranks_), "MPI_Comm_dup");
  check(MPI_Comm_dup(MPI_COMM_WORLD, &heartbeats_), "MPI_Comm_dup");
  for (MPI_Comm c : {ranks_, heartbeats_})
    check(MPI_Comm_set_errhandler(c, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(ranks_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(ranks_, &count_), "MPI_Comm_size");
  MPI_Comm local = MPI_COMM_NULL;
  check(MPI_Comm_split_type(ranks_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local),
        "MPI_Comm_split_type");
  check(MPI_Comm_rank(local, &local_rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(local, &local_count_), "MPI_Comm_size");
  check(MPI_Comm_free(&local), "MPI_Comm_free");
  name_hosts();
  begin_watch();
}

void Worker::name_hosts() {
  constexpr std::size_t kName = MPI_MAX_PROCESSOR_NAME;
  std::string mine(kName, '\0');
  int length = 0;
  check(MPI_Get_processor_name(mine.data(), &length), "MPI_Get_processor_name");
  std::string all(kName * static_cast<std::size_t>(count_), '\0');
  check(MPI_Allgather(mine.data(), kName, MPI_CHAR, all.data(), kName, MPI_CHAR, ranks_),
        "MPI_Allgather");
  for (int r = 0; r < count_; ++r)
    hosts_.emplace_back(all.c_str() + kName * static_cast<std::size_t>(r));
}

void Worker::begin_watch() {
  const int end = rank_ == 0 ? count_ : 1;
  for (int r = rank_ == 0 ? 1 : 0; r < end; ++r) peers_.push_back({.rank = r});
  watched_ = Clock::now() - 2 * kWasStopped;  // the first look begins to count
  for (Peer& p : peers_)
    check(MPI_Irecv(&p.in, 1, MPI_CHAR, p.rank, 0, heartbeats_, &p.receiving), "MPI_Irecv");
  watching_ = true;
}

void Worker::watch() {
  if (!watching_) return;
  const auto now = Clock::now();
  if (now - watched_ < kBetweenLooks) return;
  if (now - watched_ > kWasStopped)
    for (Peer& p : peers_) p.last_received = now;
  watched_ = now;
  for (Peer& p : peers_) watch(p, now);
}

void Worker::watch(Peer& p, Clock::time_point now) {
  int done = 1;
  while (done && p.in != kLeaving) {
    check(MPI_Test(&p.receiving, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (!done) break;
    p.last_received = now;
    if (p.in != kLeaving)
      check(MPI_Irecv(&p.in, 1, MPI_CHAR, p.rank, 0, heartbeats_, &p.receiving), "MPI_Irecv");
  }
  check(MPI_Test(&p.sending, &done, MPI_STATUS_IGNORE), "MPI_Test");
  if (done && now - p.last_sent >= kBetweenHeartbeats && p.out != kLeaving) {
    p.out = kAlive;
    p.last_sent = now;
    check(MPI_Isend(&p.out, 1, MPI_CHAR, p.rank, 0, heartbeats_, &p.sending), "MPI_Isend");
  }
  if (p.in != kLeaving && std::chrono::duration<double>(now - p.last_received).count() > timeout_)
    report_lost(p);
}

void Worker::report_lost(const Peer& p) {
  std::fflush(stdout);
  std::fprintf(stderr,
               "darknet: rank %d on %s has not answered for %.0f s: it was killed or stopped, or "
               "its host cannot be reached. The job ends; it resumes from its last checkpoint with "
               "any number of ranks\n",
               p.rank, host_of(p.rank).c_str(), timeout_);
  abort_with_ = 1;
  end_if_asked();
  ::_exit(1);
}

// The peer has nothing to do but to answer: it is done, too. Time in which this process itself was
// stopped does not count.
void Worker::wait_while_leaving(const Peer& p, const std::function<bool()>& done) {
  Clock::duration waited{};
  auto before = Clock::now();
  for (int tries = 0; !done(); pause(++tries)) {
    const auto now = Clock::now();
    waited += std::min<Clock::duration>(now - before, kBetweenLooks);
    before = now;
    if (std::chrono::duration<double>(waited).count() > timeout_) report_lost(p);
    end_if_asked();
  }
}

void Worker::end_watch() {
  watching_ = false;
  const auto done = [](MPI_Request& r) {
    int is = 0;
    check(MPI_Test(&r, &is, MPI_STATUS_IGNORE), "MPI_Test");
    return is != 0;
  };
  for (Peer& p : peers_) {
    wait_while_leaving(p, [&] { return done(p.sending); });
    p.out = kLeaving;
    check(MPI_Isend(&p.out, 1, MPI_CHAR, p.rank, 0, heartbeats_, &p.sending), "MPI_Isend");
  }
  for (Peer& p : peers_) {
    wait_while_leaving(p, [&] {
      if (p.in != kLeaving && done(p.receiving) && p.in != kLeaving)
        check(MPI_Irecv(&p.in, 1, MPI_CHAR, p.rank, 0, heartbeats_, &p.receiving), "MPI_Irecv");
      return p.in == kLeaving;
    });
    wait_while_leaving(p, [&] { return done(p.sending); });
  }
}

void Worker::leave() {
  run([this] {
    MPI_Request all = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(ranks_, &all), "MPI_Ibarrier");
    complete(all);
    if (watching_) end_watch();
    const Watchdog watchdog(timeout_);
    check(MPI_Comm_free(&heartbeats_), "MPI_Comm_free");
    check(MPI_Comm_free(&ranks_), "MPI_Comm_free");
    check(MPI_Finalize(), "MPI_Finalize");
  });
}

// MPI ends the others; where it hangs, this process ends and its launcher does.
void Worker::end_if_asked() {
  const int exit_code = abort_with_;
  if (exit_code < 0) return;
  std::thread([exit_code] {
    std::this_thread::sleep_for(kAbortTakes);
    ::_exit(exit_code);
  }).detach();
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

void Worker::abort(int exit_code) {
  abort_with_ = exit_code;
  given_.notify_all();
  std::this_thread::sleep_for(2 * kAbortTakes);
  ::_exit(exit_code);
}

void Worker::complete(std::span<MPI_Request> requests) {
  for (int tries = 0;; pause(++tries)) {
    int done = 0;
    check(
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE),
        "MPI_Testall");
    if (done) return;
    watch();
    end_if_asked();
  }
}

std::future<void> Worker::start(std::function<void()> job) {
  std::packaged_task<void()> task(std::move(job));
  std::future<void> result = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(task));
  }
  given_.notify_all();
  return result;
}

void Worker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    given_.wait_for(lock, kBetweenLooks,
                    [this] { return stop_ || !jobs_.empty() || abort_with_ >= 0; });
    if (stop_ && jobs_.empty()) return;
    std::packaged_task<void()> job;
    if (!jobs_.empty()) job = std::move(jobs_.front()), jobs_.pop_front();
    lock.unlock();
    end_if_asked();
    if (job.valid()) job();
    try {
      watch();
    } catch (const Error& e) {  // the next collective fails too, and is reported
      std::fprintf(stderr, "darknet: %s\n", e.what());
      watching_ = false;  // peers_ stays: MPI may still write what it receives there
    }
    lock.lock();
  }
}

}  // namespace darknet::mpi
