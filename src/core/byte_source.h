// Bytes that can be read at any place: those of a file, or what an HTTP server sends in ranges. For
// large files of which parts are read again and again; whole files are core/input.h.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace darknet {

// Several threads may read at once.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // Exactly so many bytes. Throws Error, naming the source, where it has fewer, cannot be read, or
  // is not what it was when it was opened.
  virtual void read(std::uint64_t offset, char* to, std::size_t bytes) const = 0;
  // A hint: bytes from `offset` on are read soon.
  virtual void will_read(std::uint64_t /*offset*/) const {}
  virtual bool is_remote() const { return false; }
  // Whether it still is what it was when it was opened, as far as can be told without reading it.
  virtual bool is_current() const { return true; }
};

// A file, or the server that sends it, is not what it was, or cannot be read: of a shard, all that
// lies in it. No reason to go on without one image.
class SourceFailure : public Error {
 public:
  SourceFailure(std::string name, std::string why, int exit_code = 1)
      : Error(cat(name, ": ", why), exit_code), name_(std::move(name)), why_(std::move(why)) {}
  const std::string& name() const { return name_; }  // of the source
  const std::string& why() const { return why_; }

 private:
  std::string name_, why_;
};

// There is no file of this name, or the server has none, or gives it to nobody (status 403).
class NoSuchSource : public SourceFailure {
 public:
  using SourceFailure::SourceFailure;
};

bool is_url(std::string_view name);  // of http:// or https://
// Throws where it is a URL of another kind, such as ftp://.
void require_known_scheme(const std::string& name);

// A file or a URL. Throws, naming it, where there is no such file, where it is not an ordinary one,
// and where the server does not send ranges.
std::shared_ptr<const ByteSource> open_source(const std::string& name);
// `patience`: how long an answer may take; for each 256 KiB of it one second more. A server that
// does not answer, or is busy, is asked again for http_retry_ms, unless this process was asked to
// stop (core/stop_signal.h).
inline std::atomic<int> http_retry_ms = 30'000;  // tests shorten it
std::shared_ptr<const ByteSource> open_http_source(
    const std::string& url, std::chrono::milliseconds patience = std::chrono::minutes(1));
// In memory; `name` is what messages call it.
std::shared_ptr<const ByteSource> source_of(std::string name, std::string bytes);

// All of what open_source() opens. Throws where it is larger.
std::string read_all(const std::string& name, std::uint64_t max_bytes);

}  // namespace darknet
