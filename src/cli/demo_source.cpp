#include "cli/demo_source.h"

#include <filesystem>

#include "cli/image_arguments.h"
#include "core/error.h"
#include "core/file_format.h"
#include "core/input.h"
#include "dataset/image_list.h"
#include "dataset/run_inputs.h"
#include "video/reconnect.h"
#include "video/scene_source.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

constexpr double kImagesPerSecond = 25;

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
  const ImagePaths paths = images_of(o.source, false);
  return image_source(
      paths.size(), [paths](std::size_t i) { return read_listed_image(paths, i); },
      fps > 0 ? fps : kImagesPerSecond);
}

std::unique_ptr<VideoSource> live(const std::string& name, double patience,
                                  std::function<std::unique_ptr<VideoSource>()> open,
                                  std::function<bool()> stopped) {
  return reconnecting(std::move(open),
                      {.name = name, .patience = patience, .stopped = std::move(stopped)});
}

}  // namespace

void add_sources(const DemoOptions& o, ProtectedFiles& inputs) {
  for (const std::string& source : o.source) {
    inputs.add("the source", source);
    if (names_images(source)) add_images(inputs, images_of({source}, false), true);
  }
}

SourceKind kind_of_source(const DemoOptions& o) {
  if (o.source.empty()) return SourceKind::camera;
  const std::string& source = o.source.front();
  if (o.source.size() > 1 || names_images(source)) return SourceKind::images;
  if (is_scene_source(source)) return SourceKind::scene;
  return is_url(source) ? SourceKind::stream : SourceKind::video;
}

std::unique_ptr<VideoSource> open_source(const DemoOptions& o, std::function<bool()> stopped) {
  const SourceKind kind = kind_of_source(o);
  if (kind == SourceKind::camera)
    return live(
        cat("camera ", o.camera), o.reconnect,
        [camera = o.camera, settings = o.camera_settings] { return open_camera(camera, settings); },
        std::move(stopped));
  const std::string& source = o.source.front();
  if (kind == SourceKind::images) return images(o);
  if (kind == SourceKind::scene) return open_scene_source(source);
  if (kind == SourceKind::video) return open_video_file(source);
  auto stream = open_stream(source);
  if (!stream->format().live) return stream;
  stream.reset();  // some cameras serve one client only
  return live(
      source, o.reconnect, [source] { return open_stream(source); }, std::move(stopped));
}

}  // namespace darknet::cli
