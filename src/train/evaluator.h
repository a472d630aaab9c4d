// The evaluations of a training run (-map): the validation images and a network for them, when one
// is due, its score, and whether scores still improve. The images are kept decoded.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cfg/section.h"
#include "dataset/batches.h"
#include "dataset/labels.h"
#include "nn/checkpoint.h"
#include "nn/network.h"
#include "train/task.h"

namespace darknet {

struct EvaluatorSettings {
  LabelledImages images;
  std::int64_t period = 0;        // iterations from one evaluation to the next
  std::int64_t first = 0;         // no evaluation before this iteration,
  std::int64_t last = 0;          // but one after this
  std::int64_t patience = 0;      // evaluations without a better score that end the run; 0: never
  int threads = 0;                // that read images; 0: chosen
  CacheBudget* cache = nullptr;   // for decoded images; null: none are kept
  Ranks* ranks = &single_rank();  // which share the images
};

// Every so many epochs, at least every 100 iterations.
std::int64_t evaluation_period(double epochs, std::int64_t images, std::int64_t batch);

class Evaluator {
 public:
  // `cfg` and `training`: of the network that is trained. `record` is a part of the run's state, so
  // that a resumed run knows it; it, the task and the cache outlive this.
  Evaluator(const TrainingTask&, EvaluatorSettings, const std::vector<Section>& cfg,
            const NetworkOptions& training, EvaluationRecord& record);

  const LabelledImages& images() const { return settings_.images; }
  bool due(std::int64_t iteration) const;
  bool out_of_patience() const {
    return settings_.patience > 0 && record_.without_gain >= settings_.patience;
  }
  // The score of the parameters of `trained`, the same in every rank; it goes into the record. None
  // where `stop` returned true in any rank meanwhile: the evaluation is then pending.
  std::optional<EvaluationScore> evaluate(const Network& trained, std::int64_t iteration,
                                          const std::function<bool()>& stop);
  std::int64_t bytes() const { return net_.memory().total(); }  // of its network
  void set_algorithms(const Tuning& t) { net_.set_algorithms(t); }
  // A few of its images, spread evenly over the list; null before the first evaluation, of a
  // classifier, and in other ranks than 0. A new object each time.
  const std::shared_ptr<const EvaluationSample>& sample() const { return sample_; }

 private:
  std::optional<EvaluationScore> common_score(std::optional<EvaluationScore>) const;

  const TrainingTask& task_;
  EvaluatorSettings settings_;
  Network net_;  // for inference
  ImageShare share_;
  Batches batches_;
  EvaluationRecord& record_;
  std::shared_ptr<const EvaluationSample> sample_;
};

}  // namespace darknet
