#include "core/streamed_file.h"

#include "core/error.h"

namespace darknet {

void StreamedFile::append(std::string_view text) {
  if (!failure_.empty()) throw Error(failure_);
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
}

void StreamedFile::flush() try {
  if (!failure_.empty()) throw Error(failure_);
  if (!file_) file_.emplace(path_, format_);
  file_->write(buffer_);
  file_->pause();
  buffer_.clear();
} catch (const Error& e) {
  failure_ = e.what();
  throw;
}

void StreamedFile::commit() {
  flush();
  file_->commit();
}

}  // namespace darknet
