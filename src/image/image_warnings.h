// What is wrong with images that are used all the same (a decoder's complaints, a missing end
// marker): reported the first one at once, and of the others once at the end.
#pragma once
#include <string>

namespace darknet {

// From any thread. A file that is decoded again is noted once; where the thread's messages are
// captured (core/log_capture.h), each time, and nothing is kept.
void note_image_warning(const std::string& file, const std::string& why);

// Its destructor reports what was noted during its life.
class ImageWarningSummary {
 public:
  ImageWarningSummary() = default;
  ImageWarningSummary(const ImageWarningSummary&) = delete;
  ImageWarningSummary& operator=(const ImageWarningSummary&) = delete;
  ~ImageWarningSummary();
};

}  // namespace darknet
