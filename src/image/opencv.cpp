// What OpenCV does, by the modules of image/opencv/, behind the checks that need no OpenCV. Empty
// in a build without it (image/stb.cpp, image/video_absent.cpp).
#if defined(DARKNET_OPENCV)
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
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

const OpencvVideo& video() try { return functions_of<OpencvVideo>(); } catch (const Error& e) {
  throw UnusableSource(e.what(), e.exit_code());
}

void require_readable(const fs::path& path) {
  if (is_folder(path)) fail(path.string(), ": this is a folder, not a video");
  // Refuses what would keep the decoder waiting, deaf to signals: FIFOs, devices.
  const InputFile opened(path, std::numeric_limits<std::uint64_t>::max(), Pipes::once);
}

std::string cameras_there() {
  std::string all;
  for (int i = 0; i < 64; ++i)
    if (const std::string device = cat(kCameraDevice, i); is_present(device))
      all += cat(all.empty() ? "" : ", ", device);
  return all;
}

// After it could not be opened. Throws where waiting would not help.
std::string why_no_camera(const std::string& device) {
  if (!is_present(device)) {
    const std::string others = cameras_there();
    return cat("there is no ", device, "; ",
               others.empty() ? cat("no camera is connected, or this container was not given it "
                                    "(docker run --device ",
                                    device, ")")
                              : cat("there are ", others));
  }
  if (::access(device.c_str(), R_OK | W_OK) != 0)
    throw UnusableSource(cat("no right to use ", device, ": ", std::strerror(errno),
                             "; 'sudo usermod -aG video $USER' gives it from the next login on"));
  return cat(device, " gives no images: another program uses it ('fuser ", device,
             "' names it), or it is no camera ('v4l2-ctl --list-devices' says what it is)");
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
  if (auto camera = video().open_camera(index, s)) return camera;
  fail("camera ", index, ": ", why_no_camera(cat(kCameraDevice, index)));
}

std::unique_ptr<VideoSource> open_stream(const std::string& url) {
  if (auto stream = video().open_stream(url)) return stream;
  fail(url, ": this stream cannot be opened; check address, user and password with a player ",
       "(ffplay)");
}

std::unique_ptr<VideoSource> open_pipeline(const std::string& pipeline) {
  if (pipeline.find("appsink") == pipeline.npos)
    throw UnusableSource(cat(pipeline, ": frames are taken from an appsink: end the pipeline in ",
                             "'! videoconvert ! video/x-raw,format=BGR ! appsink'"));
  if (!video().has_gstreamer())
    throw UnusableSource(
        cat(pipeline, ": this OpenCV was built without GStreamer; give the source as an address ",
            "(rtsp://...) or as /dev/video0, or use an OpenCV with it"));
  if (auto source = video().open_pipeline(pipeline)) return source;
  fail(pipeline, ": GStreamer cannot start this pipeline; 'gst-launch-1.0 -v' says why, with ",
       "autovideosink in place of appsink (many elements are in the packages ",
       "gstreamer1.0-plugins-base and -good)");
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
