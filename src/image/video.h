// Moving images in and out: files, cameras, streams and images as sources, video files, a
// window. Not here: threads, waiting and reconnecting (video/). Everything but image_source()
// needs OpenCV; a build without it says so.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "image/image.h"

namespace darknet {

struct VideoFormat {
  std::int64_t width = 0, height = 0;  // pixels; 0: differs from frame to frame
  double fps = 0;                      // 0: unknown
  std::int64_t frames = 0;             // as the container reports; 0: unknown
  // Frames come whether they are taken or not; those nobody took are lost.
  bool live = false;
};

class VideoSource {
 public:
  virtual ~VideoSource() = default;
  virtual VideoFormat format() const = 0;
  // The next frame, RGB, of images perhaps in more than 8 bits; false at the end, which of a live
  // source is its loss. Throws where a frame cannot be read.
  virtual bool read(Image&) = 0;
  // Frames so far that could not be read and were skipped, with a warning each.
  virtual std::int64_t skipped() const { return 0; }
};

// Linux's cameras, with their numbers behind it.
inline constexpr std::string_view kCameraDevice = "/dev/video";

// Why a source cannot be opened, where no waiting changes that.
class UnusableSource : public Error {
 public:
  using Error::Error;
};

// What a camera is asked for; 0: its own choice.
struct CameraSettings {
  std::int64_t width = 0, height = 0;
  double fps = 0;
};

// Each throws, naming what cannot be opened and what can be done; UnusableSource where OpenCV is
// missing, or a pipeline lacks its appsink or OpenCV GStreamer. A stream whose length is reported
// counts as a file.
std::unique_ptr<VideoSource> open_video_file(const std::filesystem::path&);
std::unique_ptr<VideoSource> open_camera(int index, const CameraSettings&);
std::unique_ptr<VideoSource> open_stream(const std::string& url);
// A pipeline of GStreamer that ends in appsink. One that reads a file, or has num-buffers=, is not
// live.
std::unique_ptr<VideoSource> open_pipeline(const std::string& pipeline);
// Images as the frames of a video: `read` returns the image `i` of so many. Of several those are
// skipped for which it throws; of one it is the source that cannot be read.
std::unique_ptr<VideoSource> image_source(std::size_t images,
                                          std::function<Image(std::size_t i)> read, double fps);

struct WriterSettings {
  double fps = 25;
  std::string codec;  // four letters; "": what suits the file's extension and costs little
  std::int64_t width = 0, height = 0;
};

class VideoWriter {
 public:
  virtual ~VideoWriter() = default;  // closes the file; before that an .mp4 cannot be played
  // A frame of another size than the video's is fitted into it, with black bars.
  virtual void write(const Image&) = 0;
  // Closes the file; throws where it cannot be played, or where it could not grow further (a full
  // disk): the encoder does not report failed writes.
  virtual void close() = 0;
};
std::unique_ptr<VideoWriter> create_video(const std::filesystem::path&, const WriterSettings&);

// A window on the screen. All calls must come from the thread that made it.
class Window {
 public:
  virtual ~Window() = default;
  virtual void show(const Image&) = 0;
  // The key that was pressed within some milliseconds, or 0; 'q' where the window was closed.
  virtual int key(int milliseconds) = 0;
};
bool has_display();
// Throws where the build or the machine has no screen to show it on.
std::unique_ptr<Window> open_window(const std::string& title);

}  // namespace darknet
