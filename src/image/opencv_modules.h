// The code that calls OpenCV (image/opencv/), as modules that are opened at the first call that
// needs them: the program starts ten times faster without OpenCV's 200 libraries. A module calls
// nothing of the program except what headers define.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

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
  std::unique_ptr<VideoSource> (*open_camera)(int index, const CameraSettings&);
  std::unique_ptr<VideoSource> (*open_stream)(const std::string& url);
  std::unique_ptr<VideoWriter> (*create_video)(const std::filesystem::path&, const WriterSettings&);
  bool (*show_image)(const std::string& title, const Image&);
  std::unique_ptr<Window> (*open_window)(const std::string& title);
  std::unique_ptr<BoxMotion> (*box_motion)(const Box& first_seen);
};

// The only symbol that a module exports: its struct, or null where its DARKNET_MODULE_INTERFACE, a
// checksum of the headers that cross over (CMakeLists.txt), is another.
extern "C" {
using ModuleEntry = const void*(std::uint64_t interface);
[[gnu::visibility("default")]] ModuleEntry darknet_module;
}

// A module that is missing, of another build, or cannot be loaded. Not an Error: the images may be
// sound, and training must not skip one for it.
class ModuleError : public std::runtime_error {
  using runtime_error::runtime_error;
};

// Opens a module, which stays open: what it returns lives as long as the process. Looks in the
// folder that the variable DARKNET_MODULES names; without it next to the program, then in
// ../lib/darknet from there. In libdarknet.so: next to the library, then in darknet/ and ../darknet
// from there. Throws ModuleError.
const void* open_module(const std::string& file);

// From any thread.
template <class Functions>
const Functions& opencv_module() {
  static const auto& functions = *static_cast<const Functions*>(open_module(Functions::kFile));
  return functions;
}

}  // namespace darknet
