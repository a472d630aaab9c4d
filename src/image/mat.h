// An Image as OpenCV sees it. Only for the files of this folder that OpenCV is compiled into.
#pragma once
#include <opencv2/core.hpp>

#include "image/image.h"

namespace darknet {

// RGB becomes BGR; of a grey image the Mat is a view, not to be written to.
cv::Mat bgr_of(const Image&);
Image rgb_of(const cv::Mat& bgr);

}  // namespace darknet
