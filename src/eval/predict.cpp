#include "eval/predict.h"

#include <algorithm>

#include "cfg/data_file.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "detect/nms.h"
#include "nn/head_types.h"

namespace darknet {
namespace {

// How an image lies in the network's input.
struct Placed {
  const Placement& placement;
  std::int64_t width, height;  // of the image, pixels
  Shape input;
};

// What the network found in one image, after non-maximum suppression, in the image.
std::vector<Detection> in_image(std::vector<InputDetection> found, const HeadSettings& head,
                                const DetectionOptions& options, const Placed& placed) {
  const ConfidenceMap& calibrated = options.calibration;
  if (options.nms > 0) nms(found, head.nms_kind, options.nms, head.beta_nms);
  std::vector<Detection> all;
  all.reserve(found.size());
  for (const InputDetection& d : found) {
    const float probability = calibrated(d.probability);
    if (!(probability > options.threshold)) continue;
    all.push_back({to_image(d.box, placed.placement, placed.width, placed.height, placed.input.h,
                            placed.input.w),
                   d.class_id, d.objectness, probability});
  }
  return all;
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
    fail_at({net.where().file, 0}, "this network has no detection head (", head_names("or"), ")");
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

std::vector<Detection> detect(Network& net, const Image& image, const DetectionOptions& options) {
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

void detect_batches(Network& net, Loader& loader, std::size_t images, const DetectionRun& run,
                    const std::function<void(DetectedImage)>& take) {
  log::Progress progress("evaluating", static_cast<std::int64_t>(images));
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

void detect_images(Network& net, const ImagePaths& images, const DetectionRun& run,
                   const std::function<void(DetectedImage)>& take) {
  const Batches batches(evaluation_batches(net, images));
  Loader loader(batches, {.threads = run.threads});
  detect_batches(net, loader, images.size(), run, take);
}

std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet& set, int threads,
                                           const std::function<bool()>& stop,
                                           const DetectionOptions& options) {
  const Batches batches(evaluation_batches(net, set.images));
  Loader loader(batches, {.threads = threads});
  return run_evaluation(net, set, loader, stop, options);
}

std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet& set, Loader& loader,
                                           const std::function<bool()>& stop,
                                           const DetectionOptions& options) {
  require_comparable_classes(net);
  std::vector<EvaluatedImage> results(set.images.size());
  detect_batches(net, loader, results.size(), {.stop = stop, .options = options},
                 [&](DetectedImage image) {
                   EvaluatedImage& result = results[image.place];
                   result.detections = std::move(image.detections);
                   result.width = image.size.width, result.height = image.size.height;
                   set_ground_truths(result, set, image.place);
                 });
  return results;
}

}  // namespace darknet
