// The Kalman filter of image/box_motion.h, by OpenCV's.
#pragma once
#include <memory>

#include "image/box_motion.h"

namespace darknet::opencv {

std::unique_ptr<BoxMotion> kalman_motion(const Box& first_seen);

}  // namespace darknet::opencv
