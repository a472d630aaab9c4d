// The code that calls OpenCV (image/opencv/), as modules (core/modules.h): the program starts ten
// times faster without OpenCV's 200 libraries.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "core/modules.h"
#include "image/box_motion.h"
#include "image/image.h"
#include "image/video.h"

namespace darknet {

// Everything below may throw an Error, std::bad_alloc, or cv::Exception as the std::exception that
// it is.

struct OpencvImages {
  static constexpr char kFile[] = "darknet_images.so";
  Image (*decode)(const std::string& bytes);  // as decode_rgb() of image/codec.h
  std::string (*encode)(const Image&, const std::string& extension);
};

// The functions of image.h, video.h and box_motion.h, without their checks of files and displays.
struct OpencvVideo {
  static constexpr char kFile[] = "darknet_video.so";
  std::unique_ptr<VideoSource> (*open_file)(const std::filesystem::path&);
  // Null where it cannot be opened.
  std::unique_ptr<VideoSource> (*open_camera)(int index, const CameraSettings&);
  std::unique_ptr<VideoSource> (*open_stream)(const std::string& url);
  std::unique_ptr<VideoSource> (*open_pipeline)(const std::string&);
  bool (*has_gstreamer)();
  std::unique_ptr<VideoWriter> (*create_video)(const std::filesystem::path&, const WriterSettings&);
  bool (*show_image)(const std::string& title, const Image&);
  std::unique_ptr<Window> (*open_window)(const std::string& title);
  std::unique_ptr<BoxMotion> (*box_motion)(const Box& first_seen);
};

}  // namespace darknet
