#include "train/evaluator.h"

#include <algorithm>
#include <cmath>

#include "core/log.h"
#include "dataset/loader.h"
#include "eval/matching.h"
#include "eval/predict.h"
#include "nn/weights.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxPeriod = 100;  // iterations, or what the epochs amount to
constexpr std::size_t kSampled = 6;       // images

Network evaluated_network(const std::vector<Section>& cfg, const NetworkOptions& training,
                          const AnnotatedImages& images) {
  const log::WithoutWarnings quiet;  // the network that is trained gave those of the cfg
  const auto count = std::ssize(images.images);
  return Network(cfg, {.device = training.device,
                       .exact = training.exact,
                       .deterministic = training.deterministic,
                       .batch = std::min(kEvaluationBatch, count),
                       .tuning = training.tuning});
}

EvaluationSample sample_of(const ImagePaths& files, const std::vector<EvaluatedImage>& images,
                           std::int64_t iteration, double threshold) {
  EvaluationSample sample{iteration, static_cast<float>(threshold), {}};
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

std::int64_t found_classes(const Network& net, std::int64_t labels) {
  find_labels(net, labels);
  return classes_of(net);
}

}  // namespace

std::int64_t evaluation_period(double epochs, std::int64_t images, std::int64_t batch) {
  const double epoch = static_cast<double>(images) / static_cast<double>(batch);
  return std::max<std::int64_t>(kMaxPeriod, std::llround(epochs * epoch));
}

Evaluator::Evaluator(EvaluatorSettings settings, const std::vector<Section>& cfg,
                     const NetworkOptions& training, EvaluationRecord& record)
    : settings_(std::move(settings)),
      net_(evaluated_network(cfg, training, settings_.images)),
      classes_(found_classes(net_, settings_.classes)),
      batches_(evaluation_batches(net_, settings_.images.images), settings_.cache),
      record_(record) {}

bool Evaluator::due(std::int64_t iteration) const {
  if (iteration == settings_.last) return true;
  return iteration % settings_.period == 0 && iteration >= settings_.first;
}

std::optional<double> Evaluator::evaluate(const Network& trained, std::int64_t iteration,
                                          const std::function<bool()>& stop) {
  copy_parameters(trained, net_);
  net_.parameters_changed();
  record_.pending = true;
  Loader loader(batches_, {.threads = settings_.threads});
  const auto images = run_evaluation(net_, settings_.images, loader, stop);
  if (stop()) return std::nullopt;  // a resumed run does it again
  record_.pending = false;
  const std::vector<MatchedClass> matched = match(images, classes_, EvaluationOptions{}.iou);
  const double map = evaluate_matched(matched, {.classes = classes_}).mean_average_precision;
  sample_ = std::make_shared<const EvaluationSample>(
      sample_of(settings_.images.images, images, iteration, best_f1(matched).threshold));
  ++record_.without_gain;
  if (map > record_.best_map)
    record_ = {.best_map = map, .best_iteration = iteration, .without_gain = 0};
  return map;
}

}  // namespace darknet
