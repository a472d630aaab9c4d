// What libpng, libjpeg and others say while they decode, kept instead of printed: the same image is
// decoded again in every epoch. Those two hand their messages to a callback; of others only what
// they print can be taken, and only by a program, which owns its standard error.
#pragma once
#include <cstdio>
#include <memory>
#include <ostream>
#include <streambuf>
#include <string>

namespace darknet {

// Puts streams that DecoderMessages can read in the place of C's stderr and of std::cerr's buffer.
// To be made once, while the process has one thread, and to outlive all others: C's stderr is a
// plain variable, and the libraries read it whenever they print. (core/log.h writes to the file
// itself.) Where the C library is not glibc it does nothing.
class DecoderMessageStreams {
 public:
  DecoderMessageStreams();
  DecoderMessageStreams(const DecoderMessageStreams&) = delete;
  DecoderMessageStreams& operator=(const DecoderMessageStreams&) = delete;
  ~DecoderMessageStreams();

 private:
  class Buffer : public std::streambuf {
   protected:
    int_type overflow(int_type c) override;
    std::streamsize xsputn(const char* data, std::streamsize bytes) override;
  };
  Buffer buffer_;
  std::streambuf* cerr_ = nullptr;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_{nullptr, &std::fclose};
  std::FILE* stderr_ = nullptr;
};

// While one lives, what its thread writes to the streams of a DecoderMessageStreams or hands to
// keep_decoder_message() is kept in text(), the first kilobytes of it; other threads write on as
// before.
class DecoderMessages {
 public:
  DecoderMessages();
  DecoderMessages(const DecoderMessages&) = delete;
  DecoderMessages& operator=(const DecoderMessages&) = delete;
  ~DecoderMessages();
  const std::string& text() const { return text_; }

 private:
  std::string text_, *outer_;
};

// A line of a library's callback; dropped where the thread has no DecoderMessages.
void keep_decoder_message(const char* library, const char* message) noexcept;

}  // namespace darknet
