// Finds objects in images with a trained network: a .cfg and its .weights. Results equal those of
// the command `darknet detect` to the last bit. C++17.
//
//   darknet::Detector detector{"yolov4-tiny.cfg", "yolov4-tiny.weights"};
//   for (const darknet::DetectedObject& object : detector.detect_file("dog.jpg"))
//     std::cout << detector.class_name(object.class_id) << ' ' << object.probability << '\n';
//
// Threads: a Detector works for one thread at a time, which need not be the one that made it.
// Different Detectors work at the same time; those on one GPU take turns. A program with many
// threads has a Detector for each, or a DetectorPool (darknet/detector_pool.h).
//
// Errors: every function that does more than return a member throws an Exception (darknet/error.h),
// and nothing else; the object can be used afterwards. Nothing is written to standard output or
// error, except that libpng and other decoders of image files may warn on standard error of what
// they read. The working directory is read only by way of the relative paths that are given.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "darknet/error.h"
#include "darknet/export.h"
#include "darknet/image.h"

namespace darknet {

// Which boxes count. The defaults are Darknet's.
struct Thresholds {
  float probability = .25f;  // least probability of a detection, 0..1
  float nms = .45f;  // IoU of two boxes of a class above which the weaker one goes; 0: none goes
};

struct DetectedObject {
  std::int32_t class_id = 0;  // from 0; Detector::class_name() has its name
  float probability = 0;      // objectness times the probability of the class, 0..1
  float objectness = 0;       // 0..1
  // The box in pixels of the image, not rounded; (0, 0) is the outer corner of the first pixel. A
  // box may reach beyond the image.
  float left = 0, top = 0, width = 0, height = 0;
  // The same box as fractions of the image: the centre, and the size; Darknet's label files have
  // them.
  float center_x = 0, center_y = 0, relative_width = 0, relative_height = 0;
};
// Of one image, by falling probability; without suppression (nms = 0) in no particular order.
using DetectedObjects = std::vector<DetectedObject>;

enum class LogLevel : std::uint8_t { information, warning, error };

struct DetectorOptions {
  // "auto": the first GPU there is, else the CPU. "cpu", "cuda", "cuda:1": that one, or an
  // Exception.
  std::string device = "auto";
  // Element type of activations: "" as the cfg has it, "f32", "bf16", "f16" (GPUs), or "int8" (CPU;
  // reads NAME.int8 next to NAME.weights, which `darknet quantize` wrote).
  std::string precision;
  std::filesystem::path names;           // a .names file, one class a line
  std::vector<std::string> class_names;  // in its place; with neither, "class 0", "class 1"...
  Thresholds thresholds;                 // of calls that have none of their own
  // Images of a forward pass, which costs as much with fewer. More than 1 is faster on GPUs; the
  // last bits of the results may then differ from those of `darknet detect`.
  int batch = 1;
  int threads = 0;          // of the CPU that a call uses; 0: as many as OpenMP has
  bool letter_box = false;  // keep the aspect ratio, grey bars around, whatever the cfg says
  bool calibrate = false;   // probabilities by NAME.calibration.json (`darknet detector calibrate`)
  // Sliced inference for small objects in large images: those larger than a tile are detected in
  // overlapping tiles, each as an image of its own, and what is found is merged.
  int tile_width = 0, tile_height = 0;  // pixels of the image; 0: no tiles
  float tile_overlap = .2f;             // share of a tile that the next one shows too, 0 to .9
  bool tiles_only = false;              // without a pass over the whole image
  bool exact = false;            // direct convolutions only: slower, closest to plain arithmetic
  std::filesystem::path tuning;  // the convolutions' algorithms, by `darknet bench -tune`
  std::vector<std::string> overrides;  // changes of the cfg: "net.0.width=608"
  // Gets messages, such as warnings about keys of the cfg, before the call returns that gives rise
  // to them; on a GPU from another thread. It must not throw, nor call the library. Null: they are
  // dropped.
  std::function<void(LogLevel, const std::string& message)> log;
};

class DARKNET_EXPORT Detector {
 public:
  // Reads the files and plans the memory; takes as long as hundreds of milliseconds.
  Detector(const std::filesystem::path& cfg, const std::filesystem::path& weights,
           DetectorOptions = {});
  Detector(Detector&&) noexcept;  // leaves an object that can only be destroyed or assigned to
  Detector& operator=(Detector&&) noexcept;
  ~Detector();

  // Without thresholds: those of the options. Images may have any size; grey ones and colour ones
  // are converted where the network has other channels.
  DetectedObjects detect(const ImageView&, const std::optional<Thresholds>& = {});
  // Every kind of image that `darknet detect` reads, turned as its EXIF orientation says; the boxes
  // are those of the turned image.
  DetectedObjects detect_file(const std::filesystem::path&, const std::optional<Thresholds>& = {});
  // The results of each image, in the order given, `batch` images at a time. All or nothing: an
  // image that cannot be read ends the call.
  std::vector<DetectedObjects> detect_batch(const std::vector<ImageView>&,
                                            const std::optional<Thresholds>& = {});
  std::vector<DetectedObjects> detect_files(const std::vector<std::filesystem::path>&,
                                            const std::optional<Thresholds>& = {});

  const DetectorOptions& options() const;                // as they were given
  const std::vector<std::string>& class_names() const;   // by class_id
  const std::string& class_name(std::int32_t id) const;  // throws where there is no such class
  int classes() const;
  int width() const;  // of the network's input, pixels
  int height() const;
  int channels() const;               // 3: colour, 1: grey
  const std::string& device() const;  // on which it computes: "cpu", "cuda:0"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The version of the library that runs, "0.1.0"; DARKNET_VERSION_STRING (darknet/version.h) is that
// of the headers.
DARKNET_EXPORT const char* version();

}  // namespace darknet
