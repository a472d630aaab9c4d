// The module darknet_images: decoding and encoding by OpenCV (image/opencv_modules.h).
#include <new>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "image/codec.h"
#include "image/opencv/mat.h"
#include "image/opencv_modules.h"

namespace darknet::opencv {
namespace {

Image decode(const std::string& bytes) try {
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

}  // namespace
}  // namespace darknet::opencv

const void* darknet::darknet_module(std::uint64_t interface) {
  static constexpr OpencvImages kFunctions{.decode = opencv::decode, .encode = opencv::encode};
  return interface == DARKNET_MODULE_INTERFACE ? &kFunctions : nullptr;
}
