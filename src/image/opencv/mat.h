// An Image as OpenCV sees it. Only for the files of this folder.
#pragma once
#include <opencv2/imgproc.hpp>

#include "image/image.h"

namespace darknet::opencv {

// RGB becomes BGR; of a grey image the Mat is a view, not to be written to.
inline cv::Mat bgr_of(const Image& image) {
  const cv::Mat view(static_cast<int>(image.height), static_cast<int>(image.width),
                     image.channels == 3 ? CV_8UC3 : CV_8UC1,
                     const_cast<std::uint8_t*>(image.pixels.data()));  // read only below
  cv::Mat bgr;
  if (image.channels == 3)
    cv::cvtColor(view, bgr, cv::COLOR_RGB2BGR);
  else
    bgr = view;
  return bgr;
}

inline Image rgb_of(const cv::Mat& bgr) {
  Image image(bgr.cols, bgr.rows, 3);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

}  // namespace darknet::opencv
