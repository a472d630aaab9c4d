#include "core/tar_headers.h"

#include "core/error.h"

#ifdef DARKNET_SHARDS
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <limits>
#include <memory>
#include <vector>

#include "core/file.h"
#include "core/sha256.h"

namespace darknet {
namespace {

constexpr std::uint64_t kTarBlock = 512;
constexpr std::size_t kReadBytes = 8u << 10;  // a header, a label file and the next header
// From a server small members are read with the headers around them: that takes less time than a
// request for each.
constexpr std::size_t kRemoteBytes = 1u << 20;
constexpr std::uint64_t kSmallMember = 32u << 10;
constexpr std::uint64_t kMaxBytes = std::numeric_limits<la_int64_t>::max();

const char* pathname(archive_entry* entry) {
  const char* const name = ::archive_entry_pathname(entry);
  return name ? name : ::archive_entry_pathname_utf8(entry);
}

// In a function that libarchive calls, and that no exception may leave: keeps the one that is being
// handled, and tells libarchive that reading or writing failed.
la_ssize_t keep_failure(archive* a, std::exception_ptr& failure) {
  failure = std::current_exception();
  ::archive_set_error(a, EIO, "the program could not go on");
  return -1;
}

// Reads a tar by libarchive, from a ByteSource.
class Reader {
 public:
  Reader(const ByteSource& tar, const std::string& name)
      : tar_(tar), name_(name), archive_(::archive_read_new(), ::archive_read_free) {
    if (tar.size() > kMaxBytes) fail(name, ": larger than ", kMaxBytes, " bytes");
    ::archive_read_support_format_tar(archive_.get());
    const int opened = ::archive_read_open2(archive_.get(), this, nullptr, read, skip, nullptr);
    if (opened != ARCHIVE_OK) fail_here();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() = default;

  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int result = ::archive_read_next_header(archive_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail_here();
    const char* const member = pathname(entry);
    if (!member) fail(name_, ": has a member with a name that cannot be read");
    last_ = member;
    ++entries_;
    return entry;
  }
  std::uint64_t offset() const {
    return static_cast<std::uint64_t>(::archive_filter_bytes(archive_.get(), 0));
  }
  std::string contents(std::uint64_t bytes) {
    std::string text(bytes, '\0');
    if (::archive_read_data(archive_.get(), text.data(), text.size()) != std::ssize(text))
      fail_here();
    return text;
  }

 private:
  [[noreturn]] void fail_here() const {
    if (failure_) std::rethrow_exception(failure_);
    const char* const why = ::archive_error_string(archive_.get());
    if (last_.empty())
      fail(name_, ": this is not a tar file that can be read (", why ? why : "it is empty",
           "); compressed ones must be unpacked to .tar");
    fail(name_, ": ", last_, ": the tar is damaged behind this member, or was cut short",
         why ? cat(" (", why, ")") : "", "; make or copy it again");
  }
  static la_ssize_t read(archive* a, void* self, const void** bytes) {
    auto& me = *static_cast<Reader*>(self);
    const auto left = me.tar_.size() - me.at_;
    const bool small = me.entries_ > 0 && me.at_ / me.entries_ <= kSmallMember;
    const std::size_t most = me.tar_.is_remote() && small ? kRemoteBytes : kReadBytes;
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left, most));
    if (me.block_.size() < n) me.block_.resize(n);
    *bytes = me.block_.data();
    try {
      me.tar_.read(me.at_, me.block_.data(), n);
    } catch (...) {
      return keep_failure(a, me.failure_);
    }
    me.at_ += n;
    return static_cast<la_ssize_t>(n);
  }
  static la_int64_t skip(archive* /*a*/, void* self, la_int64_t bytes) {
    auto& me = *static_cast<Reader*>(self);
    const auto left = static_cast<la_int64_t>(me.tar_.size() - me.at_);
    const la_int64_t n = std::min(bytes, left);
    me.at_ += static_cast<std::uint64_t>(n);
    return n;
  }

  const ByteSource& tar_;
  const std::string& name_;
  std::string last_;
  std::exception_ptr failure_;
  std::uint64_t at_ = 0, entries_ = 0;
  std::vector<char> block_ = std::vector<char>(kReadBytes);
  std::unique_ptr<archive, int (*)(archive*)> archive_;
};

void require_plain(const std::string& name, const std::string& member, archive_entry* entry) {
  const char* const what = ::archive_entry_hardlink(entry) || ::archive_entry_symlink(entry)
                               ? "a link"
                           : ::archive_entry_sparse_count(entry) > 0 ? "a sparse file"
                                                                     : nullptr;
  if (what)
    fail(name, ": ", member, ": this member is ", what,
         ", which is not read; tar --dereference --hard-dereference stores whole files");
}

}  // namespace

bool reads_shards() { return true; }

