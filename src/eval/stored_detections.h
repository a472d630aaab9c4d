// The detections of a network on a list of images as a file that keeps their values bit for bit.
// For this program and this kind of processor only; formats for other programs are in
// dataset/result_writer.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "eval/predict.h"

namespace darknet {

// Replaces the file atomically. `weights`: checksum of those that the detections are from.
void store_detections(const std::filesystem::path&, std::span<const EvaluatedImage>,
                      std::uint64_t weights);

// With the ground truths of `set`. None where the file is absent, damaged, of other weights or of
// another number of images: they are to be computed again.
std::optional<std::vector<EvaluatedImage>> stored_detections(const std::filesystem::path&,
                                                             const EvaluationSet& set,
                                                             std::uint64_t weights);

}  // namespace darknet
