#include "cli/demo_source.h"

#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/image_arguments.h"
#include "core/error.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/number.h"
#include "dataset/image_list.h"
#include "dataset/run_inputs.h"
#include "video/reconnect.h"
#include "video/scene_source.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

constexpr double kImagesPerSecond = 25;

constexpr std::string_view kCameraLinks = "/dev/v4l/";

// The same place; "" where that cannot be found out.
std::string without_links(const std::string& source) {
  std::error_code none;
  return fs::weakly_canonical(source, none).string();
}

// Other devices hold files too: /dev/shm.
bool names_camera(const std::string& source) {
  const auto named_so = [](const std::string& name) {
    return name.starts_with(kCameraDevice) || name.starts_with(kCameraLinks);
  };
  return named_so(source) || named_so(without_links(source));
}

// GStreamer's, whose elements are joined by exclamation marks; a file may be called so too.
bool is_pipeline(const std::string& source) {
  return source.find(" ! ") != source.npos && !is_present(source);
}

// The number of /dev/video2, or of a link to it such as those of /dev/v4l/by-id. Looked up at each
// try: a camera that is plugged in again may have another number.
int camera_of(const DemoOptions& o) {
  if (o.source.empty()) return o.camera;
  const std::string& source = o.source.front();
  const std::string device = without_links(source);
  int index = 0;
  if (device.starts_with(kCameraDevice) &&
      read_number(std::string_view(device).substr(kCameraDevice.size()), index) && index >= 0)
    return index;
  if (!is_present(source))
    fail(source, ": there is no such camera; 'v4l2-ctl --list-devices' lists those that are there");
  throw UnusableSource(cat(source, ": this is no camera of Linux; they are called /dev/video0 and ",
                           "so on, or linked in /dev/v4l/by-id"));
}

// Only each so many frames of a source; the others are read and forgotten.
class EveryNthFrame : public VideoSource {
 public:
  EveryNthFrame(std::unique_ptr<VideoSource> source, std::int64_t n)
      : source_(std::move(source)), n_(n) {}
  VideoFormat format() const override {
    VideoFormat f = source_->format();
    f.fps /= static_cast<double>(n_);
    f.frames = (f.frames + n_ - 1) / n_;
    return f;
  }
  bool read(Image& image) override {
    for (std::int64_t i = first_ ? n_ - 1 : 0; i < n_; ++i)
      if (!source_->read(image)) return false;
    first_ = false;
    return true;
  }
  std::int64_t skipped() const override { return source_->skipped(); }

 private:
  std::unique_ptr<VideoSource> source_;
  std::int64_t n_;
  bool first_ = true;
};

bool is_url(const std::string& source) { return source.find("://") != std::string::npos; }

// Folders, patterns, lists and single images; everything else is a video file.
bool names_images(const std::string& source) {
  if (is_scene_source(source)) return false;  // its parameters are no pattern
  const bool pattern = !is_present(source) && source.find_first_of("*?[") != std::string::npos;
  return pattern || is_folder(source) || is_image_name(source) ||
         fs::path(source).extension() == ".txt";
}

std::unique_ptr<VideoSource> images(const DemoOptions& o) {
  for (const std::string& source : o.source)
    if (!names_images(source))
      fail(source, ": one video at a time; several sources have to be images, folders or lists");
  const double fps = o.camera_settings.fps;
  const ImagePaths paths = images_of(o.source, std::nullopt);
  return image_source(
      paths.size(), [paths](std::size_t i) { return read_listed_input(paths, i, {.channels = 3}); },
      fps > 0 ? fps : kImagesPerSecond);
}

using Open = std::function<std::unique_ptr<VideoSource>()>;

// Where nobody waited, the error says how to.
std::unique_ptr<VideoSource> first_of(const std::string& name, const DemoOptions& o,
                                      const Open& open, const std::function<bool()>& stopped) try {
  return wait_for_source(open, {.name = name, .patience = o.wait, .stopped = stopped});
} catch (const UnusableSource&) {
  throw;
} catch (const Error& e) {
  if (o.wait > 0 || kind_of_source(o) == SourceKind::pipeline) throw;
  throw Error(cat(e.what(), "; -wait 60 waits for it"));
}

// A source that `open` opens, which may not be there yet, or may be lost. Null when stopped.
std::unique_ptr<VideoSource> live(const std::string& name, const DemoOptions& o, const Open& open,
                                  const std::function<bool()>& stopped) {
  auto source = first_of(name, o, open, stopped);
  if (!source || !source->format().live) return source;
  // The first one is used up: some cameras serve one client only. Shared, because functions are
  // copied.
  const auto first = std::make_shared<std::unique_ptr<VideoSource>>(std::move(source));
  return reconnecting([open, first] { return *first ? std::move(*first) : open(); },
                      {.name = name, .patience = o.reconnect, .stopped = stopped});
}

std::unique_ptr<VideoSource> open_every_frame(const DemoOptions& o,
                                              const std::function<bool()>& stopped) {
  const SourceKind kind = kind_of_source(o);
  const auto name = [&] { return o.source.empty() ? cat("camera ", o.camera) : o.source.front(); };
  switch (kind) {
    case SourceKind::camera:
      return live(
          name(), o, [o] { return open_camera(camera_of(o), o.camera_settings); }, stopped);
    case SourceKind::stream:
      return live(
          name(), o, [url = name()] { return open_stream(url); }, stopped);
    case SourceKind::pipeline:
      return live(
          name(), o, [text = name()] { return open_pipeline(text); }, stopped);
    case SourceKind::images:
      return images(o);
    case SourceKind::scene:
      return open_scene_source(o.source.front());
    case SourceKind::video:
      break;
  }
  return open_video_file(o.source.front());
}

}  // namespace

void add_sources(const DemoOptions& o, ProtectedFiles& inputs) {
  const SourceKind kind = kind_of_source(o);
  if (kind == SourceKind::camera || kind == SourceKind::pipeline) return;
  for (const std::string& source : o.source) {
    inputs.add("the source", source);
    if (names_images(source)) add_images(inputs, images_of({source}, std::nullopt), true);
  }
}

SourceKind kind_of_source(const DemoOptions& o) {
  if (o.source.empty()) return SourceKind::camera;
  const std::string& source = o.source.front();
  if (o.source.size() == 1 && names_camera(source)) return SourceKind::camera;
  if (o.source.size() == 1 && is_pipeline(source)) return SourceKind::pipeline;
  if (o.source.size() > 1 || names_images(source)) return SourceKind::images;
  if (is_scene_source(source)) return SourceKind::scene;
  return is_url(source) ? SourceKind::stream : SourceKind::video;
}

std::unique_ptr<VideoSource> open_source(const DemoOptions& o,
                                         const std::function<bool()>& stopped) {
  auto source = open_every_frame(o, stopped);
  if (!source || o.skip == 0) return source;
  return std::make_unique<EveryNthFrame>(std::move(source), o.skip + 1);
}

}  // namespace darknet::cli
