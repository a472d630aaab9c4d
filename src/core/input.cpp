#include "core/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/index.h"
#include "core/out_of_memory.h"
#include "core/tar_shard.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = 64u << 10;
constexpr long kPipeFilesystem = 0x50495045;  // PIPEFS_MAGIC of linux/magic.h

[[noreturn]] void fail_to_read(const fs::path& path, int why) {
  if (why == ELOOP) fail(path.string(), ": cannot read this file: its links lead in a circle");
  fail(path.string(), ": cannot read this file: ", std::strerror(why));
}

// FIFOs that a program made have a name in a filesystem; a shell's pipes are in one of their own.
bool is_nameless(int descriptor) {
  struct ::statfs there {};
  return ::fstatfs(descriptor, &there) == 0 && there.f_type == kPipeFilesystem;
}

void require_kind(const fs::path& path, ::mode_t mode, Pipes pipes) {
  if (S_ISREG(mode) || (S_ISFIFO(mode) && pipes != Pipes::refused)) return;
  if (S_ISDIR(mode)) fail(path.string(), ": this is a folder, not a file");
  const char* const kind = S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
  fail(path.string(), ": this is ", kind, ", not a file; put what it delivers into a file");
}

struct Opened {
  int descriptor;
  std::uint64_t size;
  bool pipe;
};

// What each pipe delivered. Of the process, since a pipe is: one part of the program reads a list
// that another has read before, and neither knows of the other.
class KeptPipes {
 public:
  // Stays valid.
  template <class Read>
  const std::string& contents(int descriptor, Read read) {
    struct ::stat status {};
    ::fstat(descriptor, &status);
    const std::lock_guard lock(mutex_);
    std::optional<std::string>& kept = kept_[{status.st_dev, status.st_ino}];
    if (!kept) kept = read();
    return *kept;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<::dev_t, ::ino_t>, std::optional<std::string>> kept_;
};

KeptPipes& kept_pipes() {
  static KeptPipes all;
  return all;
}

Opened open_input(const fs::path& path, Pipes pipes) {
  struct ::stat status {};
  // Asked before it is opened: to open a device may already do something.
  if (::stat(path.c_str(), &status) != 0) fail_to_read(path, errno);
  require_kind(path, status.st_mode, pipes);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) fail_to_read(path, errno);
  try {
    if (::fstat(descriptor, &status) != 0) fail_to_read(path, errno);
    const bool named = S_ISFIFO(status.st_mode) && !is_nameless(descriptor);
    require_kind(path, status.st_mode, named ? Pipes::refused : pipes);
    if (S_ISFIFO(status.st_mode)) ::fcntl(descriptor, F_SETFL, O_RDONLY);  // waits from here on
    const bool sized = S_ISREG(status.st_mode);
    return {descriptor, sized ? static_cast<std::uint64_t>(status.st_size) : 0,
            S_ISFIFO(status.st_mode)};
  } catch (...) {
    ::close(descriptor);
    throw;
  }
}

}  // namespace

bool is_present(const fs::path& path) try {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) == 0 || (errno != ENOENT && errno != ENOTDIR)) return true;
  const auto member = through_shard(path);
  return member && member->place;
} catch (const Error&) {  // of the shard: whoever reads it says so
  return false;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_pipe(const fs::path& path) {
  std::error_code ignored;
  return fs::is_fifo(path, ignored);
}

InputBuffer::InputBuffer(const fs::path& path, std::uint64_t max_bytes, Pipes pipes)
    : path_(path), max_bytes_(max_bytes) {
  if (!open_member()) {
    const Opened opened = open_input(path, pipes);
    descriptor_ = opened.descriptor, size_ = opened.size;
    keeps_ = opened.pipe && pipes == Pipes::allowed;
  }
  if (size_ <= max_bytes) return;
  if (descriptor_ >= 0) ::close(descriptor_);
  fail(path_.string(), ": larger than ", max_bytes, " bytes");
}

InputBuffer::~InputBuffer() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool InputBuffer::open_member() {
  const auto found = through_shard(path_);
  if (!found) return false;
  if (!found->place)
    fail(found->shard->name(), ": ", found->member, ": the tar has no such member");
  member_of_ = found->place->source, begin_ = found->place->offset, size_ = found->place->bytes;
  return true;
}

std::size_t InputBuffer::read_member(char* to, std::size_t bytes) const {
  const auto n = to_size(
      static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, size_ - std::min(size_, read_))));
  try {
    if (n > 0) member_of_->read(begin_ + read_, to, n);
  } catch (const SourceFailure& e) {
    const std::string path = path_.string();
    if (!path.starts_with(e.name() + "/")) throw;
    throw SourceFailure(e.name(), cat(path.substr(e.name().size() + 1), ": ", e.why()),
                        e.exit_code());
  }
  return n;
}

