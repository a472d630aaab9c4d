// Where a box that moves steadily will be next: a Kalman filter over its centre, size and speed
// (OpenCV's). A build without OpenCV has none.
#pragma once
#include <memory>

#include "detect/box.h"

namespace darknet {

class BoxMotion {
 public:
  virtual ~BoxMotion() = default;
  // Moves on by one frame, and tells where the box is expected.
  virtual Box predict() = 0;
  virtual void correct(const Box& seen) = 0;  // in the frame that was predicted last
};

// Both throw where this build has no Kalman filter.
void require_box_motion();
std::unique_ptr<BoxMotion> box_motion(const Box& first_seen);

}  // namespace darknet
