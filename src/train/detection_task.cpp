#include <algorithm>

#include "core/log.h"
#include "core/text.h"
#include "eval/matching.h"
#include "eval/predict.h"
#include "train/task.h"
#include "train/training_batches.h"

namespace darknet {
namespace {

constexpr std::size_t kSampled = 6;  // images

EvaluationSample sample_of(const ImagePaths& files, const std::vector<EvaluatedImage>& images,
                           double threshold) {
  EvaluationSample sample{.threshold = static_cast<float>(threshold), .images = {}};
  const std::size_t count = std::min(kSampled, images.size());
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = k * images.size() / count;
    SampledImage one{files[i], images[i].truths, {}};
    for (const Detection& d : images[i].detections)
      if (d.probability >= sample.threshold) one.detections.push_back(d);
    sample.images.push_back(std::move(one));
  }
  return sample;
}

class DetectionTask final : public TrainingTask {
 public:
  explicit DetectionTask(const DataFile& data) : data_(data) {}

  TaskKind kind() const override { return TaskKind::detection; }

  std::int64_t classes(const Network& net) const override { return classes_of(net, data_); }

  LabelledImages labelled(const ImagePaths& images, std::int64_t classes,
                          BadLabels bad) const override {
    return read_all_labels(images, classes, bad);
  }

  std::string count_of(const LabelledImages& all) const override {
    return cat(all.images.size(), " with ", plural(all.objects, "object"), ", ", all.empty,
               " without any");
  }

  Findings advice(const AdviceInput& in) const override { return advise(in); }

  BatchSettings training_batches(const Network& net, const LabelledImages& images,
                                 std::uint64_t seed) const override {
    return darknet::training_batches(net, images, seed);
  }

  BatchSettings evaluation_batches(const Network& net, const ImagePaths& images) const override {
    return darknet::evaluation_batches(net, images);
  }

  std::optional<EvaluationScore> evaluate(Network& net, const LabelledImages& images,
                                          const ImageShare& share, Loader& loader,
                                          const std::function<bool()>& stop) const override {
    const std::int64_t classes = classes_of(net, data_);
    const auto found = run_evaluation(net, images, share, loader, stop);
    if (stop()) return std::nullopt;
    const std::vector<MatchedClass> matched = match(found, classes, EvaluationOptions{}.iou);
    return EvaluationScore{
        .map = evaluate_matched(matched, {.classes = classes}).mean_average_precision,
        .sample = sample_of(images.images, found, best_f1(matched).threshold)};
  }

 private:
  DataFile data_;
};

}  // namespace

std::unique_ptr<TrainingTask> detection_task(const DataFile& data, const std::vector<Section>&) {
  return std::make_unique<DetectionTask>(data);
}

}  // namespace darknet
