#include "image/decoder_messages.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <mutex>
#include <new>

#include "core/index.h"

#if defined(DARKNET_GLIB)
#include <glib.h>
#endif

namespace darknet {
namespace {

constexpr std::size_t kMaxKept = 4096;  // bytes of one image's messages

// Of each thread, because the libraries pass nothing on by which a message finds its image.
thread_local std::string* kept = nullptr;

// A decoder in C calls these: nothing may be thrown through it, so that a message is lost where the
// memory is used up.
void keep(const char* data, std::size_t bytes) noexcept try {
  kept->append(data, std::min(bytes, kMaxKept - std::min(kMaxKept, kept->size())));
} catch (const std::bad_alloc&) {
}

void keep_or_write(const char* data, std::size_t bytes) noexcept {
  if (kept) return keep(data, bytes);
  while (bytes > 0) {
    const ssize_t written = ::write(STDERR_FILENO, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    data += written, bytes -= to_size(written);
  }
}

#if defined(__GLIBC__)
ssize_t write_cookie(void*, const char* data, std::size_t bytes) {
  keep_or_write(data, bytes);
  return static_cast<ssize_t>(bytes);
}
#endif

#if defined(__GLIBC__) && defined(DARKNET_GLIB)
// GLib, below Pango, asks stderr for its file descriptor, which a stream of cookies does not have,
// and ends the program without a word.
GLogWriterOutput write_glib_message(GLogLevelFlags level, const GLogField* fields, gsize count,
                                    gpointer) {
  constexpr int kShown =
      G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE;
  if ((level & kShown) == 0) return G_LOG_WRITER_HANDLED;
  char* const text = g_log_writer_format_fields(level, fields, count, FALSE);
  keep_or_write(text, std::strlen(text));
  keep_or_write("\n", 1);
  g_free(text);
  return G_LOG_WRITER_HANDLED;
}
#endif

}  // namespace

DecoderMessageStreams::Buffer::int_type DecoderMessageStreams::Buffer::overflow(int_type c) {
  const char byte = traits_type::to_char_type(c);
  if (!traits_type::eq_int_type(c, traits_type::eof())) keep_or_write(&byte, 1);
  return traits_type::not_eof(c);
}

std::streamsize DecoderMessageStreams::Buffer::xsputn(const char* data, std::streamsize bytes) {
  keep_or_write(data, to_size(bytes));
  return bytes;
}

// glibc lets a program put another stream in the place of stderr ("Standard Streams" in its
// manual).
DecoderMessageStreams::DecoderMessageStreams() {
#if defined(__GLIBC__)
  stream_.reset(::fopencookie(nullptr, "w", {.write = write_cookie}));
  if (!stream_) return;
  std::setvbuf(stream_.get(), nullptr, _IONBF, 0);
  stderr_ = stderr;
  stderr = stream_.get();
#if defined(DARKNET_GLIB)
  static std::once_flag once;  // GLib takes one writer
  std::call_once(once, [] { g_log_set_writer_func(write_glib_message, nullptr, nullptr); });
#endif
  cerr_ = std::cerr.rdbuf(&buffer_);
#endif
}

DecoderMessageStreams::~DecoderMessageStreams() {
  if (!stream_) return;
  std::cerr.rdbuf(cerr_);
#if defined(__GLIBC__)
  stderr = stderr_;
#endif
}

DecoderMessages::DecoderMessages() : outer_(kept) { kept = &text_; }
DecoderMessages::~DecoderMessages() { kept = outer_; }

void keep_decoder_message(const char* library, const char* message) noexcept {
  if (!kept) return;
  for (const char* const part : {library, ": ", message, "\n"}) keep(part, std::strlen(part));
}

}  // namespace darknet
