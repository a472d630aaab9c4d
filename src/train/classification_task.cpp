#include <algorithm>

#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/overlap.h"
#include "eval/classify.h"
#include "nn/classifier_keys.h"
#include "train/task.h"

namespace darknet {
namespace {

class ClassificationTask final : public TrainingTask {
 public:
  ClassificationTask(const DataFile& data, const std::vector<Section>& cfg) : data_(data) {
    Section net = cfg.front();
    LayerKeys layers;
    net.read(layers);
    ImageAugmentation images;
    net.read(images);
    keys_ = read_classifier_keys(net, layers, images);
    for (const Section& section : cfg)
      if (section.has("tree") && (keys_.mixup || keys_.cutmix || keys_.label_smooth_eps > 0))
        section.fail("tree",
                     "the target of a class tree is one class; leave out mixup=, cutmix= and "
                     "label_smooth_eps= of [net]");
  }

  TaskKind kind() const override { return TaskKind::classification; }

  std::int64_t classes(const Network& net) const override { return class_count(net, data_); }

  LabelledImages labelled(const ImagePaths& images, std::int64_t classes,
                          BadLabels) const override {
    return classified(images, class_labels(data_, classes));
  }

  std::string count_of(const LabelledImages& all) const override { return cat(all.images.size()); }

  Findings advice(const AdviceInput& in) const override {
    Findings to;
    advise_missing_classes(to, in.names, count_classes(in.train->truths, std::ssize(in.names)));
    advise_length(to, in.net->settings().max_batches, in.net->settings().batch,
                  std::ssize(in.train->images));
    if (in.valid && data_.top >= std::ssize(in.names))
      to.push_back(trivial_top(data_.top, std::ssize(in.names)));
    if (in.valid)
      advise_overlap(to, find_overlap(in.train->images, in.valid->images, in.overlap_seconds));
    if (const LayerKeys& net = in.net->settings(); keys_.min_crop < std::max(net.width, net.height))
      to.push_back(cat("[net] min_crop=", keys_.min_crop, " is less than the input, ", net.width,
                       'x', net.height, ": such images get edges; raise min_crop and max_crop"));
    if (in.net->settings().augmentation.mosaics())
      to.push_back("[net] mosaic=1 has no effect on a classifier; cutmix=1 and mixup=1 have");
    return to;
  }

  BatchSettings training_batches(const Network& net, const LabelledImages& images,
                                 std::uint64_t seed) const override {
    const NetSettings& settings = net.settings();
    BatchSettings s{
        .images = images.images,
        .truths = images.truths,
        .channels = settings.channels,
        .batch = settings.batch,
        .input_max = settings.input_max,
        .size = [size = InputSize{settings.height, settings.width}](std::int64_t) { return size; },
        .augmentation = augmentation_of(settings, {}),
        .seed = seed,
        .tiles = net.options().device.type != DeviceType::cpu};
    s.classification = Classification{.classes = class_count(net), .keys = keys_};
    return s;
  }

  BatchSettings evaluation_batches(const Network& net, const ImagePaths& images) const override {
    return classification_batches(net, images);
  }

  std::optional<EvaluationScore> evaluate(Network& net, const LabelledImages& images,
                                          const ImageShare& share, Loader& loader,
                                          const std::function<bool()>& stop) const override {
    Accuracy accuracy{.top = data_.top};
    classify_images(net, loader, share, stop,
                    [&](std::size_t image, std::span<const float> values) {
                      accuracy.add(values, images.truths[image][0].class_id);
                    });
    if (stop()) return std::nullopt;
    return EvaluationScore{
        .task = kind(), .top1 = accuracy.top1(), .topk = accuracy.topk(), .top = data_.top};
  }

  std::int64_t top() const override { return data_.top; }

 private:
  DataFile data_;
  ClassifierKeys keys_;
};

}  // namespace

std::unique_ptr<TrainingTask> classification_task(const DataFile& data,
                                                  const std::vector<Section>& cfg) {
  return std::make_unique<ClassificationTask>(data, cfg);
}

}  // namespace darknet
