// What OpenCV does, by the modules of image/opencv/, behind the checks that need no OpenCV. Empty
// in a build without it (image/stb.cpp, image/video_absent.cpp).
#if defined(DARKNET_OPENCV)
#include <cstdlib>
#include <limits>
#include <opencv2/core/version.hpp>

#include "core/error.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/protected_files.h"
#include "image/codec.h"
#include "image/opencv_modules.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

const OpencvVideo& video() { return functions_of<OpencvVideo>(); }

void require_readable(const fs::path& path) {
  if (is_folder(path)) fail(path.string(), ": this is a folder, not a video");
  // Refuses what would keep the decoder waiting, deaf to signals: FIFOs, devices.
  const InputFile opened(path, std::numeric_limits<std::uint64_t>::max(), Pipes::once);
}

}  // namespace

Image decode_rgb(const std::string& bytes) { return functions_of<OpencvImages>().decode(bytes); }

std::string encode_by_opencv_or_stb(const Image& image, const std::string& extension) {
  return functions_of<OpencvImages>().encode(image, extension);
}

std::string image_library() { return std::string("OpenCV ") + CV_VERSION; }

void require_image_library() { static_cast<void>(functions_of<OpencvImages>()); }

bool has_display() { return std::getenv("DISPLAY") || std::getenv("WAYLAND_DISPLAY"); }

bool show_image(const std::string& title, const Image& image) {
  return has_display() && video().show_image(title, image);
}

std::unique_ptr<VideoSource> open_video_file(const fs::path& path) {
  require_readable(path);
  return video().open_file(path);
}

std::unique_ptr<VideoSource> open_camera(int index, const CameraSettings& s) {
  return video().open_camera(index, s);
}

std::unique_ptr<VideoSource> open_stream(const std::string& url) {
  return video().open_stream(url);
}

std::unique_ptr<VideoWriter> create_video(const fs::path& path, const WriterSettings& s) {
  require_unprotected(path);
  require_format(path, kVideoFormat);
  return video().create_video(path, s);
}

std::unique_ptr<Window> open_window(const std::string& title) {
  if (!has_display()) fail("there is no display to open a window on; -dont_show opens none");
  return video().open_window(title);
}

void require_box_motion() { video(); }

std::unique_ptr<BoxMotion> box_motion(const Box& first_seen) {
  return video().box_motion(first_seen);
}

}  // namespace darknet
#endif
