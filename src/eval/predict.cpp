#include "eval/predict.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "cfg/class_tree.h"
#include "cfg/data_file.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/prefetcher.h"
#include "core/text.h"
#include "dataset/image_cache.h"
#include "detect/nms.h"
#include "eval/open_network.h"
#include "nn/head_types.h"
#include "nn/target_loss.h"

namespace darknet {
namespace {

// How an image lies in the network's input.
struct Placed {
  const Placement& placement;
  std::int64_t width, height;  // of the image, pixels
  Shape input;
};

Box in_image(const Box& b, const Placed& p) {
  return to_image(b, p.placement, p.width, p.height, p.input.h, p.input.w);
}

// Those whose calibrated probability is above the threshold, with `box_of` each one's box.
template <class BoxOf>
std::vector<Detection> above_threshold(const std::vector<InputDetection>& found,
                                       const DetectionOptions& options, const BoxOf& box_of) {
  std::vector<Detection> all;
  all.reserve(found.size());
  for (const InputDetection& d : found) {
    const float probability = options.calibration(d.probability);
    if (!(probability > options.threshold)) continue;
    all.push_back({box_of(d.box), d.class_id, d.objectness, probability});
  }
  return all;
}

// What the network found in one image, after non-maximum suppression, in the image.
std::vector<Detection> in_image(std::vector<InputDetection> found, const HeadSettings& head,
                                const DetectionOptions& options, const Placed& placed) {
  if (options.nms > 0) nms(found, head.nms_kind, options.nms, head.beta_nms);
  return above_threshold(found, options, [&](const Box& b) { return in_image(b, placed); });
}

const HeadSettings& last_head(const Network& net) { return net.heads().back().head->settings(); }

// The detections of each image of the last forward pass. The cores share the suppression, of
// thousands of boxes in each image of an evaluation. Outputs are read by one thread: a GPU's errors
// are exceptions, which cannot leave a parallel loop.
std::vector<std::vector<Detection>> detections_in_images(const Network& net, const Batch& batch,
                                                         const DetectionOptions& options) {
  const std::size_t images = batch.images.size();
  const float threshold = options.calibration.lower_bound(options.threshold);
  std::vector<std::vector<InputDetection>> found(images);
  for (std::size_t i = 0; i < images; ++i)
    found[i] = detections(net, static_cast<std::int64_t>(i), threshold);
  std::vector<std::vector<Detection>> all(images);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < images; ++i)
    all[i] = in_image(
        std::move(found[i]), last_head(net), options,
        {batch.placements[i], batch.sizes[i].width, batch.sizes[i].height, net.input_shape()});
  return all;
}

}  // namespace

void forward_images(Network& net, const std::vector<float>& pixels) {
  const Stream& stream = net.stream();
  const bool in_place =
      stream.device.type == DeviceType::cpu && std::ssize(pixels) == net.input_shape().size();
  if (!in_place)
    memory(stream.device.type)
        .copy_in(stream, net.input().data, pixels.data(), pixels.size() * sizeof(float));
  net.forward(
      {.stream = stream, .mode = Mode::inference, .input = in_place ? pixels.data() : nullptr});
}

std::int64_t classes_of(const Network& net) {
  std::int64_t classes = 0;
  for (const HeadAt& at : net.heads()) {
    const std::int64_t here = at.head->classes_found();
    if (classes > 0 && here != classes)
      fail(net.layer(at.layer).title(), ": has ", plural(here, "class"), ", another head has ",
           classes, "; give all heads the same classes=");
    classes = here;
  }
  if (classes == 0)
    fail_at({net.where().file, 0}, "this network has no detection head (", head_names("or"), ")",
            target_layer(net) >= 0
                ? "; it is a classifier: the commands `darknet classifier` are for it"
                : "");
  return classes;
}

void find_labels(const Network& net, std::int64_t classes) {
  for (const HeadAt& at : net.heads()) at.head->find_labels(classes);
}

std::int64_t classes_of(const Network& net, const DataFile& data) {
  find_labels(net, data.classes);
  const std::int64_t classes = classes_of(net);
  if (data.classes > 0 && data.classes != classes)
    fail_at({data.path.string(), 0}, "classes=", data.classes, ", but the heads of ",
            net.where().file, " have ", classes,
            "; give both the same number (before each head, filters= follows from it)");
  return classes;
}

