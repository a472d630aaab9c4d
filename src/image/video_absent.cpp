// What stands in a build without OpenCV where video would be.
#if !defined(DARKNET_OPENCV)
#include "core/error.h"
#include "image/video.h"

namespace darknet {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  fail(what,
       ": this build has no OpenCV, which video needs; install libopencv-videoio-dev and "
       "libopencv-highgui-dev and build again. Folders and lists of images work without it");
}

}  // namespace

std::unique_ptr<VideoSource> open_video_file(const std::filesystem::path& path) {
  refuse(path.string());
}
std::unique_ptr<VideoSource> open_camera(int index, const CameraSettings&) {
  refuse(cat("camera ", index));
}
std::unique_ptr<VideoSource> open_stream(const std::string& url) { refuse(url); }
std::unique_ptr<VideoWriter> create_video(const std::filesystem::path& path,
                                          const WriterSettings&) {
  refuse(path.string());
}
std::unique_ptr<Window> open_window(const std::string& title) { refuse("window " + title); }
bool has_display() { return false; }

}  // namespace darknet
#endif
