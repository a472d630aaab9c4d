// What a training run trains: a detector, or a classifier of whole images. They differ in their
// labels, batches and evaluation; everything else of a run is the same (train/trainer.h).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cfg/data_file.h"
#include "cfg/section.h"
#include "dataset/batches.h"
#include "dataset/labels.h"
#include "dataset/loader.h"
#include "eval/image_share.h"
#include "nn/network.h"
#include "train/advice.h"
#include "train/evaluation_sample.h"
#include "train/task_kind.h"

namespace darknet {

// What an evaluation found; fractions, -1: not measured.
struct EvaluationScore {
  TaskKind task = TaskKind::detection;
  double map = -1;               // of a detector, mAP@0.5
  double top1 = -1, topk = -1;   // of a classifier,
  std::int64_t top = 0;          // and the k of topk
  EvaluationSample sample = {};  // of a detector
  // By which the best weights are chosen.
  double score() const { return task == TaskKind::classification ? top1 : map; }
};
std::string to_string(const EvaluationScore&);  // "mAP@0.5 0.51", "top-1 0.93, top-5 1"

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  // Throws where the network is of another kind, or the .data file gives another number.
  virtual std::int64_t classes(const Network&) const = 0;
  virtual LabelledImages labelled(const ImagePaths&, std::int64_t classes, BadLabels) const = 0;
  virtual std::string count_of(const LabelledImages&) const = 0;  // "8 with 9 objects"
  virtual Findings advice(const AdviceInput&) const = 0;
  virtual BatchSettings training_batches(const Network&, const LabelledImages&,
                                         std::uint64_t seed) const = 0;
  virtual BatchSettings evaluation_batches(const Network&, const ImagePaths&) const = 0;
  // Of the images that the ranks share, with a loader of this rank's; what rank 0 returns counts.
  // None where `stop` said yes meanwhile.
  virtual std::optional<EvaluationScore> evaluate(Network&, const LabelledImages&,
                                                  const ImageShare&, Loader&,
                                                  const std::function<bool()>& stop) const = 0;
  virtual TaskKind kind() const = 0;
  virtual std::int64_t top() const { return 0; }  // as of EvaluationScore
  const char* score_name() const {
    return kind() == TaskKind::classification ? "top-1 accuracy" : "mAP";
  }
};

// `cfg`: as the network is made from it.
std::unique_ptr<TrainingTask> detection_task(const DataFile&, const std::vector<Section>& cfg);
std::unique_ptr<TrainingTask> classification_task(const DataFile&, const std::vector<Section>& cfg);

}  // namespace darknet
