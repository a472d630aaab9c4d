// Pictures in, detections out: preparing the input, the forward pass, non-maximum suppression and
// boxes in fractions of the picture.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

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

// The detections of one picture; `net` was made for inference with a batch of 1.
std::vector<Detection> detect(Network& net, const Image& image, const DetectionOptions&);

struct EvaluationSet {
  std::vector<std::filesystem::path> images;
  std::vector<std::vector<Truth>> truths, difficult;  // one entry per image
};

// Runs the network over all images; their pictures are read ahead by `threads` threads (0: chosen).
// `stop` is asked between batches; once it says yes, the rest stays empty.
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, int threads,
                                           const std::function<bool()>& stop = nullptr);

// The classes that the network's heads judge; throws where it has no head or they disagree.
std::int64_t classes_of(const Network&);
// Throws where the network's input has a number of channels that no picture has.
void require_picture_input(const Network&);

}  // namespace darknet
