// What libpng, libjpeg and others print on standard error while they decode, kept instead: the same
// image is decoded again in every epoch.
#pragma once
#include <string>

namespace darknet {

// While one lives, what its thread writes to C's stderr and to std::cerr is kept in text(); other
// threads write on as before. Where the C library is not glibc nothing is kept.
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

}  // namespace darknet
