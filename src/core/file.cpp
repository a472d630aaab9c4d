#include "core/file.h"

#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <system_error>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/index.h"
#include "core/input.h"
#include "core/protected_files.h"
#include "core/tar_shard.h"

namespace darknet {
namespace fs = std::filesystem;

namespace {
constexpr const char* kTemporary = ".tmp";  // then the writer's process id
constexpr const char* kWriteTest = ".write-test";

// Where a link points, so that it stays one. Only ordinary files are replaced: a rename would put
// one in the place of a device or a pipe too.
fs::path replaceable(const fs::path& path) {
  require_unprotected(path);
  if (is_url(path.native()))
    fail(path.string(), ": nothing is written to a server; name a file on this machine");
  if (const auto in_shard = through_shard(path))
    fail(path.string(), ": nothing is written into a tar shard; unpack it (tar xf ",
         in_shard->shard->name(), ") or name another place");
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status)) return path;
  if (fs::is_directory(status))
    fail(path.string(), ": this is a folder, no file can take its place");
  if (!fs::is_regular_file(status))
    fail(path.string(), ": this is not an ordinary file, and would be replaced by one");
  if (::access(path.c_str(), W_OK) != 0)
    fail(path.string(), ": cannot write this file: ", std::strerror(errno));
  if (!fs::is_symlink(path, ignored)) return path;
  std::error_code error;
  fs::path target = fs::canonical(path, error);
  if (error) fail(path.string(), ": cannot follow this link: ", error.message());
  return target;
}

std::vector<fs::path> entries_or_error(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> paths;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error))
    paths.push_back(at->path());
  return paths;
}

// `above`: the folders from the first one to this, without links.
void add_files_below(const fs::path& folder, std::vector<fs::path>& above,
                     std::vector<fs::path>& to) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (std::find(above.begin(), above.end(), real) != above.end()) return;
  above.push_back(real);
  for (const fs::path& path : entries_of(folder)) {
    if (is_folder(path))
      add_files_below(path, above, to);
    else
      to.push_back(path);
  }
  above.pop_back();
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path)
    : path_(replaceable(path)), temporary_(path_.string() + cat(kTemporary, ::getpid())) {
  open(O_CREAT | O_TRUNC);
  made_ = true;
}

AtomicFile::AtomicFile(const fs::path& path, const FileFormat& format) : AtomicFile(path) {
  format_ = format;
  require_format(path_, format);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (made_) ::unlink(temporary_.c_str());
}

void AtomicFile::open(int flags) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  if (descriptor_ < 0) fail_io((flags & O_CREAT) != 0 ? "create" : "write");
}

void AtomicFile::pause() {
  if (descriptor_ < 0) return;
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail_io("write");
}

void AtomicFile::fail_io(const char* what) const {
  fail(path_.string(), ": cannot ", what, " this file: ", std::strerror(errno));
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  if (descriptor_ < 0) open(O_APPEND);
  const char* at = static_cast<const char*>(data);
  if (!format_) prefix_.append(at, std::min(bytes, kFormatBytes - prefix_.size()));
  while (bytes > 0) {
    const ::ssize_t done = ::write(descriptor_, at, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_io("write");
    at += done;
    bytes -= to_size(done);
  }
}

void AtomicFile::commit() {
  if (format_)
    require_format(path_, *format_);
  else if (const std::string kind = format_of(prefix_).kind; !kind.empty())
    require_format(path_, {kind, {}});
  if (descriptor_ < 0) open(O_APPEND);
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_io("flush");
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("replace");
  made_ = false;
}

AppendedFile::AppendedFile(fs::path path)
    : path_((require_unprotected(path), std::move(path))),
      descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail_io();
}

AppendedFile::~AppendedFile() { ::close(descriptor_); }

void AppendedFile::fail_io(const char* more) const {
  fail(path_.string(), ": cannot write this file: ", std::strerror(errno), more);
}

void AppendedFile::append(const std::string& text) {
  const ::off_t before = ::lseek(descriptor_, 0, SEEK_END);
  for (std::size_t done = 0; done < text.size();) {
    const ::ssize_t n = ::write(descriptor_, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) {
      const int why = errno;
      const bool whole = done == 0 || (before >= 0 && ::ftruncate(descriptor_, before) == 0);
      errno = why;
      fail_io(whole ? "" : "; its last line is incomplete");
    }
    done += to_size(std::max<::ssize_t>(n, 0));
  }
}

void write_file_atomically(const fs::path& path, const std::string& contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  return InputFile(path, max_bytes).rest();
}

void require_writable_file(const fs::path& path, const FileFormat& format) {
  const AtomicFile unused(path, format);
  claim_output(path);
}

void require_file_prefix(const fs::path& prefix) {
  if (prefix.filename().empty())
    fail(prefix.string(), ": this is a folder; give the beginning of a file name, such as ",
         (prefix / "x").string());
}

void require_replaceable(const fs::path& path, const FileFormat& format) {
  require_unprotected(path);
  require_format(path, format);
  require_unclaimed(path);
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(folder.string(), ": cannot make this folder: ", error.message());
}

void remove_file(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) fail(path.string(), ": cannot remove this: ", error.message());
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths = entries_or_error(folder, error);
  if (error) fail(folder.string(), ": cannot read this folder: ", error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> above, files;
  add_files_below(folder, above, files);
  std::sort(files.begin(), files.end());
  return files;
}

bool is_pattern(const fs::path& path) {
  return path.string().find_first_of("*?[") != std::string::npos && !is_present(path);
}

std::vector<fs::path> files_matching(const fs::path& pattern) {
  glob_t found{};
  const int failed = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<fs::path> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (failed != 0 && failed != GLOB_NOMATCH)
    fail(pattern.string(), ": cannot look for the files that match this pattern");
  return paths;
}

void require_writable_folder(const fs::path& folder) {
  if (is_url(folder.native()))
    fail(folder.string(), ": nothing is written to a server; name a folder on this machine");
  make_folder(folder);
  remove_leftovers(folder, kWriteTest);
  try {
    AtomicFile(folder / kWriteTest).write("x", 1);
  } catch (const Error& e) {
    fail(folder.string(), ": cannot write into this folder: ", e.what());
  }
}

namespace {

// The program that writes `name`, from its suffix .tmp123; 0 where it has none.
::pid_t writer_of(const std::string& name) {
  const auto at = name.rfind(kTemporary);
  if (at == name.npos) return 0;
  ::pid_t id = 0;
  const char* const begin = name.data() + at + std::strlen(kTemporary);
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(begin, end, id);
  return error == std::errc{} && stop == end ? id : 0;
}

}  // namespace

void remove_leftovers(const fs::path& folder, const std::string& prefix) {
  std::error_code ignored;
  std::vector<fs::path> old;
  for (const fs::path& path : entries_or_error(folder, ignored)) {
    const std::string name = path.filename().string();
    const ::pid_t writer = name.starts_with(prefix) ? writer_of(name) : 0;
    if (writer > 0 && ::kill(writer, 0) != 0 && errno == ESRCH) old.push_back(path);
  }
  for (const fs::path& path : old) fs::remove(path, ignored);
}

}  // namespace darknet
