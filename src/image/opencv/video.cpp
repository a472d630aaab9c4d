// The module darknet_video: videos, cameras and windows by OpenCV's videoio and highgui
// (image/opencv_modules.h).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <opencv2/videoio/registry.hpp>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "image/opencv/kalman_motion.h"
#include "image/opencv/mat.h"
#include "image/opencv_modules.h"

namespace darknet::opencv {
namespace {
namespace fs = std::filesystem;

constexpr int kStreamTimeout = 5000;  // milliseconds to open, or without a frame
constexpr double kMaxFps = 1000;      // more is a clock's rate, not a camera's

// The libraries tell on standard error what is reported here in one sentence.
void silence_libraries() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  ::setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
}

VideoFormat format_of(const cv::VideoCapture& capture) {
  const auto whole = [&](int property) {
    const double value = capture.get(property);
    return std::isfinite(value) && value > 0 && value < 1e15 ? std::llround(value) : 0;
  };
  const double fps = capture.get(cv::CAP_PROP_FPS);
  return {.width = whole(cv::CAP_PROP_FRAME_WIDTH),
          .height = whole(cv::CAP_PROP_FRAME_HEIGHT),
          .fps = fps > 0 && fps <= kMaxFps ? fps : 0,
          .frames = whole(cv::CAP_PROP_FRAME_COUNT)};
}

class CaptureSource : public VideoSource {
 public:
  CaptureSource(std::string name, const cv::VideoCapture& capture, bool live)
      : name_(std::move(name)), capture_(capture), format_(format_of(capture_)) {
    format_.live = live;
  }
  VideoFormat format() const override { return format_; }
  bool read(Image& image) override try {
    if (!capture_.read(frame_) || frame_.empty()) return false;
    if (frame_.channels() == 1) cv::cvtColor(frame_, frame_, cv::COLOR_GRAY2BGR);
    image = rgb_of(frame_);
    return true;
  } catch (const cv::Exception& e) {
    fail(name_, ": this frame cannot be decoded: ", e.err);
  }

 private:
  std::string name_;
  cv::VideoCapture capture_;
  cv::Mat frame_;
  VideoFormat format_;
};

std::string default_codec(const fs::path& path) {
  const std::string extension = lower_case(path.extension().string());
  constexpr std::array<std::pair<const char*, const char*>, 6> kCodecs{{{".mp4", "mp4v"},
                                                                        {".m4v", "mp4v"},
                                                                        {".mov", "mp4v"},
                                                                        {".avi", "XVID"},
                                                                        {".mkv", "XVID"},
                                                                        {".webm", "VP80"}}};
  for (const auto& [known, codec] : kCodecs)
    if (extension == known) return codec;
  fail(path.string(), ": videos are written as .mp4, .m4v, .mov, .avi, .mkv or .webm");
}

// The error number of writing a little more behind the end of a file, which is tried and taken
// back; 0: it can grow. Disks, quotas and limits on the size of files may be full.
int why_it_cannot_grow(const fs::path& path) {
  const std::vector<char> more(64 << 10);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const ::off_t end = ::lseek(descriptor, 0, SEEK_END);
  int why = 0;
  for (std::size_t done = 0; done < more.size() && why == 0;) {
    const ::ssize_t n = ::write(descriptor, more.data(), more.size() - done);
    if (n < 0 && errno != EINTR) why = errno;
    done += to_size(std::max<::ssize_t>(n, 0));
  }
  if (end < 0 || ::ftruncate(descriptor, end) != 0) why = errno;
  ::close(descriptor);
  return why;
}

class FileWriter : public VideoWriter {
 public:
  FileWriter(const fs::path& path, const WriterSettings& s)
      : path_(path), size_(static_cast<int>(s.width), static_cast<int>(s.height)) {
    const std::string extension = default_codec(path);  // refuses what is no video
    const std::string codec = s.codec.empty() ? extension : s.codec;
    if (codec.size() != 4) fail("-codec ", codec, ": four letters name a codec, such as mp4v");
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (::access(folder.c_str(), W_OK) != 0)
      fail(path.string(), ": cannot write into this folder: ", std::strerror(errno));
    silence_libraries();
    const int letters = cv::VideoWriter::fourcc(codec[0], codec[1], codec[2], codec[3]);
    if (!writer_.open(path.string(), cv::CAP_FFMPEG, letters, s.fps, size_))
      fail(path.string(), ": cannot write this video (codec ", codec, ", ", s.width, " x ",
           s.height, ")");
  }
  void write(const Image& image) override { writer_.write(fitted(bgr_of(image))); }
  void close() override {
    writer_.release();
    if (const int why = why_it_cannot_grow(path_); why != 0)
      fail(path_.string(), ": this video is incomplete: ", std::strerror(why));
    cv::Mat frame;
    cv::VideoCapture written(path_.string(), cv::CAP_FFMPEG);
    if (!written.read(frame))
      fail(path_.string(), ": this video is incomplete, it cannot be read back");
  }

