#include "train/sweep_jobs.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/threads.h"
#include "train/interrupt.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr int kCannotStart = 127;

// What execve() takes, made before fork(): behind it other threads' locks stay locked.
struct RunStart {
  std::vector<std::string> words, environment;
  std::vector<char*> argv, envp;

  RunStart(const std::vector<std::string>& arguments, int cores) : words{"darknet"} {
    words.insert(words.end(), arguments.begin(), arguments.end());
    for (char** e = environ; *e; ++e) environment.emplace_back(*e);
    const bool set = std::any_of(environment.begin(), environment.end(), [](const std::string& e) {
      return e.starts_with("OMP_NUM_THREADS=");
    });
    if (!set) environment.push_back(cat("OMP_NUM_THREADS=", cores));
    for (std::string& w : words) argv.push_back(w.data());
    for (std::string& e : environment) envp.push_back(e.data());
    argv.push_back(nullptr), envp.push_back(nullptr);
  }
  RunStart(const RunStart&) = delete;
  RunStart& operator=(const RunStart&) = delete;
};

class Job {
 public:
  Job(RunStart& start, fs::path output, int number) : output_(std::move(output)), number_(number) {
    const int to =
        ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (to < 0) fail(output_.string(), ": cannot write this file: ", std::strerror(errno));
    begin_ = static_cast<std::size_t>(std::max<::off_t>(0, ::lseek(to, 0, SEEK_END)));
    const ::pid_t parent = ::getpid();
    id_ = ::fork();
    if (id_ == 0) become(start, to, parent);
    const int why = errno;
    ::close(to);
    if (id_ < 0) fail("cannot start another process: ", std::strerror(why));
  }
  Job(Job&& other) noexcept
      : output_(std::move(other.output_)),
        number_(other.number_),
        begin_(other.begin_),
        id_(std::exchange(other.id_, -1)),
        status_(other.status_) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    if (id_ > 0) ::kill(id_, SIGKILL), ::waitpid(id_, &status_, 0);
  }

  bool ended() {
    if (id_ > 0 && ::waitpid(id_, &status_, WNOHANG) == id_) id_ = -1;
    return id_ < 0;
  }
  void pass_on(int signal) const {
    if (id_ > 0) ::kill(id_, signal);
  }
  // "" where it ended well, or as it was asked to.
  std::string failure() const {
    if (WIFSIGNALED(status_))
      return cat("job ", number_, " was ended by signal ", WTERMSIG(status_),
                 "; the same call resumes");
    const int code = WEXITSTATUS(status_);
    if (code == 0 || code > 128) return "";
    if (code == kCannotStart) return "cannot start this program once more";
    return cat("job ", number_, " failed: ", last_words(), " (", output_.string(), ")");
  }

 private:
  // A group of its own: Ctrl-C reaches the parent, which passes it on once; twice would end it
  // unsaved.
  [[noreturn]] static void become(RunStart& start, int to, ::pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kCannotStart);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(to, STDOUT_FILENO);
    ::dup2(to, STDERR_FILENO);
    ::execve("/proc/self/exe", start.argv.data(), start.envp.data());
    ::_exit(kCannotStart);
  }

  // The last line of its output that is one of an error, without the program's name.
  std::string last_words() const {
    constexpr std::uint64_t kMaxBytes = 1u << 28;
    const std::string text = read_file(output_, kMaxBytes);
    const std::string mark = "darknet: ";
    const auto at = text.rfind(mark);
    if (at == text.npos || at < begin_) return "see its output";
    std::string words = text.substr(at + mark.size());
    return words.substr(0, words.find('\n'));
  }

  fs::path output_;
  int number_;
  std::size_t begin_ = 0;  // of what this process writes there
  ::pid_t id_ = -1;
  int status_ = 0;
};

}  // namespace

int cores_of_job(int jobs) { return std::max(1, core_count() / std::max(1, jobs)); }

int run_jobs(const JobsOptions& o, const std::function<void()>& meanwhile) {
  constexpr auto kPoll = std::chrono::milliseconds(200);
  const InterruptGuard interrupt("the steps", Saving::yes);
  RunStart start(o.arguments, cores_of_job(o.jobs));
  std::vector<Job> jobs;
  jobs.reserve(static_cast<std::size_t>(o.jobs));
  for (int k = 1; k <= o.jobs; ++k) jobs.emplace_back(start, o.folder / cat("job-", k, ".log"), k);
  bool passed_on = false;
  for (bool running = true; running;) {
    std::this_thread::sleep_for(kPoll);
    running = false;
    for (Job& job : jobs) running |= !job.ended();
    if (interrupt.requested() && !std::exchange(passed_on, true)) {
      log::info("interrupted; waiting for the jobs to save");
      for (const Job& job : jobs) job.pass_on(interrupt.exit_code() - 128);
    }
    if (!passed_on) meanwhile();
  }
  if (passed_on) return interrupt.exit_code();
  std::string failures;
  for (const Job& job : jobs)
    if (const std::string why = job.failure(); !why.empty())
      failures += (failures.empty() ? "" : "\n") + why;
  if (!failures.empty()) fail(failures);
  return 0;
}

}  // namespace darknet