std::size_t InputBuffer::read_descriptor(char* to, std::size_t bytes) const {
  ::ssize_t n = -1;
  do {
    n = ::read(descriptor_, to, bytes);
  } while (n < 0 && errno == EINTR);
  if (n < 0) fail_to_read(path_, errno);
  return to_size(n);
}

std::string InputBuffer::read_pipe() const {
  std::string all;
  for (std::size_t n = 1; n > 0;) {
    const std::size_t before = all.size();
    all.resize(before + kReadBytes);
    n = read_descriptor(all.data() + before, kReadBytes);
    all.resize(before + n);
    require_within_limit(all.size());
  }
  return all;
}

void InputBuffer::require_within_limit(std::uint64_t bytes) const {
  if (bytes > max_bytes_) fail(path_.string(), ": larger than ", max_bytes_, " bytes");
}

std::size_t InputBuffer::read_kept(char* to, std::size_t bytes) {
  if (!kept_) kept_ = &kept_pipes().contents(descriptor_, [this] { return read_pipe(); });
  return kept_->copy(to, bytes, to_size(read_));
}

std::size_t InputBuffer::read(char* to, std::size_t bytes) {
  const std::size_t n = member_of_ ? read_member(to, bytes)
                        : keeps_   ? read_kept(to, bytes)
                                   : read_descriptor(to, bytes);
  read_ += n;
  require_within_limit(read_);
  return n;
}

// At the end the buffer stays as it is, for those who go back.
InputBuffer::int_type InputBuffer::underflow() {
  buffer_.resize(kReadBytes);
  const std::size_t n = read(buffer_.data(), buffer_.size());
  if (n == 0) return traits_type::eof();
  setg(buffer_.data(), buffer_.data(), buffer_.data() + n);
  return traits_type::to_int_type(buffer_.front());
}

InputBuffer::pos_type InputBuffer::seekoff(off_type by, std::ios::seekdir from,
                                           std::ios::openmode /*mode*/) {
  const auto end = static_cast<off_type>(read_);  // of the buffer, in the file
  if (from == std::ios::cur) by += end - (egptr() - gptr());
  if (from != std::ios::end && by <= end && by >= end - (egptr() - eback())) {
    setg(eback(), egptr() - (end - by), egptr());
    return by;
  }
  const ::off_t at = member_of_
                         ? by + (from == std::ios::end ? static_cast<off_type>(size_) : 0)
                         : ::lseek(descriptor_, by, from == std::ios::end ? SEEK_END : SEEK_SET);
  if (at < 0) return pos_type(off_type(-1));
  setg(nullptr, nullptr, nullptr);
  read_ = static_cast<std::uint64_t>(at);
  return at;
}

std::string InputBuffer::rest() {
  return with_memory_for(
      [&] {
        return cat(path_.string(), ": all of its ", std::max(size_, read_), " bytes at once");
      },
      [&] { return take_rest(); });
}

std::string InputBuffer::take_rest() {
  if (member_of_ && size_ > kReadBytes) member_of_->will_read(begin_);
  std::string bytes(gptr(), egptr());
  setg(nullptr, nullptr, nullptr);
  // One byte more than the system reports, so that the end is found without growing.
  std::size_t done = bytes.size();
  bytes.resize(done + to_size(std::max(size_, read_) - read_) + 1);
  while (const std::size_t n = read(bytes.data() + done, bytes.size() - done)) {
    done += n;
    if (done == bytes.size()) bytes.resize(done + std::max(done, kReadBytes));
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace darknet