 private:
  cv::Mat fitted(cv::Mat frame) const {
    if (frame.channels() == 1) cv::cvtColor(frame, frame, cv::COLOR_GRAY2BGR);
    if (frame.size() == size_) return frame;
    const double scale = std::min(static_cast<double>(size_.width) / frame.cols,
                                  static_cast<double>(size_.height) / frame.rows);
    const cv::Size inner(std::clamp(cvRound(scale * frame.cols), 1, size_.width),
                         std::clamp(cvRound(scale * frame.rows), 1, size_.height));
    cv::Mat out(size_, CV_8UC3, cv::Scalar());
    const cv::Rect middle({(size_.width - inner.width) / 2, (size_.height - inner.height) / 2},
                          inner);
    cv::resize(frame, out(middle), inner, 0, 0, cv::INTER_AREA);
    return out;
  }
  fs::path path_;
  cv::Size size_;
  cv::VideoWriter writer_;
};

class ScreenWindow : public Window {
 public:
  explicit ScreenWindow(std::string title) : title_(std::move(title)) {
    cv::namedWindow(title_, cv::WINDOW_NORMAL | cv::WINDOW_KEEPRATIO | cv::WINDOW_GUI_NORMAL);
  }
  ScreenWindow(const ScreenWindow&) = delete;
  ScreenWindow& operator=(const ScreenWindow&) = delete;
  ~ScreenWindow() override try {
    cv::destroyWindow(title_);
  } catch (const cv::Exception&) {  // the user closed it
    shown_ = false;
  }
  void show(const Image& image) override {
    const cv::Mat bgr = bgr_of(image);
    cv::imshow(title_, bgr);
    if (!shown_) cv::resizeWindow(title_, bgr.cols, bgr.rows);
    shown_ = true;
  }
  int key(int milliseconds) override {
    const int key = cv::waitKey(std::max(1, milliseconds));
    if (shown_ && cv::getWindowProperty(title_, cv::WND_PROP_VISIBLE) < 1) return 'q';
    return key < 0 ? 0 : key & 0xFF;
  }

 private:
  std::string title_;
  bool shown_ = false;
};

std::unique_ptr<VideoSource> open_file(const fs::path& path) {
  silence_libraries();
  cv::VideoCapture capture(path.string(), cv::CAP_FFMPEG);
  if (!capture.isOpened()) fail(path.string(), ": this is not a video that can be decoded");
  return std::make_unique<CaptureSource>(path.string(), std::move(capture), false);
}

std::unique_ptr<VideoSource> open_camera(int index, const CameraSettings& s) {
  silence_libraries();
  cv::VideoCapture capture(index);
  if (!capture.isOpened()) return nullptr;
  if (s.width > 0) capture.set(cv::CAP_PROP_FRAME_WIDTH, static_cast<double>(s.width));
  if (s.height > 0) capture.set(cv::CAP_PROP_FRAME_HEIGHT, static_cast<double>(s.height));
  if (s.fps > 0) capture.set(cv::CAP_PROP_FPS, s.fps);
  return std::make_unique<CaptureSource>(cat("camera ", index), std::move(capture), true);
}

std::unique_ptr<VideoSource> open_stream(const std::string& url) {
  silence_libraries();
  cv::VideoCapture capture(url, cv::CAP_FFMPEG,
                           {cv::CAP_PROP_OPEN_TIMEOUT_MSEC, kStreamTimeout,
                            cv::CAP_PROP_READ_TIMEOUT_MSEC, kStreamTimeout});
  if (!capture.isOpened()) return nullptr;
  const bool live = capture.get(cv::CAP_PROP_FRAME_COUNT) <= 0;
  return std::make_unique<CaptureSource>(url, std::move(capture), live);
}

bool has_gstreamer() { return cv::videoio_registry::hasBackend(cv::CAP_GSTREAMER); }

bool ends_by_itself(const std::string& pipeline) {
  return pipeline.find("filesrc") != pipeline.npos || pipeline.find("num-buffers") != pipeline.npos;
}

std::unique_ptr<VideoSource> open_pipeline(const std::string& pipeline) {
  silence_libraries();
  cv::VideoCapture capture(pipeline, cv::CAP_GSTREAMER);
  if (!capture.isOpened()) return nullptr;
  return std::make_unique<CaptureSource>(pipeline, std::move(capture), !ends_by_itself(pipeline));
}

std::unique_ptr<VideoWriter> create_video(const fs::path& path, const WriterSettings& s) {
  return std::make_unique<FileWriter>(path, s);
}

bool show_image(const std::string& title, const Image& image) try {
  cv::imshow(title, bgr_of(image));
  cv::waitKey(0);
  return true;
} catch (const cv::Exception&) {
  return false;
}

std::unique_ptr<Window> open_window(const std::string& title) try {
  return std::make_unique<ScreenWindow>(title);
} catch (const cv::Exception&) {
  fail("no window can be opened on this display; -dont_show opens none");
}

}  // namespace
}  // namespace darknet::opencv

const void* darknet::darknet_module(std::uint64_t interface) {
  static constexpr OpencvVideo kFunctions{.open_file = opencv::open_file,
                                          .open_camera = opencv::open_camera,
                                          .open_stream = opencv::open_stream,
                                          .open_pipeline = opencv::open_pipeline,
                                          .has_gstreamer = opencv::has_gstreamer,
                                          .create_video = opencv::create_video,
                                          .show_image = opencv::show_image,
                                          .open_window = opencv::open_window,
                                          .box_motion = opencv::kalman_motion};
  return interface == DARKNET_MODULE_INTERFACE ? &kFunctions : nullptr;
}
