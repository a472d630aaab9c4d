// NOLINTBEGIN(*-owning-memory,*-no-malloc): callers in C free what they get.
#include "darknet/c_api.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "api/last_error.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "darknet/detector_pool.h"

struct darknet_options {
  darknet::DetectorOptions options;
  int detectors = 1;
};

struct darknet_detector {
  darknet::DetectorPool pool;
};

namespace darknet {
namespace {

class InvalidArgument : public Error {
 public:
  using Error::Error;
};

template <class... Pointers>
void require_pointers(const char* function, const Pointers*... pointers) {
  if (((pointers == nullptr) || ...)) throw InvalidArgument(cat(function, ": a null pointer"));
}

template <class F>
darknet_status status_of(F f) noexcept {
  try {
    f();
    return DARKNET_OK;
  } catch (const InvalidArgument& e) {
    api::set_last_error(e.what());
    return DARKNET_INVALID_ARGUMENT;
  } catch (...) {
    api::keep_last_error();
    return DARKNET_FAILED;
  }
}

template <class T>
void assign(T& to, const std::string& key, const std::string& text) {
  T value{};
  if (!read_number(text, value)) fail(key, ": '", shown(text), "' is no number");
  to = value;
}
void assign(bool& to, const std::string& key, const std::string& text) {
  if (text != "0" && text != "1") fail(key, ": '", shown(text), "' is neither 0 nor 1");
  to = text == "1";
}
void assign(std::string& to, const std::string&, const std::string& text) { to = text; }
void assign(std::filesystem::path& to, const std::string&, const std::string& text) { to = text; }
void assign(std::vector<std::string>& to, const std::string&, const std::string& text) {
  to.push_back(text);
}

void set_option(darknet_options& to, const std::string& key, const std::string& value) {
  bool known = false;
  const auto option = [&](const char* name, auto& member) {
    if (key != name) return;
    assign(member, key, value);
    known = true;
  };
  DetectorOptions& o = to.options;
  option("device", o.device);
  option("precision", o.precision);
  option("names", o.names);
  option("class_name", o.class_names);
  option("override", o.overrides);
  option("tuning", o.tuning);
  option("probability", o.thresholds.probability);
  option("nms", o.thresholds.nms);
  option("batch", o.batch);
  option("threads", o.threads);
  option("detectors", to.detectors);
  option("tile_width", o.tile_width);
  option("tile_height", o.tile_height);
  option("tile_overlap", o.tile_overlap);
  option("tiles_only", o.tiles_only);
  option("letter_box", o.letter_box);
  option("calibrate", o.calibrate);
  option("exact", o.exact);
  if (!known) throw InvalidArgument(cat("there is no option '", shown(key), "'"));
}

// Programs in C may hand over any number as an enum; reading one that C++'s does not have is
// undefined.
ImageView view_of(const darknet_image& image) {
  int format = 0;
  static_assert(sizeof format == sizeof image.format);
  std::memcpy(&format, &image.format, sizeof format);
  if (format < DARKNET_GREY || format > DARKNET_BGRA)
    throw InvalidArgument(cat("there is no pixel format ", format));
  return {image.pixels, image.width, image.height, static_cast<PixelFormat>(format), image.stride};
}
static_assert(static_cast<int>(PixelFormat::grey) == DARKNET_GREY &&
              static_cast<int>(PixelFormat::rgb) == DARKNET_RGB &&
              static_cast<int>(PixelFormat::bgr) == DARKNET_BGR &&
              static_cast<int>(PixelFormat::rgba) == DARKNET_RGBA &&
              static_cast<int>(PixelFormat::bgra) == DARKNET_BGRA);

std::optional<Thresholds> thresholds_of(const darknet_thresholds* t) {
  if (!t) return {};
  return Thresholds{t->probability, t->nms};
}

darknet_object object_of(const DetectedObject& o) {
  return {o.class_id, o.probability, o.objectness,     o.left,           o.top, o.width, o.height,
          o.center_x, o.center_y,    o.relative_width, o.relative_height};
}

void hand_over(const std::vector<DetectedObjects>& found, darknet_object** objects,
               std::size_t* counts) {
  std::size_t all = 0;
  for (const DetectedObjects& image : found) all += image.size();
  auto* const array =
      static_cast<darknet_object*>(std::malloc(std::max<std::size_t>(all, 1) * sizeof **objects));
  if (!array) throw std::bad_alloc();
  darknet_object* to = array;
  for (const DetectedObjects& image : found) {
    *counts++ = image.size();
    for (const DetectedObject& object : image) *to++ = object_of(object);
  }
  *objects = array;
}

}  // namespace
}  // namespace darknet

