// Images with their ground truths as they are read to score detections.
#pragma once
#include <cstdint>
#include <filesystem>

#include "cfg/data_file.h"
#include "dataset/labels.h"
#include "eval/predict.h"

namespace darknet {

// Of valid=, with the objects of difficult= where the .data file has it.
EvaluationSet read_validation_set(const DataFile&, std::int64_t classes, BadLabels);
// Of any list of images.
EvaluationSet read_labelled_set(const std::filesystem::path& list, std::int64_t classes, BadLabels);

}  // namespace darknet