std::string tree_conflict(const Network& net, std::span<const std::string> names) {
  for (const HeadAt& at : net.heads())
    if (const std::string what = name_conflict(at.head->tree_names(), names); !what.empty())
      return cat(net.layer(at.layer).title(), ": ", what,
                 "; give names= the lines of the tree in their order");
  return "";
}

void require_video_input(const Network& net) {
  const std::int64_t channels = net.settings().channels;
  if (channels != 1 && channels != 3)
    fail_at(net.where(), "[net] channels=", channels,
            ": a video has 3 channels (colour) or 1 (grey); detector test reads images of any "
            "number (.npy, TIFF)");
}

InputValues input_values(const Network& net) {
  return {.channels = net.settings().channels, .max = net.settings().input_max};
}

PreparedImage prepare_image(const Stream& stream, const Image& image, const Shape& input,
                            bool letter_box, float input_max) {
  if (image.channels != input.c)
    fail("an image of ", plural(image.channels, "channel"), " for a network that takes ", input.c);
  PreparedImage out{.pixels = std::vector<float>(to_size(input.features())),
                    .placement = plain_placement(image, input.h, input.w, letter_box),
                    .width = image.width,
                    .height = image.height};
  place(stream, image, out.placement, {out.pixels.data(), {1, input.h, input.w, input.c}, input.c},
        input_max);
  return out;
}

namespace {

std::vector<float> joined_pixels(std::span<const PreparedImage> images) {
  std::vector<float> pixels;
  for (const PreparedImage& image : images)
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  return pixels;
}

// Of the image at this place of the last forward pass.
std::vector<Detection> found_in(const Network& net, std::int64_t place, const PreparedImage& image,
                                const DetectionOptions& options) {
  return in_image(detections(net, place, options.calibration.lower_bound(options.threshold)),
                  last_head(net), options,
                  {image.placement, image.width, image.height, net.input_shape()});
}

}  // namespace

std::vector<Detection> detect(Network& net, const PreparedImage& image,
                              const DetectionOptions& options) {
  forward_images(net, image.pixels);
  return found_in(net, 0, image, options);
}

std::vector<std::vector<Detection>> detect(Network& net, std::span<const PreparedImage> images,
                                           const DetectionOptions& options) {
  if (images.size() == 1)
    forward_images(net, images.front().pixels);
  else
    forward_images(net, joined_pixels(images));
  std::vector<std::vector<Detection>> found;
  found.reserve(images.size());
  for (const PreparedImage& image : images)
    found.push_back(found_in(net, std::ssize(found), image, options));
  return found;
}

namespace {

// Detects in views of an image, its tiles and perhaps the whole of it, as many at a time as the
// network's batch.
class ViewsOfImage {
 public:
  ViewsOfImage(Network& net, const Image& image, std::vector<Rect> tiles,
               const DetectionOptions& options)
      : net_(net),
        image_(image),
        size_{image.width, image.height},
        tiles_(std::move(tiles)),
        options_(options) {}

  std::vector<Detection> detect() {
    const std::size_t views = tiles_.size() + (options_.tiling.whole ? 1 : 0);
    const auto batch = to_size(net_.input_shape().n);
    for (std::size_t first = 0; first < views; first += batch)
      detect(first, std::min(batch, views - first));
    return above_threshold(merge_tiles(found_, tiles_, size_, last_head(net_), options_.nms),
                           options_, [](const Box& b) { return b; });
  }

 private:
  PreparedImage prepared(std::size_t view) const {
    const Shape input = net_.input_shape();
    const NetSettings& s = net_.settings();
    const auto of = [&](const Image& image) {
      return prepare_image({}, image, input, s.letter_box, s.input_max);
    };
    return view < tiles_.size() ? of(cut_out(image_, tiles_[view])) : of(image_);
  }

  void detect(std::size_t first, std::size_t count) {
    std::vector<PreparedImage> views;
    for (std::size_t i = 0; i < count; ++i) views.push_back(prepared(first + i));
    if (count == 1)
      forward_images(net_, views.front().pixels);
    else
      forward_images(net_, joined_pixels(views));
    require_finite_outputs(net_, static_cast<std::int64_t>(count));
    const float threshold = options_.calibration.lower_bound(options_.threshold);
    for (std::size_t i = 0; i < count; ++i)
      add(detections(net_, static_cast<std::int64_t>(i), threshold), first + i, views[i]);
  }

  void add(std::vector<InputDetection> found, std::size_t view, const PreparedImage& p) {
    const Rect rect = view < tiles_.size() ? tiles_[view] : Rect{0, 0, image_.width, image_.height};
    for (InputDetection& d : found) {
      const Box in_view = in_image(d.box, {p.placement, p.width, p.height, net_.input_shape()});
      d.box = from_tile(in_view, rect, size_);
      found_.push_back({d, view});
    }
  }

