// OpenCV behind decoding, encoding and windows; empty in a build without it (image/stb.cpp).
#if defined(DARKNET_OPENCV)
#include <cstdlib>
#include <opencv2/highgui.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "image/codec.h"

namespace darknet {
namespace {

constexpr int kJpegQuality = 95;

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

bool has_display() { return std::getenv("DISPLAY") || std::getenv("WAYLAND_DISPLAY"); }

}  // namespace

Image decode_rgb(const std::string& bytes) try {
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U,
                    const_cast<char*>(bytes.data()));  // imdecode only reads
  const cv::Mat bgr = cv::imdecode(raw, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  if (bgr.empty()) return {};
  Image image(bgr.cols, bgr.rows, 3);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
} catch (const cv::Exception&) {
  return {};
}

std::string encode(const Image& image, const std::string& ending) try {
  std::vector<std::uint8_t> out;
  cv::imencode(ending, bgr_of(image), out, {cv::IMWRITE_JPEG_QUALITY, kJpegQuality});
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
