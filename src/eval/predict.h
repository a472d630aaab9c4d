// Pictures in, detections out: preparing the input, the forward pass, non-maximum suppression and
// boxes in fractions of the picture.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "dataset/augment.h"
#include "dataset/image_paths.h"
#include "dataset/loader.h"
#include "detect/box.h"
#include "eval/average_precision.h"
#include "image/image.h"
#include "nn/network.h"

namespace darknet {

inline constexpr float kDefaultNms = .45f;            // Darknet
inline constexpr float kEvaluationThreshold = .005f;  // Darknet: detections that count for the AP

struct DetectionOptions {
  float threshold = .25f;
  float nms = kDefaultNms;  // 0: none
};

// A picture as the network's input, and the way back.
struct PreparedPicture {
  std::vector<float> pixels;  // NHWC, 0..1
  Placement placement;
  std::int64_t width = 0, height = 0;  // of the picture, pixels
};
// `input`: net.input_shape(). Needs no network, so that it can be done while one is at work.
PreparedPicture prepare_picture(const Stream&, const Image&, const Shape& input, bool letter_box);

// The detections of one picture; `net` was made for inference with a batch of 1.
std::vector<Detection> detect(Network& net, const PreparedPicture&, const DetectionOptions&);
std::vector<Detection> detect(Network& net, const Image& image, const DetectionOptions&);
// The highest probability of any box after the last detect(); 0 where none has at least .001.
float highest_probability(const Network& net);

using EvaluationSet = AnnotatedImages;
// Gives the image `i` of the set its ground truths.
void set_ground_truths(EvaluatedImage&, const EvaluationSet&, std::size_t i);

// Runs the network over all images; their pictures are read ahead by `threads` threads (0: chosen).
// `stop` is asked between batches; once it says yes, the rest stays empty.
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, int threads,
                                           const std::function<bool()>& stop = nullptr,
                                           const DetectionOptions& = {kEvaluationThreshold,
                                                                      kDefaultNms});
// The same in two steps, for who evaluates more than once: batches whose decoded images are kept,
// and a loader of them for each time.
BatchSettings evaluation_batches(const Network& net, const EvaluationSet&);
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, Loader&,
                                           const std::function<bool()>& stop = nullptr,
                                           const DetectionOptions& = {kEvaluationThreshold,
                                                                      kDefaultNms});

// The classes that the network's heads judge; throws where it has no head or they disagree.
std::int64_t classes_of(const Network&);
// Throws where the network's input has a number of channels that no picture has.
void require_picture_input(const Network&);

}  // namespace darknet
