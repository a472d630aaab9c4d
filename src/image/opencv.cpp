// OpenCV behind decoding, encoding and an image's window; empty in a build without it
// (image/stb.cpp). Video is in video_opencv.cpp.
#if defined(DARKNET_OPENCV)
#include <opencv2/highgui.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "image/codec.h"
#include "image/mat.h"
#include "image/video.h"

namespace darknet {
namespace {

constexpr int kJpegQuality = 95;

}  // namespace

cv::Mat bgr_of(const Image& image) {
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

Image rgb_of(const cv::Mat& bgr) {
  Image image(bgr.cols, bgr.rows, 3);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

Image decode_rgb(const std::string& bytes) try {
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U,
                    const_cast<char*>(bytes.data()));  // imdecode only reads
  const cv::Mat bgr = cv::imdecode(raw, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  return bgr.empty() ? Image{} : rgb_of(bgr);
} catch (const cv::Exception& e) {
  if (e.code == cv::Error::StsNoMem) throw std::bad_alloc();
  return {};
}

std::string encode(const Image& image, const std::string& extension) try {
  std::vector<std::uint8_t> out;
  cv::imencode(extension, bgr_of(image), out, {cv::IMWRITE_JPEG_QUALITY, kJpegQuality});
  return {out.begin(), out.end()};
} catch (const cv::Exception&) {
  return {};
}

std::string image_library() { return std::string("OpenCV ") + CV_VERSION; }

bool show_image(const std::string& title, const Image& image) try {
  if (!has_display()) return false;
  cv::imshow(title, bgr_of(image));
  cv::waitKey(0);
  return true;
} catch (const cv::Exception&) {
  return false;
}

}  // namespace darknet
#endif
