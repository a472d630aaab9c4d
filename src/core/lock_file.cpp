#include "core/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMaxLockBytes = 4096;
// A process that was killed holds its lock until all of its memory is returned.
constexpr std::chrono::seconds kPatience{2};

// Who holds a lock. A process id comes again, with another start time or after another boot.
struct Holder {
  ::pid_t process = 0;  // 0: unknown
  std::string host, since, boot;
  std::string start;  // of the process, in clock ticks since the boot
};

std::string first_line(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// Field 22 of /proc/PID/stat; the second one, a name in brackets, may hold blanks and brackets.
std::string start_of(::pid_t process) {
  const std::string stat = first_line(cat("/proc/", process, "/stat").c_str());
  const auto name_end = stat.rfind(')');
  if (name_end == stat.npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  constexpr int kFieldsAfterName = 20;
  for (int i = 0; i < kFieldsAfterName && fields >> field;) ++i;
  return fields ? field : "";
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text.data();
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

Holder this_process() {
  const ::pid_t id = ::getpid();
  return {id, host_name(), now_text(), first_line("/proc/sys/kernel/random/boot_id"), start_of(id)};
}

std::string text_of(const Holder& h) {
  return cat("process ", h.process, "\nhost ", h.host, "\nsince ", h.since, "\nboot ", h.boot,
             "\nstart ", h.start, "\n");
}

Holder parse(const std::string& text) {
  Holder h;
  std::istringstream in(text);
  LineReader reader(in, "lock file");
  for (std::string_view line; reader.next(line);) {
    const auto blank = std::min(line.find(' '), line.size());
    const std::string key(line.substr(0, blank)), value(trim(line.substr(blank)));
    if (key == "process") std::from_chars(value.data(), value.data() + value.size(), h.process);
    if (key == "host") h.host = value;
    if (key == "since") h.since = value;
    if (key == "boot") h.boot = value;
    if (key == "start") h.start = value;
  }
  return h;
}

std::string describe(const Holder& h) {
  if (h.process <= 0) return "another process";
  return cat("process ", h.process, " on host ", shown(h.host), ", since ", shown(h.since));
}

bool runs_here(const Holder& h, const Holder& self) {
  return h.process > 0 && h.host == self.host && h.boot == self.boot &&
         !start_of(h.process).empty() && start_of(h.process) == h.start;
}

}  // namespace

LockFile::LockFile(fs::path path, const std::string& held_for) : LockFile(std::move(path)) {
  const auto last = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const std::string held = acquire(held_for);
    if (held.empty()) return;
    if (std::chrono::steady_clock::now() >= last) fail(held);
    ::close(std::exchange(descriptor_, -1));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::unique_ptr<LockFile> LockFile::try_lock(fs::path path, const std::string& held_for) {
  std::unique_ptr<LockFile> lock(new LockFile(std::move(path)));
  return lock->acquire(held_for).empty() ? std::move(lock) : nullptr;
}

LockFile::~LockFile() {
  if (taken_) ::unlink(path_.c_str());  // while it is locked: nobody has taken it yet
  if (descriptor_ >= 0) ::close(descriptor_);
}

LockFile::Lock LockFile::open_and_lock() {
  for (;;) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct ::stat opened {};
    struct ::stat named {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &opened) != 0)
      fail(path_.string(), ": cannot make this lock file: ", std::strerror(errno));
    if (!S_ISREG(opened.st_mode)) fail(path_.string(), ": this is not an ordinary file");
    int failed = 0;
    do failed = ::flock(descriptor_, LOCK_EX | LOCK_NB);
    while (failed != 0 && errno == EINTR);
    if (failed != 0) return errno == EWOULDBLOCK ? Lock::held : Lock::unknown;
    // Its former holder may have removed it between open() and flock().
    if (::stat(path_.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
        named.st_dev == opened.st_dev)
      return Lock::taken;
    ::close(descriptor_);
  }
}

std::string LockFile::acquire(const std::string& held_for) {
  const Lock lock = open_and_lock();
  std::array<char, kMaxLockBytes> bytes{};
  const ::ssize_t length = ::pread(descriptor_, bytes.data(), bytes.size(), 0);
  const std::string before(bytes.data(), to_size(std::max<::ssize_t>(length, 0)));
  if (!before.empty() && !before.starts_with("process "))
    fail(path_.string(),
         ": this is not a lock file of this program; remove it or call it otherwise");
  const Holder holder = parse(before);
  const Holder self = this_process();
  const bool elsewhere = holder.process > 0 && holder.host != self.host;
  if (lock == Lock::held || runs_here(holder, self))
    return cat(path_.string(), ": ", held_for, " already runs in this folder: ", describe(holder),
               "; wait for it, end it, or use another folder");
  if (elsewhere && lock == Lock::unknown)
    return cat(path_.string(), ": ", held_for, " may still run in this folder: ", describe(holder),
               "; if it does not, remove this file");
  if (elsewhere)
    log::warn(cat(path_.string(), ": left by ", describe(holder),
                  "; its lock is gone, so it is taken over"));
  else if (holder.process > 0)
    log::info(
        cat(path_.string(), ": left by ", describe(holder), ", which no longer runs; taken over"));
  const std::string text = text_of(self);
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<::ssize_t>(text.size())) {
    const int why = errno;
    ::unlink(path_.c_str());
    fail(path_.string(), ": cannot write this lock file: ", std::strerror(why));
  }
  taken_ = true;
  return "";
}

}  // namespace darknet
