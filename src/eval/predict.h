// Images in, detections out: preparing the input, the forward pass, non-maximum suppression and
// boxes in fractions of the image.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "core/ranks.h"
#include "dataset/augment.h"
#include "dataset/image_paths.h"
#include "dataset/loader.h"
#include "detect/box.h"
#include "eval/average_precision.h"
#include "eval/confidence_map.h"
#include "eval/image_share.h"
#include "eval/tiles.h"
#include "image/image.h"
#include "image/image_size.h"
#include "nn/network.h"

namespace darknet {

struct DataFile;  // cfg/data_file.h

inline constexpr float kDefaultNms = .45f;            // Darknet
inline constexpr std::int64_t kEvaluationBatch = 4;   // images at a time
inline constexpr float kEvaluationThreshold = .005f;  // Darknet: detections that count for the AP

struct DetectionOptions {
  float threshold = .25f;          // of the probability, calibrated
  float nms = kDefaultNms;         // 0: none
  ConfidenceMap calibration = {};  // of the probabilities; their order and the boxes stay
  Tiling tiling = {};              // of images that are larger than a tile
};

// An image as the network's input, and the way back.
struct PreparedImage {
  std::vector<float> pixels;  // NHWC, 0..1
  Placement placement;
  std::int64_t width = 0, height = 0;  // of the image, pixels
};
// `input`: net.input_shape(), whose channels the image must have. Needs no network, so that it can
// be done while one is at work. `input_max`: [net]'s; 0: Image::value_of_one becomes 1.
PreparedImage prepare_image(const Stream&, const Image&, const Shape& input, bool letter_box,
                            float input_max);

// The forward pass over NHWC pixels of as many images as there are; the network may take more.
void forward_images(Network& net, const std::vector<float>& pixels);

// The detections of one image. Tiles and the whole image go through the network as many at a time
// as its batch; throws as require_finite_outputs() where one of them gives no finite numbers.
std::vector<Detection> detect(Network& net, const Image& image, const DetectionOptions&);
// Of prepared images, which are never cut into tiles: of one, and of several, no more than the
// network's batch.
std::vector<Detection> detect(Network& net, const PreparedImage&, const DetectionOptions&);
std::vector<std::vector<Detection>> detect(Network& net, std::span<const PreparedImage>,
                                           const DetectionOptions&);
// The highest probability of any box in the first image of the last forward pass; 0 where none has
// at least .001.
float highest_probability(const Network& net);

// The detections of one image of a list.
struct DetectedImage {
  std::size_t place = 0;  // in the list, from 0
  ImageSize size;         // pixels
  std::vector<Detection> detections;
};
struct DetectionRun {
  int threads = 0;                       // that read images ahead; 0: chosen
  std::function<bool()> stop = nullptr;  // asked between batches; once it says yes, the run ends
  DetectionOptions options = {kEvaluationThreshold, kDefaultNms};
  Ranks* ranks = &single_rank();  // which share the images
};
// Runs the network over a list of images and hands over each in the order of the list, in rank 0;
// none is kept. With tiles, warns of images that were not cut. Returns whether all were handed
// over, the same in every rank. Throws where an image cannot be read, where an image's outputs are
// not finite, and what `take` throws.
bool detect_images(Network& net, const ImagePaths&, const DetectionRun&,
                   const std::function<void(DetectedImage)>& take);

using EvaluationSet = AnnotatedImages;
// Gives the image `i` of the set its ground truths.
void set_ground_truths(EvaluatedImage&, const EvaluationSet&, std::size_t i);

// The same with ground truths; throws where a head's map= has its labels count other classes than
// its detections. All images are kept, in the order of the list: once `stop` says yes, the rest
// stays empty, as all do in other ranks than 0.
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, const DetectionRun&);
// The same in two steps, without tiles, for repeated evaluations: batches of this rank's share,
// whose decoded images are kept, and a loader of them for each evaluation.
BatchSettings evaluation_batches(const Network& net, const ImagePaths&);
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, const ImageShare&,
                                           Loader&, const std::function<bool()>& stop);

// The classes that the network's heads classify; throws where it has no head or they disagree.
std::int64_t classes_of(const Network&);
// The same; throws where the .data file gives another number. Where it gives that of the labels of
// a head's map=, the head finds these from then on.
std::int64_t classes_of(const Network&, const DataFile&);
// Where the class tree of a head and these names disagree: what is wrong, with the layer; else "".
std::string tree_conflict(const Network&, std::span<const std::string> names);
// Of another network of the same data: its heads find labels, if they are so many.
void find_labels(const Network&, std::int64_t classes);
// Throws where the network's input has a number of channels that no video has.
void require_video_input(const Network&);
// For read_input().
InputValues input_values(const Network&);

}  // namespace darknet
