#include "darknet/evaluation.h"

#include <utility>

#include "api/call.h"
#include "api/engine.h"
#include "api/errors.h"
#include "cfg/data_file.h"
#include "core/error.h"
#include "core/text.h"
#include "eval/calibration_file.h"
#include "eval/evaluation_set.h"
#include "eval/map_result.h"
#include "eval/open_network.h"
#include "eval/predict.h"
#include "nn/weights.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

void require_possible(const EvaluatorOptions& o) {
  const auto require_fraction = [](const char* what, float value) {
    if (!(value >= 0 && value <= 1)) fail(what, " ", value, " is not from 0 to 1");
  };
  require_fraction("iou", o.iou);
  require_fraction("threshold", o.threshold);
  api::require_threads("loader_threads", o.loader_threads);
}

DetectorOptions network_options(const EvaluatorOptions& o) {
  DetectorOptions d;
  d.precision = o.precision;
  d.batch = static_cast<int>(kEvaluationBatch);
  d.letter_box = o.letter_box, d.exact = o.exact;
  d.tuning = o.tuning;
  d.overrides = o.overrides;
  return d;
}

struct Labelled {
  EvaluationSet set;
  std::vector<std::string> names;
};

Labelled labelled_of(const DataFile& data, const Network& net, BadLabels bad) {
  const std::int64_t classes = classes_of(net, data);
  return {read_validation_set(data, classes, bad), names_of(data.names, classes)};
}

std::vector<EvaluatedImage> detect_all(Network& net, const Labelled& labelled,
                                       const EvaluatorOptions& o, const DetectionOptions& detect,
                                       api::EndAsked& end) {
  const auto stop = [&] {
    end.ask(o.stop);
    return end.asked();
  };
  auto images = run_evaluation(net, labelled.set,
                               {.threads = o.loader_threads, .stop = stop, .options = detect});
  if (end.asked()) fail("the evaluation was stopped before its end");
  return images;
}

ClassFigures figures_of(const MapResult& r, std::size_t i) {
  const ClassEvaluation& c = r.at.classes[i];
  const BestF1 best = best_f1({&r.matched[i], 1});
  return {.name = r.names[i],
          .truths = c.truths,
          .true_positives = c.true_positives,
          .false_positives = c.false_positives,
          .average_precision = c.average_precision,
          .coco_ap = c.truths > 0 ? r.coco.classes[i].ap() : -1,
          .best_f1 = best.f1,
          .best_f1_threshold = best.threshold};
}

EvaluationFigures figures_of(const MapResult& r, std::int64_t images) {
  constexpr int kIou50 = 0, kIou75 = 5;
  EvaluationFigures f{.map = r.at.mean_average_precision,
                      .precision = r.at.precision(),
                      .recall = r.at.recall(),
                      .f1 = r.at.f1(),
                      .average_iou = r.at.average_iou(),
                      .best_f1 = r.best.f1,
                      .best_f1_threshold = r.best.threshold,
                      .coco_ap = r.coco.ap(),
                      .coco_ap50 = r.coco.ap_at(kIou50),
                      .coco_ap75 = r.coco.ap_at(kIou75),
                      .coco_ap_small = r.coco.ap(ObjectSize::small),
                      .coco_ap_medium = r.coco.ap(ObjectSize::medium),
                      .coco_ap_large = r.coco.ap(ObjectSize::large),
                      .coco_ar100 = r.coco.average_recall(),
                      .images = images};
  for (std::size_t i = 0; i < r.names.size(); ++i) f.classes.push_back(figures_of(r, i));
  return f;
}

EvaluationFigures run(const fs::path& data_path, const fs::path& cfg, const fs::path& weights,
                      const EvaluatorOptions& o, api::EndAsked& end) {
  const log::Capture::Take take = api::take_for(o.log);
  const log::Capture capture(take);
  require_possible(o);
  const EvaluationOptions counted{
      .iou = o.iou, .threshold = o.threshold, .points = ap_points_of(o.points)};
  const BadLabels bad = bad_labels_of(o.bad_labels);
  const DataFile data = read_data_file(data_path);
  const Device device = api::device_named(o.device);
  const api::DeviceTurn turn(device);
  const fs::path found = find_weights(weights, data.backup);
  std::uint64_t checksum = 0;
  Network net = api::network_for(cfg, found, network_options(o), device, checksum);
  const Labelled labelled = labelled_of(data, net, bad);
  DetectionOptions detect{kEvaluationThreshold, kDefaultNms};
  if (o.calibrate)
    detect.calibration =
        read_calibration(calibration_path(found), calibrated_network(net, checksum));
  const std::vector<EvaluatedImage> images = detect_all(net, labelled, o, detect, end);
  return figures_of(score(images, labelled.names, counted, OutsideImage::clip), std::ssize(images));
}

}  // namespace

EvaluationFigures evaluate(const fs::path& data, const fs::path& cfg, const fs::path& weights,
                           const EvaluatorOptions& options) {
  api::EndAsked end;
  try {
    return api::translated([&] { return run(data, cfg, weights, options, end); });
  } catch (const Exception&) {
    end.rethrow();
    throw;
  }
}

}  // namespace darknet
