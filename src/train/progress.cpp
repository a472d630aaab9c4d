#include "train/progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "report/training_chart.h"

namespace darknet {
namespace {

using nlohmann::json;

constexpr std::int64_t kPlainEvery = 10;  // iterations between progress lines in a file

double loss_part(const IterationReport& r, Figure f) {
  double sum = 0;
  for (const HeadTelemetry& t : r.step->heads)
    sum += logged_value(t, telemetry_figure(f), static_cast<double>(r.images));
  return sum;
}

// Of no image there is none; 0 / 0 would be printed as "-nan".
double or_nan(double loss, bool known = true) {
  return known && !std::isnan(loss) ? loss : std::numeric_limits<double>::quiet_NaN();
}

double images_per_second(const IterationReport& r) {
  return static_cast<double>(r.images) / std::max(1e-9, r.seconds_per_iteration);
}

json head_json(const HeadTelemetry& t, std::int64_t layer, double images) {
  json head{{"layer", layer}};
  for (const TelemetryFigure& f : kTelemetryFigures) {
    const double value = logged_value(t, f, images);
    if (f.scale == TelemetryScale::count)
      head[f.key] = static_cast<std::int64_t>(value);
    else if (f.scale != TelemetryScale::unlogged)
      head[f.key] = value;
  }
  return head;
}

}  // namespace

std::string progress_line(const IterationReport& r) {
  const auto left = static_cast<double>(r.max_batches - r.iteration);
  std::string line = fmt::format("{}/{} loss {:.3f} avg {:.3f}", r.iteration, r.max_batches,
                                 or_nan(r.step->loss), or_nan(r.average_loss, r.average_loss >= 0));
  if (r.task == TaskKind::detection)
    line += fmt::format(" (obj+ {:.3f} obj- {:.3f} class {:.3f} box {:.3f})",
                        or_nan(loss_part(r, Figure::objectness_loss_positive)),
                        or_nan(loss_part(r, Figure::objectness_loss_negative)),
                        or_nan(loss_part(r, Figure::class_loss)),
                        or_nan(loss_part(r, Figure::box_loss)));
  line += fmt::format(" lr {:.3g} {:.1f} img/s", r.learning_rate, images_per_second(r));
  if (r.load_seconds > r.step_seconds) line += " (waiting for images)";
  if (r.best_score >= 0)
    line += fmt::format(" best {} {:.4f}", r.task == TaskKind::detection ? "mAP" : "top-1",
                        r.best_score);
  return line + " ETA " + log::duration(left * r.seconds_per_iteration);
}

LoggedIteration logged(const IterationReport& r) {
  LoggedIteration i{
      .iteration = static_cast<double>(r.iteration),
      .loss = r.step->loss,
      .average_loss = r.average_loss,
      .learning_rate = r.learning_rate,
      .images_per_second = images_per_second(r),
      .map = r.map >= 0 ? r.map : kNotLogged,
      .top1 = r.top1 >= 0 ? r.top1 : kNotLogged,
      .topk = r.topk >= 0 ? r.topk : kNotLogged,
      .top = r.task == TaskKind::classification ? static_cast<double>(r.top) : kNotLogged,
      .load_seconds = r.load_seconds,
      .step_seconds = r.step_seconds};
  for (std::size_t h = 0; h < r.step->heads.size(); ++h) {
    LoggedHead head{.layer = static_cast<double>(r.head_layers.at(h))};
    for (std::size_t f = 0; f < kTelemetryFigures.size(); ++f)
      head.figures[f] =
          logged_value(r.step->heads[h], kTelemetryFigures[f], static_cast<double>(r.images));
    i.heads.push_back(head);
  }
  return i;
}

std::string json_line(const IterationReport& r) {
  // A classifier has no heads, but losses of its targets.
  const char* const parts = r.task == TaskKind::detection ? "heads" : "losses";
  json line{{"iteration", r.iteration},
            {"images_seen", r.images_seen},
            {"loss", r.step->loss},
            {"average_loss", r.average_loss},
            {"learning_rate", r.learning_rate},
            {"width", r.width},
            {"height", r.height},
            {"load_seconds", r.load_seconds},
            {"step_seconds", r.step_seconds},
            {"images_per_second", images_per_second(r)},
            {parts, json::array()}};
  if (r.step->positives > 0) line["positives_of_batch"] = r.step->positives;
  if (r.step->positives_average > 0) line["positives_average"] = r.step->positives_average;
  if (r.step->fixed > 0) line["fixed"] = r.step->fixed;
  if (r.step->truths_left_out > 0) line["truths_left_out"] = r.step->truths_left_out;
  if (r.step->loss_scale.scale != 1 || r.step->overflow) {
    line["loss_scale"] = r.step->loss_scale.scale;
    line["overflow"] = r.step->overflow;
  }
  if (r.map >= 0) line["map"] = r.map;
  if (r.task == TaskKind::classification) line["top"] = r.top;
  if (r.top1 >= 0) line["top1"] = r.top1, line["topk"] = r.topk;
  for (std::size_t h = 0; h < r.step->heads.size(); ++h)
    line[parts].push_back(
        head_json(r.step->heads[h], r.head_layers.at(h), static_cast<double>(r.images)));
  return dump_json(line, -1, InvalidUtf8::replace) + "\n";
}

FileFormat training_log_format() { return json_format({"average_loss", "iteration", "loss"}); }

TrainingLog::TrainingLog(std::filesystem::path path, std::int64_t keep)
    : log_(std::move(path), training_log_format(), keep,
           [](std::string_view line) -> std::optional<std::int64_t> {
             const json j = parse_json(line, false);
             const bool sound =
                 j.is_object() && j.contains("iteration") && j["iteration"].is_number_integer();
             return sound ? std::optional(j["iteration"].get<std::int64_t>()) : std::nullopt;
           }) {}

void ProgressLine::iteration(const IterationReport& r) {
  const bool plain =
      r.iteration % kPlainEvery == 0 || r.iteration == 1 || r.iteration == r.max_batches;
  log::progress(progress_line(r), plain);
  ++iterations_;
  if (r.step->overflow) ++overflows_;
}

void ProgressLine::finished(bool /*complete*/) {
  log::end_progress();
  if (overflows_ > 0)
    log::warn(cat(overflows_, " of ", iterations_,
                  " iterations updated nothing, because gradients ",
                  "overflowed f16; a few at the start are normal, else use precision=bf16 or a ",
                  "lower learning rate"));
}

}  // namespace darknet
