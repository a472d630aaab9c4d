// Bytes that can be read at any place: those of a file, or what an HTTP server sends in ranges. For
// large files of which parts are read again and again; whole files are core/input.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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

bool is_url(std::string_view name);  // of http:// or https://

// A file or a URL. Throws, naming it, where there is no such file, where it is not an ordinary one,
// and where the server does not send ranges.
std::shared_ptr<const ByteSource> open_source(const std::string& name);
std::shared_ptr<const ByteSource> open_http_source(const std::string& url);
std::shared_ptr<const ByteSource> source_of(std::string bytes);  // in memory

std::string read_all(const ByteSource&, std::uint64_t max_bytes);

}  // namespace darknet