using namespace darknet;

const char* darknet_version() { return darknet::version(); }
const char* darknet_last_error() { return api::last_error(); }

darknet_options* darknet_options_create() {
  darknet_options* made = nullptr;
  status_of([&] { made = new darknet_options; });
  return made;
}

darknet_status darknet_options_set(darknet_options* options, const char* key, const char* value) {
  return status_of([&] {
    require_pointers("darknet_options_set", options, key, value);
    set_option(*options, key, value);
  });
}

darknet_status darknet_options_set_log(darknet_options* options,
                                       void (*log)(int level, const char* message, void* user),
                                       void* user) {
  return status_of([&] {
    require_pointers("darknet_options_set_log", options);
    options->options.log = nullptr;
    if (!log) return;
    options->options.log = [log, user](LogLevel level, const std::string& message) {
      log(static_cast<int>(level), message.c_str(), user);
    };
  });
}

void darknet_options_free(darknet_options* options) { delete options; }

darknet_status darknet_open(const char* cfg, const char* weights, const darknet_options* options,
                            darknet_detector** detector) {
  return status_of([&] {
    require_pointers("darknet_open", cfg, weights, detector);
    const darknet_options defaults, &chosen = options ? *options : defaults;
    *detector = new darknet_detector{{cfg, weights, chosen.detectors, chosen.options}};
  });
}

void darknet_close(darknet_detector* detector) { delete detector; }

int darknet_classes(const darknet_detector* d) { return d ? d->pool.detector().classes() : 0; }

const char* darknet_class_name(const darknet_detector* d, std::int32_t class_id) {
  if (!d) return nullptr;
  const auto& names = d->pool.detector().class_names();
  if (class_id < 0 || class_id >= std::ssize(names)) return nullptr;
  return names[static_cast<std::size_t>(class_id)].c_str();
}

int darknet_width(const darknet_detector* d) { return d ? d->pool.detector().width() : 0; }
int darknet_height(const darknet_detector* d) { return d ? d->pool.detector().height() : 0; }
int darknet_channels(const darknet_detector* d) { return d ? d->pool.detector().channels() : 0; }

darknet_status darknet_detect(darknet_detector* detector, const darknet_image* images,
                              std::size_t count, const darknet_thresholds* thresholds,
                              darknet_object** objects, std::size_t* counts) {
  return status_of([&] {
    require_pointers("darknet_detect", detector, objects);
    if (count > 0) require_pointers("darknet_detect", images, counts);
    std::vector<ImageView> views;
    for (std::size_t i = 0; i < count; ++i) views.push_back(view_of(images[i]));
    hand_over(detector->pool.detect_batch(views, thresholds_of(thresholds)), objects, counts);
  });
}

darknet_status darknet_detect_files(darknet_detector* detector, const char* const* files,
                                    std::size_t count, const darknet_thresholds* thresholds,
                                    darknet_object** objects, std::size_t* counts) {
  return status_of([&] {
    require_pointers("darknet_detect_files", detector, objects);
    if (count > 0) require_pointers("darknet_detect_files", files, counts);
    for (std::size_t i = 0; i < count; ++i) require_pointers("darknet_detect_files", files[i]);
    const std::vector<std::filesystem::path> paths(files, files + count);
    hand_over(detector->pool.detect_files(paths, thresholds_of(thresholds)), objects, counts);
  });
}

void darknet_free_objects(darknet_object* objects) { std::free(objects); }
// NOLINTEND(*-owning-memory,*-no-malloc)
