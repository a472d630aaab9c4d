#include "darknet/detector.h"

#include <algorithm>
#include <utility>

#include "api/engine.h"
#include "api/errors.h"
#include "api/pixels.h"
#include "cfg/data_file.h"
#include "core/index.h"
#include "core/text.h"
#include "darknet/version.h"
#include "eval/calibration_file.h"
#include "eval/open_network.h"
#include "eval/predict.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

static_assert(Thresholds{}.probability == DetectionOptions{}.threshold &&
              Thresholds{}.nms == DetectionOptions{}.nms);

std::vector<std::string> names_of_classes(const DetectorOptions& o, std::int64_t classes) {
  if (!o.names.empty() && !o.class_names.empty())
    fail("both a names file and the names of the classes are given; give one of them");
  if (o.class_names.empty()) return names_of(o.names, classes);
  if (std::ssize(o.class_names) != classes)
    fail(plural(std::ssize(o.class_names), "name"), " for a network with ",
         plural(classes, "class"));
  return o.class_names;
}

Tiling tiling_of(const DetectorOptions& o) {
  const Tiling t{.width = o.tile_width,
                 .height = o.tile_height,
                 .overlap = o.tile_overlap,
                 .whole = !o.tiles_only};
  if ((t.width == 0) != (t.height == 0) || t.width < 0)
    fail("tiles of ", t.width, " x ", t.height, ": give both sides, or 0 for no tiles");
  check(t);
  return t;
}

DetectionOptions detection_options(const Thresholds& t, const ConfidenceMap& calibration) {
  const auto in_range = [](float value) { return value >= 0 && value <= 1; };
  if (!in_range(t.probability)) fail("the threshold ", t.probability, " is not from 0 to 1");
  if (!in_range(t.nms)) fail("the overlap ", t.nms, " for suppression is not from 0 to 1");
  return {t.probability, t.nms, calibration};
}

DetectedObjects objects_of(const std::vector<Detection>& found, std::int64_t width,
                           std::int64_t height) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  DetectedObjects objects;
  objects.reserve(found.size());
  for (const Detection& d : found)
    objects.push_back({.class_id = d.class_id,
                       .probability = d.probability,
                       .objectness = d.objectness,
                       .left = d.box.left() * w,
                       .top = d.box.top() * h,
                       .width = d.box.w * w,
                       .height = d.box.h * h,
                       .center_x = d.box.x,
                       .center_y = d.box.y,
                       .relative_width = d.box.w,
                       .relative_height = d.box.h});
  return objects;
}

}  // namespace

struct Detector::Impl {
  Impl(const fs::path& cfg, const fs::path& weights, DetectorOptions o)
      : engine(cfg, weights, std::move(o)) {
    engine.work([&] {
      detection_options(engine.options().thresholds, {});  // throws at once
      tiling = tiling_of(engine.options());
      names = names_of_classes(engine.options(), classes_of(engine.network()));
      if (engine.options().calibrate)
        calibration = read_calibration(calibration_path(weights),
                                       calibrated_network(engine.network(), engine.checksum()));
    });
  }

  // `image(i)`: the one at that place, of `images`.
  std::vector<DetectedObjects> detect(std::size_t images,
                                      const std::function<Image(std::size_t)>& image,
                                      const std::optional<Thresholds>& thresholds) {
    const Thresholds& t = thresholds ? *thresholds : engine.options().thresholds;
    DetectionOptions o = detection_options(t, calibration);
    o.tiling = tiling;
    const auto batch = to_size(engine.options().batch);
    std::vector<DetectedObjects> all;
    while (o.tiling.on() && all.size() < images) all.push_back(detect_tiled(all.size(), image, o));
    while (all.size() < images) detect_part(std::min(batch, images - all.size()), image, o, all);
    return all;
  }

  Image read(const fs::path& file) const {
    return read_input(file, input_values(engine.network()));
  }

  DetectedObjects detect_tiled(std::size_t i, const std::function<Image(std::size_t)>& image_at,
                               const DetectionOptions& o) {
    Image image;
    engine.work([&] { image = image_at(i); });
    std::vector<Detection> found;
    engine.work_with_network([&](Network& n) {
      found = darknet::detect(n, image, o);
      require_finite_outputs(n);
    });
    return objects_of(found, image.width, image.height);
  }

  // Appends those of the next images.
  void detect_part(std::size_t count, const std::function<Image(std::size_t)>& image,
                   const DetectionOptions& o, std::vector<DetectedObjects>& all) {
    const Network& net = engine.network();
    std::vector<PreparedImage> prepared;
    engine.work([&] {
      for (std::size_t i = 0; i < count; ++i)
        prepared.push_back(prepare_image({}, image(all.size() + i), net.input_shape(),
                                         net.settings().letter_box, net.settings().input_max));
    });
    std::vector<std::vector<Detection>> found;
    engine.work_with_network([&](Network& n) {
      found = darknet::detect(n, prepared, o);
      require_finite_outputs(n, std::ssize(prepared));
    });
    for (std::size_t i = 0; i < count; ++i)
      all.push_back(objects_of(found[i], prepared[i].width, prepared[i].height));
  }

  api::Engine engine;
  ConfidenceMap calibration;
  Tiling tiling;
  std::vector<std::string> names;
  std::string device_name = to_string(engine.network().options().device);
};

Detector::Detector(const fs::path& cfg, const fs::path& weights, DetectorOptions options)
    : impl_(api::translated(
          [&] { return std::make_unique<Impl>(cfg, weights, std::move(options)); })) {}
Detector::Detector(Detector&&) noexcept = default;
Detector& Detector::operator=(Detector&&) noexcept = default;
Detector::~Detector() = default;

DetectedObjects Detector::detect(const ImageView& image, const std::optional<Thresholds>& t) {
  return api::translated([&] { return std::move(detect_batch({image}, t).front()); });
}

DetectedObjects Detector::detect_file(const fs::path& file, const std::optional<Thresholds>& t) {
  return api::translated([&] { return std::move(detect_files({file}, t).front()); });
}

std::vector<DetectedObjects> Detector::detect_batch(const std::vector<ImageView>& images,
                                                    const std::optional<Thresholds>& t) {
  const auto image = [&](std::size_t i) { return api::image_of(images[i], channels()); };
  return api::translated([&] { return impl_->detect(images.size(), image, t); });
}

std::vector<DetectedObjects> Detector::detect_files(const std::vector<fs::path>& files,
                                                    const std::optional<Thresholds>& t) {
  const auto image = [&](std::size_t i) { return impl_->read(files[i]); };
  return api::translated([&] { return impl_->detect(files.size(), image, t); });
}

const DetectorOptions& Detector::options() const { return impl_->engine.options(); }
const std::vector<std::string>& Detector::class_names() const { return impl_->names; }

const std::string& Detector::class_name(std::int32_t id) const {
  if (id < 0 || id >= classes())
    throw Exception(cat("there is no class ", id, ": the network has ", plural(classes(), "class"),
                        ", counted from 0"));
  return impl_->names[to_size(id)];
}

int Detector::classes() const { return static_cast<int>(impl_->names.size()); }
int Detector::width() const { return static_cast<int>(impl_->engine.network().input_shape().w); }
int Detector::height() const { return static_cast<int>(impl_->engine.network().input_shape().h); }
int Detector::channels() const { return static_cast<int>(impl_->engine.network().input_shape().c); }
const std::string& Detector::device() const { return impl_->device_name; }

const char* version() { return DARKNET_VERSION_STRING; }

}  // namespace darknet