void for_each_tar_member(const ByteSource& tar, const std::string& name,
                         const std::function<bool(const TarMember&)>& wanted,
                         const std::function<void(const TarMember&, const std::string&)>& take) {
  Reader reader(tar, name);
  std::uint64_t end = 0;
  std::string last;
  while (archive_entry* const entry = reader.next()) {
    TarMember member{.name = pathname(entry), .offset = reader.offset()};
    if (member.name.starts_with("./")) member.name.erase(0, 2);
    last = member.name;
    if (last.empty()) last = "./";
    if (::archive_entry_filetype(entry) == AE_IFDIR) continue;
    require_plain(name, member.name, entry);
    if (::archive_entry_filetype(entry) != AE_IFREG) continue;
    member.bytes = static_cast<std::uint64_t>(::archive_entry_size(entry));
    if (member.offset > tar.size() || member.bytes > tar.size() - member.offset)
      fail(name, ": ", member.name,
           ": the tar ends within this member, it was cut short; make or "
           "copy it again");
    end = member.offset + (member.bytes + kTarBlock - 1) / kTarBlock * kTarBlock;
    take(member, wanted(member) ? reader.contents(member.bytes) : "");
  }
  if (last.empty()) fail(name, ": this tar is empty, or was cut short; make or copy it again");
  if (end + 2 * kTarBlock > tar.size())
    fail(name, ": ", last,
         ": the tar ends with this member and without its end mark, it was cut "
         "short; make or copy it again");
}

struct TarWriter::Impl {
  explicit Impl(const std::filesystem::path& path) : name(path.string()), file(path) {
    ::archive_write_set_format_pax_restricted(tar);
    require(::archive_write_open(tar, this, nullptr, write, nullptr));
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { ::archive_write_free(tar); }
  void require(int result) const {
    if (result >= ARCHIVE_WARN) return;
    if (failure) std::rethrow_exception(failure);
    fail(name, ": cannot write this tar file: ", ::archive_error_string(tar));
  }
  static la_ssize_t write(archive* a, void* self, const void* bytes, std::size_t n) {
    auto& me = *static_cast<Impl*>(self);
    try {
      me.file.write(bytes, n);
    } catch (...) {
      return keep_failure(a, me.failure);
    }
    me.sum.add(bytes, n);
    me.written += n;
    return static_cast<la_ssize_t>(n);
  }

  std::string name;
  std::exception_ptr failure;
  AtomicFile file;
  Sha256 sum;
  std::uint64_t written = 0;
  archive* tar = ::archive_write_new();
};

TarWriter::TarWriter(const std::filesystem::path& path) : impl_(std::make_unique<Impl>(path)) {}
TarWriter::~TarWriter() = default;

void TarWriter::add(const std::string& name, std::string_view contents) {
  constexpr int kMode = 0644;
  archive_entry* const entry = ::archive_entry_new();
  ::archive_entry_set_pathname(entry, name.c_str());
  ::archive_entry_set_size(entry, std::ssize(contents));
  ::archive_entry_set_filetype(entry, AE_IFREG);
  ::archive_entry_set_perm(entry, kMode);
  ::archive_entry_set_mtime(entry, 0, 0);
  const int result = ::archive_write_header(impl_->tar, entry);
  ::archive_entry_free(entry);
  impl_->require(result);
  if (::archive_write_data(impl_->tar, contents.data(), contents.size()) != std::ssize(contents))
    impl_->require(ARCHIVE_FATAL);
  impl_->require(::archive_write_finish_entry(impl_->tar));
}

// Before the filter 0 nothing is padded yet: headers with long names are in it, its end is not.
std::uint64_t TarWriter::bytes_with(std::string_view name, std::uint64_t contents) const {
  constexpr std::uint64_t kRecord = 20 * kTarBlock;  // of which a tar is a multiple
  const auto padded = [](std::uint64_t n, std::uint64_t to) { return (n + to - 1) / to * to; };
  // Two members, each with a second header where its name is long or not of ASCII.
  const std::uint64_t headers = 2 * (3 * kTarBlock + padded(2 * name.size() + 64, kTarBlock));
  const auto now = static_cast<std::uint64_t>(::archive_filter_bytes(impl_->tar, 0));
  return padded(now + headers + contents + 2 * kTarBlock + 2 * kTarBlock, kRecord);
}

TarWriter::Written TarWriter::commit() {
  impl_->require(::archive_write_close(impl_->tar));
  impl_->file.commit();
  return {.bytes = impl_->written, .sha256 = impl_->sum.hex()};
}

}  // namespace darknet
#else
namespace darknet {
namespace {

[[noreturn]] void fail_without(const std::string& name) {
  fail(name,
       ": this build reads and writes no tar files: it was compiled without libarchive or "
       "OpenSSL");
}

}  // namespace

bool reads_shards() { return false; }
void for_each_tar_member(
    const ByteSource& /*tar*/, const std::string& name,
    const std::function<bool(const TarMember&)>& /*wanted*/,
    const std::function<void(const TarMember&, const std::string&)>& /*take*/) {
  fail_without(name);
}
struct TarWriter::Impl {};
TarWriter::TarWriter(const std::filesystem::path& path) { fail_without(path.string()); }
TarWriter::~TarWriter() = default;
void TarWriter::add(const std::string& /*name*/, std::string_view /*contents*/) {}
std::uint64_t TarWriter::bytes_with(std::string_view /*name*/, std::uint64_t /*contents*/) const {
  return 0;
}
TarWriter::Written TarWriter::commit() { return {}; }

}  // namespace darknet
#endif
