// Detection: images in, arrays out.
#include <mutex>
#include <variant>

#include "darknet/detector.h"
#include "dataset/coco_ids.h"
#include "python/module.h"

namespace darknet::python {
namespace {
namespace py = pybind11;
namespace fs = std::filesystem;

constexpr py::ssize_t kNumbers = 10;  // of an object: see numbers_of()

DetectorOptions options_of(const py::dict& d) {
  DetectorOptions o;
  set(d, "device", o.device), set(d, "precision", o.precision);
  set(d, "names", o.names), set(d, "class_names", o.class_names);
  set(d, "threshold", o.thresholds.probability), set(d, "nms", o.thresholds.nms);
  set(d, "batch", o.batch), set(d, "threads", o.threads);
  set(d, "tile_width", o.tile_width), set(d, "tile_height", o.tile_height);
  set(d, "overlap", o.tile_overlap), set(d, "tiles_only", o.tiles_only);
  set(d, "letter_box", o.letter_box), set(d, "calibrate", o.calibrate), set(d, "exact", o.exact);
  set(d, "tuning", o.tuning), set(d, "overrides", o.overrides);
  o.log = log_of(d);
  return o;
}

// Of an array of bytes (H, W) or (H, W, C) in which only the rows may have a gap, which the package
// sees to; it lives as long as the call.
ImageView view_of(const py::array& image, bool blue_first) {
  const py::ssize_t channels = image.ndim() == 2 ? 1 : image.shape(2);
  const PixelFormat format = channels == 1   ? PixelFormat::grey
                             : channels == 3 ? (blue_first ? PixelFormat::bgr : PixelFormat::rgb)
                                             : (blue_first ? PixelFormat::bgra : PixelFormat::rgba);
  return {static_cast<const std::uint8_t*>(image.data()), image.shape(1), image.shape(0), format,
          image.strides(0)};
}

py::tuple arrays_of(const DetectedObjects& objects) {
  const py::ssize_t n = std::ssize(objects);
  py::array_t<std::int32_t> classes(n);
  py::array_t<float> numbers({n, kNumbers});
  auto class_at = classes.mutable_unchecked<1>();
  auto at = numbers.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < n; ++i) {
    const DetectedObject& o = objects[static_cast<std::size_t>(i)];
    const float all[kNumbers] = {o.probability,    o.objectness,     o.left,     o.top,
                                 o.width,          o.height,         o.center_x, o.center_y,
                                 o.relative_width, o.relative_height};
    class_at(i) = o.class_id;
    for (py::ssize_t k = 0; k < kNumbers; ++k) at(i, k) = all[k];
  }
  return py::make_tuple(classes, numbers);
}

// A Detector whose calls by several threads take turns.
class SharedDetector {
 public:
  SharedDetector(const fs::path& cfg, const fs::path& weights, const DetectorOptions& o)
      : detector_(cfg, weights, o) {}

  const Detector& detector() const { return detector_; }

  template <class F>
  std::vector<DetectedObjects> detect(F f) {
    const Unlocked unlocked;
    const std::lock_guard turn(mutex_);
    return f(detector_);
  }

 private:
  std::mutex mutex_;
  Detector detector_;
};

// Its destructor may wait for a thread that logs.
void destroy(SharedDetector* detector) {
  const Unlocked unlocked;
  delete detector;  // NOLINT(cppcoreguidelines-owning-memory)
}
struct Destroy {
  void operator()(SharedDetector* detector) const { destroy(detector); }
};
using Holder = std::unique_ptr<SharedDetector, Destroy>;

Holder opened(const fs::path& cfg, const fs::path& weights, const py::dict& options) {
  const DetectorOptions o = options_of(options);
  const Unlocked unlocked;
  return Holder(new SharedDetector(cfg, weights, o));  // NOLINT(cppcoreguidelines-owning-memory)
}

std::vector<py::tuple> all_arrays(const std::vector<DetectedObjects>& found) {
  std::vector<py::tuple> all;
  for (const DetectedObjects& objects : found) all.push_back(arrays_of(objects));
  return all;
}

std::vector<py::tuple> detect_arrays(SharedDetector& d, const std::vector<py::array>& images,
                                     bool blue_first, const Thresholds& thresholds) {
  std::vector<ImageView> views;
  for (const py::array& image : images) views.push_back(view_of(image, blue_first));
  return all_arrays(d.detect([&](Detector& own) { return own.detect_batch(views, thresholds); }));
}

std::vector<py::tuple> detect_files(SharedDetector& d, const std::vector<fs::path>& files,
                                    const Thresholds& thresholds) {
  return all_arrays(d.detect([&](Detector& own) { return own.detect_files(files, thresholds); }));
}

}  // namespace

void add_detector(py::module_& m) {
  py::class_<SharedDetector, Holder>(m, "Detector")
      .def(py::init(&opened))
      .def("detect_arrays",
           [](SharedDetector& d, const std::vector<py::array>& images, bool blue_first,
              float threshold, float nms) {
             return detect_arrays(d, images, blue_first, {threshold, nms});
           })
      .def("detect_files",
           [](SharedDetector& d, const std::vector<fs::path>& files, float threshold, float nms) {
             return detect_files(d, files, {threshold, nms});
           })
      .def_property_readonly("class_names",
                             [](const SharedDetector& d) { return d.detector().class_names(); })
      .def_property_readonly("width", [](const SharedDetector& d) { return d.detector().width(); })
      .def_property_readonly("height",
                             [](const SharedDetector& d) { return d.detector().height(); })
      .def_property_readonly("channels",
                             [](const SharedDetector& d) { return d.detector().channels(); })
      .def_property_readonly("device",
                             [](const SharedDetector& d) { return d.detector().device(); });
  m.def("category_id", &category_id);
}

}  // namespace darknet::python
