// What the commands have in common that write detections for other programs (test, detect, valid).
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

// Of a run that a signal ended: of how many images the files are, and of how many in all where
// that is known. `files`: where the detections are; "": nowhere.
void report_interrupted(std::size_t images, std::optional<std::size_t> all,
                        const std::string& files);

// With which the program ends after share_results(), whose result is `handed_over`: 0 where all
// was, else that of the signal that came to this rank or another one. Every rank calls it.
int exit_code_of(Ranks&, const InterruptGuard&, bool handed_over);

// run_evaluation() for figures of a whole set, by all ranks that were launched. Once a signal comes
// it ends, and the number of images so far is printed: there are no figures of a part.
struct WholeEvaluation {
  std::vector<EvaluatedImage> images;
  // With which the program is to end at once: it was interrupted, or it is another rank than 0,
  // which has the images.
  std::optional<int> exit_code = {};
};
WholeEvaluation evaluate_all(Network&, const EvaluationSet&, int threads,
                             const DetectionOptions& = {kEvaluationThreshold, kDefaultNms});

}  // namespace darknet::cli