  Network& net_;
  const Image& image_;
  ImageSize size_;
  std::vector<Rect> tiles_;
  const DetectionOptions& options_;
  std::vector<TileDetection> found_;
};

}  // namespace

std::vector<Detection> detect(Network& net, const Image& image, const DetectionOptions& options) {
  std::vector<Rect> tiles = tiles_of(options.tiling, {image.width, image.height});
  if (!tiles.empty()) return ViewsOfImage(net, image, std::move(tiles), options).detect();
  const NetSettings& s = net.settings();
  return detect(net, prepare_image({}, image, net.input_shape(), s.letter_box, s.input_max),
                options);
}

float highest_probability(const Network& net) {
  float highest = 0;
  for (const InputDetection& d : detections(net, 0, .001f))
    highest = std::max(highest, d.probability);
  return highest;
}

void set_ground_truths(EvaluatedImage& image, const EvaluationSet& set, std::size_t i) {
  image.truths.assign(set.truths[i].begin(), set.truths[i].end());
  if (!set.difficult.empty())
    image.difficult.assign(set.difficult[i].begin(), set.difficult[i].end());
}

BatchSettings evaluation_batches(const Network& net, const ImagePaths& images) {
  const Shape shape = net.input_shape();
  return {.images = images,
          .channels = shape.c,
          .batch = shape.n,
          .input_max = net.settings().input_max,
          .size =
              [shape](std::int64_t) {
                return InputSize{shape.h, shape.w};
              },
          .letter_box = net.settings().letter_box};
}

namespace {

void detect_batches(Network& net, Loader& loader, const DetectionRun& run,
                    const std::function<void(DetectedImage)>& take) {
  log::Progress progress("evaluating", loader.images());
  std::size_t done = 0;
  while (true) {
    const Batch& batch = loader.next();
    if (batch.images.empty() || (run.stop && run.stop())) return;
    forward_images(net, batch.pixels);
    std::vector<std::vector<Detection>> found = detections_in_images(net, batch, run.options);
    for (std::size_t i = 0; i < found.size(); ++i, ++done)
      take({to_size(batch.images[i]),
            {batch.sizes[i].width, batch.sizes[i].height},
            std::move(found[i])});
    progress.at(static_cast<std::int64_t>(done));
  }
}

// Class trees: what labels count and what detections are of.
void require_comparable_classes(const Network& net) {
  for (const HeadAt& at : net.heads())
    if (!at.head->finds_its_labels())
      fail(net.layer(at.layer).title(),
           ": map= makes classes of labels, and detections of such classes cannot be compared with "
           "labels; give the .data file classes= with the number of lines of that map, and names= "
           "with the labels' names");
}

}  // namespace

namespace {

// The whole images of a list, for a Prefetcher: tiles are cut when they are needed, since all of an
// image together are many times as large.
class DecodedImages {
 public:
  struct Item {
    std::int64_t place = 0;
    std::optional<CachedImage> image;
  };
  DecodedImages(const ImagePaths& images, const InputValues& values)
      : images_(images, values, nullptr, Outside::grey) {}
  std::int64_t pieces(std::int64_t k) const { return k < images_.size() ? 1 : 0; }
  void prepare(std::int64_t k, Item& item) const { item.place = k; }
  void make_piece(Item& item, std::int64_t /*piece*/) const {
    item.image = images_.get(item.place);
  }

