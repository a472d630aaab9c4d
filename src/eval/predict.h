// Pictures in, detections out: preparing the input, the forward pass, non-maximum suppression and
// boxes in fractions of the picture.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
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
std::vector<Detection> detect(Network& net, const Image& picture, const DetectionOptions&);

// An inference network of the same cfg text for evaluation while another one trains: `batch` images
// at a time.
struct EvaluationSet {
  std::vector<std::filesystem::path> images;
  std::vector<std::vector<Truth>> truths, difficult;  // one entry per image
};

using EvaluationProgress = std::function<void(std::int64_t done, std::int64_t of)>;

// Runs the network over all images; their pictures are read ahead by `threads` threads (0: chosen).
std::vector<EvaluatedImage> run_evaluation(Network& net, const EvaluationSet&, int threads,
                                           const EvaluationProgress& = nullptr);

// The classes that the network's heads judge; throws where it has no head or they disagree.
std::int64_t classes_of(const Network&);

}  // namespace darknet
