// What stands in a build without OpenCV where video and the Kalman filter would be.
#if !defined(DARKNET_OPENCV)
#include "core/error.h"
#include "image/box_motion.h"
#include "image/video.h"

namespace darknet {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw UnusableSource(
      cat(what,
          ": this build has no OpenCV, which video needs; install libopencv-videoio-dev and "
          "libopencv-highgui-dev and build again. Folders and lists of images work without it"));
}

[[noreturn]] void refuse_box_motion() {
  fail(
      "-track: this build has no OpenCV, whose Kalman filter it needs; install "
      "libopencv-video-dev and the other packages of scripts/install_deps.sh, and build again");
}

}  // namespace

std::unique_ptr<VideoSource> open_video_file(const std::filesystem::path& path) {
  refuse(path.string());
}
std::unique_ptr<VideoSource> open_camera(int index, const CameraSettings&) {
  refuse(cat("camera ", index));
}
std::unique_ptr<VideoSource> open_stream(const std::string& url) { refuse(url); }
std::unique_ptr<VideoSource> open_pipeline(const std::string& pipeline) { refuse(pipeline); }
std::unique_ptr<VideoWriter> create_video(const std::filesystem::path& path,
                                          const WriterSettings&) {
  refuse(path.string());
}
std::unique_ptr<Window> open_window(const std::string& title) { refuse("window " + title); }
bool has_display() { return false; }

void require_box_motion() { refuse_box_motion(); }
std::unique_ptr<BoxMotion> box_motion(const Box&) { refuse_box_motion(); }

}  // namespace darknet
#endif