 private:
  mutable ImageCache images_;
};

void detect_tiled_images(Network& net, const ImagePaths& images, const DetectionRun& run,
                         const std::function<void(DetectedImage)>& take) {
  const DecodedImages decoded(images, input_values(net));
  Prefetcher<DecodedImages> ahead(decoded, 0, run.threads, "that reads images");
  log::Progress progress("evaluating", std::ssize(images));
  std::int64_t done = 0;
  while (const auto* item = ahead.next([](const DecodedImages::Item&) {})) {
    if (run.stop && run.stop()) return;
    const Image& image = (*item->image)->image;
    take({to_size(item->place), {image.width, image.height}, detect(net, image, run.options)});
    progress.at(++done);
  }
}

// The images of this rank alone.
void detect_own_images(Network& net, const ImagePaths& images, const DetectionRun& run,
                       const std::function<void(DetectedImage)>& take) {
  if (images.empty()) return;
  if (run.options.tiling.on()) return detect_tiled_images(net, images, run, take);
  const Batches batches(evaluation_batches(net, images));
  Loader loader(batches, {.threads = run.threads});
  detect_batches(net, loader, run, take);
}

// For share_results().
std::string bytes_of(const DetectedImage& image) {
  return to_bytes<ImageSize>({&image.size, 1}) + to_bytes<Detection>(image.detections);
}

DetectedImage image_of(std::size_t place, std::string_view bytes) {
  return {place, from_bytes<ImageSize>(bytes.substr(0, sizeof(ImageSize))).front(),
          from_bytes<Detection>(bytes.substr(sizeof(ImageSize)))};
}

// detect(stop, take): of this rank's images; `take` gets those of all.
template <class Detect>
bool detect_together(const ImageShare& share, const std::function<bool()>& stop,
                     const std::function<void(DetectedImage)>& take, const Detect& detect) {
  return share_results(
      share, stop, [&](std::size_t place, std::string_view bytes) { take(image_of(place, bytes)); },
      [&](const auto& stopped, const auto& give) {
        detect(stopped, [&](const DetectedImage& image) { give(bytes_of(image)); });
      });
}

// What the detections depend on, next to the images.
void add_inputs(ImageShare& share, const Network& net, const DetectionOptions& options) {
  if (!share.ranks().several()) return;
  for (const Parameter* p : net.parameters())
    share.add_input<float>(p->value.to_host(net.stream()));
  const Tiling& t = options.tiling;
  share.add_input<float>(std::array{options.threshold, options.nms, t.overlap});
  share.add_input<std::int64_t>(std::array<std::int64_t, 3>{t.width, t.height, t.whole ? 1 : 0});
}

// Says how many images a tiling left whole.
class UncutImages {
 public:
  explicit UncutImages(const Tiling& tiling) : tiling_(tiling) {}
  void add(const ImageSize& size) {
    ++images_;
    if (tiles_of(tiling_, size).empty()) ++uncut_;
  }
  void warn() const {
    if (tiling_.on() && uncut_ > 0)
      log::warn(cat(uncut_, " of ", plural(images_, "image"), " were not cut: they are no larger ",
                    "than a tile of ", tiling_.width, " x ", tiling_.height));
  }

 private:
  const Tiling& tiling_;
  std::int64_t images_ = 0, uncut_ = 0;
};

}  // namespace

bool detect_images(Network& net, const ImagePaths& images, const DetectionRun& run,
                   const std::function<void(DetectedImage)>& take) {
  const std::int64_t batch = run.options.tiling.on() ? 1 : net.input_shape().n;
  ImageShare share(*run.ranks, images, batch);
  add_inputs(share, net, run.options);
  UncutImages uncut(run.options.tiling);
  const auto take_counted = [&](DetectedImage image) {
    uncut.add(image.size);
    take(std::move(image));
  };
  const auto detect = [&](const auto& stop, const auto& give) {
    DetectionRun own = run;
    own.stop = stop;
    bool detected = false;
    detect_own_images(net, share.mine(images), own, [&](const DetectedImage& image) {
      detected = true;
      give(image);
    });
    if (detected) require_finite_outputs(net);
  };
  const bool all = detect_together(share, run.stop, take_counted, detect);
  uncut.warn();
  return all;
}

namespace {

// Puts images in the places of their list, with their ground truths.
struct Evaluated {
  const EvaluationSet& set;
  std::vector<EvaluatedImage> images = std::vector<EvaluatedImage>(set.images.size());
  void operator()(DetectedImage image) {
    EvaluatedImage& result = images[image.place];
    result.detections = std::move(image.detections);
    result.width = image.size.width, result.height = image.size.height;
    set_ground_truths(result, set, image.place);
  }
};

}  // namespace

std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet& set,
                                           const DetectionRun& run) {
  require_comparable_classes(net);
  Evaluated all{set};
  detect_images(net, set.images, run, [&](DetectedImage image) { all(std::move(image)); });
  return std::move(all.images);
}

std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet& set,
                                           const ImageShare& share, Loader& loader,
                                           const std::function<bool()>& stop) {
  require_comparable_classes(net);
  Evaluated all{set};
  detect_together(
      share, stop, [&](DetectedImage image) { all(std::move(image)); },
      [&](const auto& stopped, const auto& give) {
        DetectionRun own;
        own.stop = stopped;
        detect_batches(net, loader, own, give);
      });
  return std::move(all.images);
}

}  // namespace darknet
