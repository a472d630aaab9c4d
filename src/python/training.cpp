// Training, evaluation and scenes: options in, figures out, both as dictionaries.
#include "darknet/training.h"

#include <atomic>
#include <exception>
#include <thread>

#include "darknet/evaluation.h"
#include "darknet/scenes.h"
#include "python/module.h"

namespace darknet::python {
namespace {
namespace py = pybind11;
namespace fs = std::filesystem;

// Ends the call with the exception that a signal raises, which it throws on, and where the
// interpreter waits for it.
bool stop_at_signals() {
  if (interpreter_ends()) return true;
  check_signals();
  return false;
}

TrainerOptions training_options(const py::dict& d) {
  TrainerOptions o;
  set(d, "data", o.data), set(d, "cfg", o.cfg), set(d, "weights", o.weights);
  set(d, "overrides", o.overrides), set(d, "backup", o.backup), set(d, "seed", o.seed);
  set(d, "device", o.device), set(d, "precision", o.precision);
  set(d, "max_batches", o.max_batches), set(d, "epochs", o.epochs);
  set(d, "map", o.map), set(d, "map_epochs", o.map_epochs), set(d, "patience", o.patience);
  set(d, "clear", o.clear), set(d, "partial", o.partial), set(d, "freeze", o.freeze);
  set(d, "save_every", o.save_every), set(d, "loader_threads", o.loader_threads);
  set(d, "cache_mb", o.cache_mb), set(d, "max_bad", o.max_bad);
  set(d, "bad_labels", o.bad_labels);
  set(d, "exact", o.exact), set(d, "deterministic", o.deterministic), set(d, "tuning", o.tuning);
  o.log = log_of(d);
  o.stop = stop_at_signals;
  return o;
}

py::dict dict_of(const TrainingIteration& i) {
  using py::literals::operator""_a;
  return py::dict("iteration"_a = i.iteration, "max_batches"_a = i.max_batches,
                  "images_seen"_a = i.images_seen, "loss"_a = i.loss,
                  "average_loss"_a = i.average_loss, "learning_rate"_a = i.learning_rate,
                  "images_per_second"_a = i.images_per_second, "load_seconds"_a = i.load_seconds,
                  "step_seconds"_a = i.step_seconds, "width"_a = i.width, "height"_a = i.height,
                  "map"_a = i.map, "best_map"_a = i.best_map);
}

py::dict train_with(const py::dict& options, const py::object& callback) {
  const TrainerOptions o = training_options(options);
  const SharedFunction observer = shared_function(callback);
  const auto observe = [&](const TrainingIteration& i) {
    const py::gil_scoped_acquire lock;
    return !(*observer)(dict_of(i)).is(py::bool_(false));
  };
  TrainingResult result;
  {
    const Unlocked unlocked;
    result = darknet::train(o, observer ? IterationObserver(observe) : nullptr);
  }
  using py::literals::operator""_a;
  return py::dict("iterations"_a = result.iterations, "stopped"_a = result.stopped,
                  "weights"_a = result.weights, "best_map"_a = result.best_map);
}

EvaluatorOptions evaluation_options(const py::dict& d) {
  EvaluatorOptions o;
  set(d, "device", o.device), set(d, "precision", o.precision), set(d, "overrides", o.overrides);
  set(d, "iou", o.iou), set(d, "threshold", o.threshold), set(d, "points", o.points);
  set(d, "letter_box", o.letter_box), set(d, "calibrate", o.calibrate), set(d, "exact", o.exact);
  set(d, "tuning", o.tuning), set(d, "loader_threads", o.loader_threads);
  set(d, "bad_labels", o.bad_labels);
  o.log = log_of(d);
  o.stop = stop_at_signals;
  return o;
}

py::dict dict_of(const ClassFigures& c) {
  using py::literals::operator""_a;
  return py::dict("name"_a = c.name, "truths"_a = c.truths, "true_positives"_a = c.true_positives,
                  "false_positives"_a = c.false_positives,
                  "average_precision"_a = c.average_precision, "coco_ap"_a = c.coco_ap,
                  "best_f1"_a = c.best_f1, "best_f1_threshold"_a = c.best_f1_threshold);
}

py::dict dict_of(const EvaluationFigures& f) {
  using py::literals::operator""_a;
  py::list classes;
  for (const ClassFigures& c : f.classes) classes.append(dict_of(c));
  return py::dict("map"_a = f.map, "precision"_a = f.precision, "recall"_a = f.recall,
                  "f1"_a = f.f1, "average_iou"_a = f.average_iou, "best_f1"_a = f.best_f1,
                  "best_f1_threshold"_a = f.best_f1_threshold, "coco_ap"_a = f.coco_ap,
                  "coco_ap50"_a = f.coco_ap50, "coco_ap75"_a = f.coco_ap75,
                  "coco_ap_small"_a = f.coco_ap_small, "coco_ap_medium"_a = f.coco_ap_medium,
                  "coco_ap_large"_a = f.coco_ap_large, "coco_ar100"_a = f.coco_ar100,
                  "images"_a = f.images, "classes"_a = classes);
}

py::dict evaluate_with(const fs::path& data, const fs::path& cfg, const fs::path& weights,
                       const py::dict& options) {
  const EvaluatorOptions o = evaluation_options(options);
  EvaluationFigures figures;
  {
    const Unlocked unlocked;
    figures = darknet::evaluate(data, cfg, weights, o);
  }
  return dict_of(figures);
}

SceneOptions scene_options(const py::dict& d) {
  SceneOptions o;
  set(d, "images", o.images), set(d, "test", o.test), set(d, "width", o.width);
  set(d, "height", o.height), set(d, "classes", o.classes);
  set(d, "min_objects", o.min_objects), set(d, "max_objects", o.max_objects);
  set(d, "min_size", o.min_size), set(d, "max_size", o.max_size), set(d, "clutter", o.clutter);
  set(d, "seed", o.seed), set(d, "format", o.format), set(d, "threads", o.threads);
  return o;
}

fs::path draw_scenes(const fs::path& folder, const py::dict& options) {
  SceneOptions o = scene_options(options);
  std::exception_ptr raised;  // by a signal, which only this thread sees
  std::atomic<bool> stopped = false;
  o.stop = [&, own = std::this_thread::get_id()] {
    if (interpreter_ends()) stopped = true;
    if (stopped || std::this_thread::get_id() != own) return stopped.load();
    try {
      check_signals();
    } catch (const py::error_already_set&) {
      raised = std::current_exception();
      stopped = true;
    }
    return stopped.load();
  };
  const Unlocked unlocked;
  try {
    return synthesize(folder, o);
  } catch (const Exception&) {
    if (raised) std::rethrow_exception(raised);
    throw;
  }
}

}  // namespace

void add_training(py::module_& m) {
  m.def("train", &train_with);
  m.def("evaluate", &evaluate_with);
  m.def("synth", &draw_scenes);
}

}  // namespace darknet::python
