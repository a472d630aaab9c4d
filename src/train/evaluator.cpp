#include "train/evaluator.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/log.h"
#include "dataset/loader.h"
#include "eval/predict.h"
#include "nn/weights.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxPeriod = 100;  // iterations, or what the epochs amount to

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

}  // namespace

std::int64_t evaluation_period(double epochs, std::int64_t images, std::int64_t batch) {
  const double epoch = static_cast<double>(images) / static_cast<double>(batch);
  return std::max<std::int64_t>(kMaxPeriod, std::llround(epochs * epoch));
}

Evaluator::Evaluator(const TrainingTask& task, EvaluatorSettings settings,
                     const std::vector<Section>& cfg, const NetworkOptions& training,
                     EvaluationRecord& record)
    : task_(task),
      settings_(std::move(settings)),
      net_(evaluated_network(cfg, training, settings_.images)),
      share_(*settings_.ranks, settings_.images.images, net_.input_shape().n),
      batches_(task.evaluation_batches(net_, share_.mine(settings_.images.images)),
               settings_.cache),
      record_(record) {}

bool Evaluator::due(std::int64_t iteration) const {
  if (iteration == settings_.last) return true;
  return iteration % settings_.period == 0 && iteration >= settings_.first;
}

// That of rank 0; none where any rank has none.
std::optional<EvaluationScore> Evaluator::common_score(std::optional<EvaluationScore> score) const {
  Ranks& ranks = share_.ranks();
  if (!ranks.several()) return score;
  std::int64_t without = score ? 0 : 1;
  ranks.sum(std::span(&without, 1));
  if (without > 0) return std::nullopt;
  score->map = ranks.broadcast_value(score->map);
  score->top1 = ranks.broadcast_value(score->top1);
  score->topk = ranks.broadcast_value(score->topk);
  return score;
}

std::optional<EvaluationScore> Evaluator::evaluate(const Network& trained, std::int64_t iteration,
                                                   const std::function<bool()>& stop) {
  copy_parameters(trained, net_);
  net_.parameters_changed();
  record_.pending = true;
  Loader loader(batches_, {.threads = settings_.threads});
  std::optional<EvaluationScore> found =
      common_score(task_.evaluate(net_, settings_.images, share_, loader, stop));
  if (!found) return std::nullopt;  // a resumed run does it again
  record_.pending = false;
  if (found->task == TaskKind::detection && share_.ranks().is_first()) {
    found->sample.iteration = iteration;
    sample_ = std::make_shared<const EvaluationSample>(std::move(found->sample));
  }
  ++record_.without_gain;
  if (found->score() > record_.best_score)
    record_ = {.best_score = found->score(), .best_iteration = iteration, .without_gain = 0};
  return found;
}

std::string to_string(const EvaluationScore& e) {
  return e.task == TaskKind::classification ? cat("top-1 ", e.top1, ", top-", e.top, " ", e.topk)
                                            : cat("mAP@0.5 ", e.map);
}

}  // namespace darknet
