#include "core/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <list>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

// What tells one version of a file from another.
struct Version {
  ::dev_t device = 0;
  ::ino_t inode = 0;
  ::off_t size = 0;
  ::timespec changed{};
  explicit Version(const struct ::stat& s)
      : device(s.st_dev), inode(s.st_ino), size(s.st_size), changed(s.st_mtim) {}
  bool operator==(const Version& o) const {
    return device == o.device && inode == o.inode && size == o.size &&
           changed.tv_sec == o.changed.tv_sec && changed.tv_nsec == o.changed.tv_nsec;
  }
};

struct Descriptor {
  explicit Descriptor(int d) : value(d) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(value); }
  int value;
};

class FileSource;

// The descriptors of the files read last: a data set may have more files than a process may open.
class OpenFiles {
 public:
  template <class Open>
  std::shared_ptr<const Descriptor> of(const FileSource* file, Open open) {
    {
      const std::lock_guard lock(mutex_);
      if (auto found = find(file)) return found;
    }
    // Without the lock: to open a file of a network takes its time, and others read meanwhile.
    std::shared_ptr<const Descriptor> opened = open();
    const std::lock_guard lock(mutex_);
    if (auto found = find(file)) return found;  // another thread was faster
    files_.emplace_front(file, opened);
    if (files_.size() > kMax) files_.pop_back();
    return opened;
  }
  void forget(const FileSource* file) {
    const std::lock_guard lock(mutex_);
    files_.remove_if([file](const Entry& e) { return e.first == file; });
  }

 private:
  std::shared_ptr<const Descriptor> find(const FileSource* file) {
    const auto at = std::ranges::find(files_, file, &Entry::first);
    if (at == files_.end()) return nullptr;
    files_.splice(files_.begin(), files_, at);
    return at->second;
  }
  static constexpr std::size_t kMax = 64;
  using Entry = std::pair<const FileSource*, std::shared_ptr<const Descriptor>>;
  std::mutex mutex_;
  std::list<Entry> files_;  // used last first
};

// Each file holds it: shards of the whole process end after what was made later.
std::shared_ptr<OpenFiles> open_files() {
  static const auto all = std::make_shared<OpenFiles>();
  return all;
}

[[noreturn]] void fail_to_read(const std::string& name, int why) {
  const std::string what = cat("cannot read this file: ", std::strerror(why));
  if (why == ENOENT || why == ENOTDIR) throw NoSuchSource(name, what);
  throw SourceFailure(name, what);
}

struct ::stat status_of(const std::string& name) {
  struct ::stat status {};
  if (::stat(name.c_str(), &status) != 0) fail_to_read(name, errno);
  if (!S_ISREG(status.st_mode)) fail(name, ": this is not an ordinary file");
  return status;
}

class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::string name) : name_(std::move(name)), version_(status_of(name_)) {}
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  ~FileSource() override { open_->forget(this); }

  std::uint64_t size() const override { return static_cast<std::uint64_t>(version_.size); }

  void read(std::uint64_t offset, char* to, std::size_t bytes) const override {
    const auto file = descriptor();
    require_current(file->value);
    while (bytes > 0) {
      const ::ssize_t n = ::pread(file->value, to, bytes, static_cast<::off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_to_read(name_, errno);
      if (n == 0)
        throw SourceFailure(name_, cat("ends at byte ", offset, ", before what is to be read"));
      to += n, bytes -= to_size(n), offset += static_cast<std::uint64_t>(n);
    }
  }

  // Whoever reads images of a shard comes back for its neighbours.
  void will_read(std::uint64_t offset) const override {
    constexpr ::off_t kAhead = 4 << 20;
    ::posix_fadvise(descriptor()->value, static_cast<::off_t>(offset), kAhead, POSIX_FADV_WILLNEED);
  }

  bool is_current() const override {
    struct ::stat status {};
    return ::stat(name_.c_str(), &status) == 0 && Version(status) == version_;
  }

 private:
  void require_current(int descriptor) const {
    struct ::stat status {};
    if (::fstat(descriptor, &status) != 0) fail_to_read(name_, errno);
    if (!(Version(status) == version_))
      throw SourceFailure(name_, "was changed since the program began to read it: start again");
  }
  std::shared_ptr<const Descriptor> descriptor() const {
    return open_->of(this, [this] {
      // Does not wait where a pipe has taken its place since.
      const int value = ::open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
      if (value < 0) fail_to_read(name_, errno);
      return std::make_shared<const Descriptor>(value);
    });
  }
  std::string name_;
  Version version_;
  std::shared_ptr<OpenFiles> open_ = open_files();
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, char* to, std::size_t bytes) const override {
    if (offset > bytes_.size() || bytes > bytes_.size() - offset)
      fail(name_, ": ends at byte ", bytes_.size(), ", before what is to be read");
    bytes_.copy(to, bytes, offset);
  }

 private:
  std::string name_;
  std::string bytes_;
};

}  // namespace

bool is_url(std::string_view name) {
  return name.starts_with("http://") || name.starts_with("https://");
}

void require_known_scheme(const std::string& name) {
  const auto end = name.find("://");
  const bool scheme = end != name.npos && end > 0 && name.find('/') > end;
  if (scheme && !is_url(name)) fail(name, ": only http:// and https:// are read");
}

std::shared_ptr<const ByteSource> open_source(const std::string& name) {
  if (is_url(name)) return open_http_source(name);
  require_known_scheme(name);
  return std::make_shared<FileSource>(name);
}

std::shared_ptr<const ByteSource> source_of(std::string name, std::string bytes) {
  return std::make_shared<MemorySource>(std::move(name), std::move(bytes));
}

std::string read_all(const std::string& name, std::uint64_t max_bytes) {
  const auto source = open_source(name);
  if (source->size() > max_bytes) fail(name, ": larger than ", max_bytes, " bytes");
  std::string bytes(source->size(), '\0');
  if (!bytes.empty()) source->read(0, bytes.data(), bytes.size());
  return bytes;
}

}  // namespace darknet
