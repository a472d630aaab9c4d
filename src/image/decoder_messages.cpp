#include "image/decoder_messages.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <streambuf>

namespace darknet {
namespace {

constexpr std::size_t kMostKept = 4096;  // bytes of one image's messages

// Of each thread, because the libraries pass nothing on by which a message finds its image.
thread_local std::string* kept = nullptr;

void keep_or_write(const char* data, std::size_t bytes) {
  if (kept) {
    kept->append(data, std::min(bytes, kMostKept - std::min(kMostKept, kept->size())));
    return;
  }
  while (bytes > 0) {
    const ssize_t written = ::write(STDERR_FILENO, data, bytes);
    if (written <= 0) return;
    data += written, bytes -= static_cast<std::size_t>(written);
  }
}

class Keeper : public std::streambuf {
 protected:
  int_type overflow(int_type c) override {
    const char byte = traits_type::to_char_type(c);
    if (!traits_type::eq_int_type(c, traits_type::eof())) keep_or_write(&byte, 1);
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* data, std::streamsize bytes) override {
    keep_or_write(data, static_cast<std::size_t>(bytes));
    return bytes;
  }
};

// glibc lets a program put another stream in the place of stderr ("Standard Streams" in its
// manual). For as long as some thread decodes: nothing else of the program meets it.
class Redirection {
 public:
  void begin() {
    const std::lock_guard lock(mutex_);
    if (users_++ > 0) return;
    cerr_ = std::cerr.rdbuf(&keeper_);
#if defined(__GLIBC__)
    if (!stream_ && (stream_ = fopencookie(nullptr, "w", {.write = write})))
      std::setvbuf(stream_, nullptr, _IONBF, 0);
    if (!stream_) return;
    stderr_ = stderr;
    stderr = stream_;
#endif
  }
  void end() {
    const std::lock_guard lock(mutex_);
    if (--users_ > 0) return;
    std::cerr.rdbuf(cerr_);
#if defined(__GLIBC__)
    if (stream_) stderr = stderr_;
#endif
  }

 private:
  static ssize_t write(void*, const char* data, std::size_t bytes) {
    keep_or_write(data, bytes);
    return static_cast<ssize_t>(bytes);
  }
  std::mutex mutex_;
  int users_ = 0;
  Keeper keeper_;
  std::streambuf* cerr_ = nullptr;
  std::FILE *stream_ = nullptr, *stderr_ = nullptr;  // never closed: another thread may hold it
};

Redirection& redirection() {  // one, as the streams are
  static Redirection one;
  return one;
}

}  // namespace

DecoderMessages::DecoderMessages() : outer_(kept) {
  redirection().begin();
  kept = &text_;
}

DecoderMessages::~DecoderMessages() {
  kept = outer_;
  redirection().end();
}

}  // namespace darknet
