// Shared by the commands that write detections for other programs (test, detect, valid).
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/ranks.h"
#include "eval/predict.h"
#include "train/interrupt.h"

namespace darknet::cli {

// -format, from the list of dataset/result_formats.def. `remark`: for the end of its help.
Option add_format(const Command&, std::string& format, const std::string& remark = "");

// For the help of these commands.
inline constexpr const char* kImageIds =
    "Image ids in COCO's file are the digits at the end of the images' names where every image of "
    "the list has some and no two have the same, else their place in the list.";

// Reports that a signal ended the run: how many images the files cover, and out of how many where
// that is known. `files`: where the detections are; "": nowhere.
void report_interrupted(std::size_t images, std::optional<std::size_t> all,
                        const std::string& files);

// The exit code after share_results(), whose result is `handed_over`: 0 where that is true, else
// the code of the signal that this or another rank got. Every rank calls it.
int exit_code_of(Ranks&, const InterruptGuard&, bool handed_over);

// run_evaluation() for figures of a whole set, by all ranks that were launched. After a signal it
// prints the number of images so far and ends: there are no figures of a part.
struct WholeEvaluation {
  std::vector<EvaluatedImage> images;  // in rank 0
  // Set where the program is to end at once with this code: it was interrupted, or it is not rank
  // 0.
  std::optional<int> exit_code = {};
};
WholeEvaluation evaluate_all(Network&, const EvaluationSet&, int threads,
                             const DetectionOptions& = {kEvaluationThreshold, kDefaultNms});

}  // namespace darknet::cli
