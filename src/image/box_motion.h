// Where a box that moves steadily will be next: a Kalman filter over its centre, size and speed
// (OpenCV's). A build without OpenCV has none.
#pragma once
#include <memory>

#include "detect/box.h"

namespace darknet {

// Throws where this build has no Kalman filter.
void require_box_motion();

class BoxMotion {
 public:
  explicit BoxMotion(const Box& seen);
  BoxMotion(BoxMotion&&) noexcept;
  BoxMotion& operator=(BoxMotion&&) noexcept;
  ~BoxMotion();
  // Moves on by one frame, and tells where the box is expected.
  Box predict();
  void correct(const Box& seen);  // in the frame that was predicted last

 private:
  struct Filter;
  std::unique_ptr<Filter> filter_;
};

}  // namespace darknet
