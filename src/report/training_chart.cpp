#include "report/training_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>

#include "core/error.h"
#include "core/index.h"
#include "core/input.h"
#include "core/json.h"
#include "core/text.h"
#include "eval/sample.h"

namespace darknet {
namespace {

using nlohmann::json;
constexpr double kNone = kNotLogged;
constexpr std::size_t kMaxHeads = 16;  // drawn by themselves

// What is missing, or null, was not known.
double number(const json& from, std::string_view key) {
  const auto at = from.find(key);
  if (at == from.end() || at->is_null()) return kNone;
  if (!at->is_number())
    fail(key, ": expected a number, got ", shown(dump_json(*at, -1, InvalidUtf8::replace)));
  return at->get<double>();
}

// Sum over the heads, or the mean where each head weighs as much as the figure `weight` says.
double over_heads(const std::vector<LoggedHead>& heads, Figure f, const Figure* weight = nullptr) {
  double sum = 0, weights = 0;
  for (const LoggedHead& head : heads) {
    const double w = weight ? head[*weight] : 1;
    if (!(w > 0)) continue;
    sum += w * head[f], weights += w;
  }
  return weights == 0 ? kNone : weight ? sum / weights : sum;
}

double of_all_heads(const std::vector<LoggedHead>& heads, const TelemetryFigure& f) {
  static constexpr Figure kPositives = Figure::positives, kNegatives = Figure::negatives;
  switch (f.scale) {
    case TelemetryScale::share_of_gradient:
      return over_heads(heads, f.figure) / static_cast<double>(heads.size());
    case TelemetryScale::per_positive:
      return over_heads(heads, f.figure, &kPositives);
    case TelemetryScale::per_negative:
      return over_heads(heads, f.figure, &kNegatives);
    case TelemetryScale::loss_per_image:
    case TelemetryScale::count:
    case TelemetryScale::unlogged:
      break;
  }
  return over_heads(heads, f.figure);
}

// The values of one more iteration, for as many heads as a line has; those before it are NaN.
void add_heads(std::vector<HeadHistory>& heads, const std::vector<LoggedHead>& from,
               std::size_t before) {
  if (heads.size() < from.size()) heads.resize(std::min(from.size(), kMaxHeads));
  for (std::size_t k = 0; k < heads.size(); ++k) {
    const LoggedHead head = k < from.size() ? from[k] : LoggedHead{};
    if (heads[k].name.empty() && std::isfinite(head.layer))
      heads[k].name = fmt::format("layer {:.0f}", head.layer);
    for (const TelemetryFigure& f : kTelemetryFigures) {
      std::vector<double>& values = heads[k].figures[f.figure];
      values.resize(before, kNone);
      values.push_back(head[f.figure]);
    }
  }
}

LoggedHead logged_head(const json& from) {
  LoggedHead head;
  if (!from.is_object()) return head;
  head.layer = number(from, "layer");
  for (std::size_t i = 0; i < kTelemetryFigures.size(); ++i)
    head.figures[i] = number(from, kTelemetryFigures[i].key);
  return head;
}

// Nothing where the line is none of a log. Throws where a figure is no number.
std::optional<LoggedIteration> logged_iteration(std::string_view text) {
  const json line = parse_json(text, false);
  if (!line.is_object() || !std::isfinite(number(line, "iteration"))) return std::nullopt;
  LoggedIteration i{.iteration = number(line, "iteration"),
                    .loss = number(line, "loss"),
                    .average_loss = number(line, "average_loss"),
                    .learning_rate = number(line, "learning_rate"),
                    .images_per_second = number(line, "images_per_second"),
                    .map = number(line, "map"),
                    .top1 = number(line, "top1"),
                    .topk = number(line, "topk"),
                    .top = number(line, "top"),
                    .load_seconds = number(line, "load_seconds"),
                    .step_seconds = number(line, "step_seconds")};
  for (const char* parts : {"heads", "losses"})  // of a detector, of a classifier
    if (const auto found = line.find(parts); found != line.end() && found->is_array())
      for (const json& head : *found) i.heads.push_back(logged_head(head));
  return i;
}

// Running mean over about a fiftieth of the training: single batches jump.
std::vector<double> smoothed(const std::vector<double>& values) {
  const auto half = static_cast<std::int64_t>(values.size() / 100);
  std::vector<double> out(values.size(), kNone);
  double sum = 0, count = 0;
  const auto add = [&](std::int64_t i, double sign) {
    if (i < 0 || i >= std::ssize(values)) return;
    const double v = values[to_size(i)];
    if (std::isfinite(v)) sum += sign * v, count += sign;
  };
  for (std::int64_t i = 0; i < half; ++i) add(i, 1);
  for (std::int64_t i = 0; i < std::ssize(values); ++i) {
    add(i + half, 1);
    if (count > 0) out[to_size(i)] = sum / count;
    add(i - half, -1);
  }
  return out;
}

Series series(const std::string& name, const TrainingHistory& h,
              const std::vector<double>& values) {
  return {name, h.iteration, values};
}

// Only where there is a value, so that the few evaluations are joined by lines.
Series sparse(const std::string& name, const TrainingHistory& h,
              const std::vector<double>& values) {
  Series s{.name = name};
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isfinite(values[i])) s.x.push_back(h.iteration[i]), s.y.push_back(values[i]);
  return s;
}

Panel panel(const std::string& title, const std::string& y_label, std::vector<Series> all) {
  return {.title = title,
          .x_label = "iteration",
          .y_label = y_label,
          .series = std::move(all),
          .whole_x = true};
}

Panel noted(Panel p, const std::string& note) {
  p.note = note;
  return p;
}

Panel share_of(Panel p) {
  p.y_low = 0, p.y_high = 1;
  return p;
}
Panel from_zero(Panel p) {
  p.y_low = 0;
  return p;
}
Panel log_scale(Panel p) {
  p.log_y = true;
  return p;
}

using HistoryValues = std::vector<double> (*)(const TrainingHistory&);

// The values that any of the runs has at an iteration, by iteration.
std::map<double, std::vector<double>> by_iteration(const HistoryGroup& g,
                                                   const HistoryValues& values_of) {
  std::map<double, std::vector<double>> all;
  for (const TrainingHistory* h : g.histories) {
    const std::vector<double> values = values_of(*h);
    for (std::size_t i = 0; i < std::min(values.size(), h->iteration.size()); ++i)
      if (std::isfinite(values[i]) && std::isfinite(h->iteration[i]))
        all[h->iteration[i]].push_back(values[i]);
  }
  return all;
}

// A band where there are several runs, and a line for their mean. Smoothed curves need no more
// points than these.
void add_curve(std::vector<Series>& to, const HistoryGroup& g, int style,
               const HistoryValues& values_of) {
  constexpr std::size_t kPoints = 160;
  const auto all = by_iteration(g, values_of);
  const std::size_t every = std::max<std::size_t>(1, all.size() / kPoints);
  Series line{.name = g.label, .style = style}, band{.mark = Series::Mark::band, .style = style};
  for (std::size_t i = 0; const auto& [iteration, values] : all) {
    if (i++ % every != 0 && i != all.size()) continue;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    line.x.push_back(iteration), line.y.push_back(mean_of(values));
    band.low.push_back(*low), band.high.push_back(*high);
  }
  band.x = line.x, band.y = line.y;
  if (g.histories.size() > 1) to.push_back(std::move(band));
  to.push_back(std::move(line));
}

std::vector<Series> curves(const std::vector<HistoryGroup>& all, const HistoryValues& values_of) {
  std::vector<Series> list;
  for (int style = 0; const HistoryGroup& g : all) add_curve(list, g, style++, values_of);
  return list;
}

template <Figure kFigure>
std::vector<double> smooth_figure(const TrainingHistory& h) {
  return smoothed(h.figures[kFigure]);
}

// All panels over the iterations of all runs, also those of a figure that comes late.
void share_iterations(Chart& chart, const std::vector<const TrainingHistory*>& histories) {
  double first = kNone, last = kNone;
  for (const TrainingHistory* h : histories)
    for (const double i : h->iteration) first = std::fmin(first, i), last = std::fmax(last, i);
  if (!(first < last)) return;
  for (Panel& p : chart.panels) p.x_low = first, p.x_high = last;
}

// How a panel of figures looks.
struct FigurePanel {
  TelemetryPanel panel;
  const char *title, *y_label;
  Panel (*scaled)(Panel);
  bool of_each_head = true;  // also of each by itself
};
constexpr FigurePanel kFigurePanels[] = {
    {TelemetryPanel::loss_parts, "parts of the loss", "loss per image", log_scale},
    {TelemetryPanel::gradient_shares, "who moves the objectness", "share of the gradient",
     share_of},
    {TelemetryPanel::mean_objectness, "mean objectness", "probability p", log_scale},
    {TelemetryPanel::boxes, "boxes of objects", "mean IoU", share_of, false}};

constexpr bool every_panel_is_drawn() {
  for (const TelemetryFigure& f : kTelemetryFigures) {
    bool drawn = f.panel == TelemetryPanel::none;
    for (const FigurePanel& p : kFigurePanels) drawn |= p.panel == f.panel;
    if (!drawn) return false;
  }
  return true;
}
static_assert(every_panel_is_drawn(), "a panel of detect/telemetry.def is not in kFigurePanels");

// The panel with the figures that detect/telemetry.def puts there.
Panel figure_panel(const FigurePanel& p, const std::string& title, const TrainingHistory& h,
                   const FigureHistory& figures) {
  std::vector<Series> all;
  for (const TelemetryFigure& f : kTelemetryFigures)
    if (f.panel == p.panel)
      all.push_back(series(std::string(f.series), h, smoothed(figures[f.figure])));
  return p.scaled(panel(title + " (smoothed)", p.y_label, std::move(all)));
}

std::string capitalised(std::string text) {
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

Panel panel_of_all_heads(const FigurePanel& p, const TrainingHistory& h) {
  const bool summed = p.panel == TelemetryPanel::loss_parts && h.heads.size() > 1;
  return figure_panel(p, capitalised(p.title) + (summed ? ", all heads" : ""), h, h.figures);
}

}  // namespace

void TrainingHistory::add(const LoggedIteration& i) {
  iteration.push_back(i.iteration);
  loss.push_back(i.loss);
  average_loss.push_back(i.average_loss);
  learning_rate.push_back(i.learning_rate);
  images_per_second.push_back(i.images_per_second);
  map.push_back(i.map);
  top1.push_back(i.top1), topk.push_back(i.topk);
  if (std::isfinite(i.top)) top = i.top;
  seconds.push_back(i.load_seconds + i.step_seconds);
  for (const TelemetryFigure& f : kTelemetryFigures)
    figures[f.figure].push_back(of_all_heads(i.heads, f));
  add_heads(heads, i.heads, iteration.size() - 1);
}

bool TrainingHistory::add(const std::string& json_line) {
  try {
    const auto i = logged_iteration(json_line);
    if (i) add(*i);
    return i.has_value();
  } catch (const Error&) {
    return false;
  }
}

double first_positive_share(const TrainingHistory& h) {
  const std::vector<double>& share = h.figures[Figure::gradient_positive];
  return h.iteration.empty() || h.iteration.front() > 1 || share.empty() ? kNotLogged
                                                                         : share.front();
}

TrainingHistory read_history(const std::filesystem::path& log) {
  InputFile in(log, kMaxLogBytes, Pipes::allowed);
  TrainingHistory h{.label = log.stem().string()};
  LineReader lines(in, log.string());
  for (std::string_view line; lines.next(line);) {
    const Where where{log.string(), lines.number()};
    try {
      if (const auto i = logged_iteration(line))
        h.add(*i);
      else if (!line.empty() && h.iteration.empty())
        fail("no line of a training run's NAME_log.jsonl: '", shown(line), "'");
    } catch (const Error& e) {
      fail_at(where, e.what(), "; mend or remove this line, or give another file");
    }
  }
  if (h.iteration.empty()) fail_at({log.string(), 0}, "this log is empty");
  return h;
}

Panel gradient_share_panel(const TrainingHistory& h) {
  const auto* const shares =
      std::ranges::find(kFigurePanels, TelemetryPanel::gradient_shares, &FigurePanel::panel);
  return panel_of_all_heads(*shares, h);
}

Chart training_chart(const TrainingHistory& h) {
  Chart chart{.title = h.label};
  std::vector<Panel>& panels = chart.panels;
  panels.push_back(log_scale(panel(
      "Loss", "loss per image",
      {series("of the iteration", h, h.loss), series("running average", h, h.average_loss)})));
  const bool classifier = std::isfinite(h.top);
  if (classifier)
    panels.push_back(share_of(
        panel("Accuracy on valid=", "share of the images",
              {sparse("top-1", h, h.top1), sparse(fmt::format("top-{:.0f}", h.top), h, h.topk)})));
  for (const FigurePanel& p : kFigurePanels) {
    if (classifier) break;
    panels.push_back(panel_of_all_heads(p, h));
    if (p.panel == TelemetryPanel::loss_parts)
      panels.push_back(
          share_of(panel("Average precision on valid=", "mAP@0.5", {sparse("", h, h.map)})));
  }
  panels.push_back(from_zero(panel("Learning rate", "rate", {series("", h, h.learning_rate)})));
  panels.push_back(
      from_zero(panel("Speed", "images per second", {series("", h, h.images_per_second)})));
  for (const HeadHistory& head : h.heads)
    for (const FigurePanel& p : kFigurePanels)
      if (h.heads.size() > 1 && p.of_each_head)
        panels.push_back(figure_panel(p, cat(head.name, ": ", p.title), h, head.figures));
  share_iterations(chart, {&h});
  return chart;
}

Chart comparison_chart(const std::vector<TrainingHistory>& all) {
  std::vector<HistoryGroup> groups;
  groups.reserve(all.size());
  for (const TrainingHistory& h : all) groups.push_back({h.label, {&h}});
  return comparison_chart(groups);
}

Chart comparison_chart(const std::vector<HistoryGroup>& all) {
  Chart chart;
  for (const HistoryGroup& g : all)
    chart.title += (chart.title.empty() ? "" : " against ") + g.label;
  using H = TrainingHistory;
  chart.panels = {
      noted(from_zero(panel("Average precision on valid=", "mAP@0.5",
                            curves(all, [](const H& h) { return h.map; }))),
            "How well objects are found, at all thresholds together; 1 is perfect."),
      noted(log_scale(panel("Loss (smoothed)", "loss per image",
                            curves(all, [](const H& h) { return smoothed(h.loss); }))),
            "Losses of different kinds have different values: compare shapes, not heights."),
      noted(share_of(panel("Objectness gradient from easy background (smoothed)", "share",
                           curves(all, smooth_figure<Figure::gradient_easy_negative>))),
            "How much of what moves the objectness comes from background that is already known "
            "to be background (p below .1). Focal loss is made to lower it."),
      noted(share_of(panel("Objectness gradient from objects (smoothed)", "share",
                           curves(all, smooth_figure<Figure::gradient_positive>))),
            "The rest comes from background, easy and hard."),
      noted(log_scale(panel("Mean objectness of objects (smoothed)", "probability p",
                            curves(all, smooth_figure<Figure::p_positive>))),
            "p of the anchors that an object is assigned to; higher is more certain."),
      noted(log_scale(panel("Mean objectness of background (smoothed)", "probability p",
                            curves(all, smooth_figure<Figure::p_negative>))),
            "p of the anchors without an object; lower is more certain."),
      noted(log_scale(panel("Class loss (smoothed)", "loss per image",
                            curves(all, smooth_figure<Figure::class_loss>))),
            "Lower: the classes of objects are separated better."),
      noted(log_scale(panel("Box loss (smoothed)", "loss per image",
                            curves(all, smooth_figure<Figure::box_loss>))),
            "Lower: boxes lie closer to their objects.")};
  std::vector<const TrainingHistory*> histories;
  for (const HistoryGroup& g : all)
    histories.insert(histories.end(), g.histories.begin(), g.histories.end());
  share_iterations(chart, histories);
  return chart;
}

}  // namespace darknet
