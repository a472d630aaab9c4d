#include "cli/map_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "report/chart.h"
#include "report/confusion.h"

namespace darknet::cli {
namespace {
using nlohmann::json;

constexpr std::size_t kMaxPrintedClasses = 12;  // of the confusion matrix
constexpr std::size_t kMaxCurves = 8;           // in one panel

std::string percent(double fraction) {
  return fraction < 0 ? "-" : fmt::format("{:.2f} %", 100 * fraction);
}

// Columns of a terminal that a name takes. fmt pads by them, and a wide letter takes two.
std::size_t columns_of(const std::string& name) {
  const std::size_t padded = 2 * name.size() + 1;
  return padded - (fmt::formatted_size("{:>{}}", name, padded) - name.size());
}

// Of the longest name, within bounds.
std::size_t name_columns(const MapResult& r) {
  constexpr std::size_t kMin = 20, kMax = 60;
  std::size_t columns = kMin;
  for (const std::string& name : r.names) columns = std::max(columns, columns_of(printable(name)));
  return std::min(columns, kMax);
}

void print_classes(const MapResult& r) {
  const std::size_t wide = name_columns(r);
  fmt::print("{:>4} {:<{}} {:>8} {:>10} {:>7} {:>7} {:>7} {:>7} {:>14}\n", "id", "name", wide, "AP",
             "AP.5:.95", "TP", "FP", "FN", "truths", "best F1 (at)");
  for (std::size_t i = 0; i < r.at.classes.size(); ++i) {
    const ClassEvaluation& c = r.at.classes[i];
    const BestF1 best = best_f1({&r.matched[i], 1});
    fmt::print("{:>4} {:<{}} {:>8} {:>10} {:>7} {:>7} {:>7} {:>7} {:>14}\n", i,
               printable(r.names[i]), wide, c.truths ? percent(c.average_precision) : "-",
               c.truths ? percent(r.coco.classes[i].ap()) : "-", c.true_positives,
               c.false_positives, c.false_negatives(), c.truths,
               c.truths ? fmt::format("{:.3f} ({})", best.f1, printed_threshold(best, 2)) : "-");
  }
}

void print_confusion(const MapResult& r) {
  const std::size_t n = r.names.size();
  if (n > kMaxPrintedClasses) return;
  fmt::print("confusion at threshold {:.2f} (rows: truth, columns: detected)\n{:<20}",
             r.options.threshold, "");
  for (std::size_t d = 0; d <= n; ++d)
    fmt::print(" {:>10.10}", d < n ? printable(r.names[d]) : std::string("missed"));
  for (std::size_t t = 0; t <= n; ++t) {
    fmt::print("\n{:<20.20}", t < n ? printable(r.names[t]) : std::string("background"));
    for (std::size_t d = 0; d <= n; ++d)
      if (t == n && d == n)
        fmt::print(" {:>10}", "");
      else
        fmt::print(" {:>10}",
                   r.errors.confused(static_cast<std::int64_t>(t), static_cast<std::int64_t>(d)));
  }
  fmt::print("\n");
}

json size_json(const CocoEvaluation& e, ObjectSize size) {
  const double ap = e.ap(size), recall = e.average_recall(size);
  return {{"ap", ap < 0 ? json() : json(ap)}, {"ar100", recall < 0 ? json() : json(recall)}};
}

json coco_json(const CocoEvaluation& e) {
  json out = size_json(e, ObjectSize::any);
  out["ap50"] = e.ap_at(0), out["ap75"] = e.ap_at(5);
  out["small"] = size_json(e, ObjectSize::small);
  out["medium"] = size_json(e, ObjectSize::medium);
  out["large"] = size_json(e, ObjectSize::large);
  return out;
}

json class_json(const MapResult& r, std::size_t i) {
  const ClassEvaluation& c = r.at.classes[i];
  const BestF1 best = best_f1({&r.matched[i], 1});
  return {{"name", r.names[i]},
          {"average_precision", c.average_precision},
          {"ap", c.truths > 0 ? json(r.coco.classes[i].ap()) : json()},
          {"true_positives", c.true_positives},
          {"false_positives", c.false_positives},
          {"truths", c.truths},
          {"best_f1", best.f1},
          {"best_f1_threshold", best.threshold}};
}

json confusion_json(const MapResult& r) {
  json rows = json::array();
  const std::int64_t n = r.errors.classes;
  for (std::int64_t t = 0; t <= n; ++t) {
    rows.push_back(json::array());
    for (std::int64_t d = 0; d <= n; ++d) rows.back().push_back(r.errors.confused(t, d));
  }
  return rows;
}

// The classes with the most objects, as many as one panel shows.
std::vector<bool> drawn_classes(const MapResult& r) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < r.names.size(); ++i)
    if (r.matched[i].truths > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return r.matched[a].truths > r.matched[b].truths;
  });
  order.resize(std::min(order.size(), kMaxCurves));
  std::vector<bool> drawn(r.names.size());
  for (const std::size_t i : order) drawn[i] = true;
  return drawn;
}

std::string curves_title(const MapResult& r) {
  const auto with_objects =
      std::ranges::count_if(r.matched, [](const MatchedClass& m) { return m.truths > 0; });
  std::string title = fmt::format("Precision over recall, IoU {:.2f}", r.options.iou);
  if (with_objects > static_cast<std::ptrdiff_t>(kMaxCurves))
    title += fmt::format(", the {} of {} classes with the most objects", kMaxCurves, with_objects);
  return title;
}

// A class's name as part of a file's: no folders, no surprises.
std::string file_name(const std::string& name) {
  std::string out;
  for (const char c : name)
    out += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ? c : '_';
  return out;
}

}  // namespace

std::string printed_threshold(const BestF1& best, int digits) {
  const double steps = std::pow(10., digits);
  return fmt::format("{:.{}f}", std::floor(std::max(0., best.threshold - 1e-6) * steps) / steps,
                     digits);
}

void print(const MapResult& r) {
  print_classes(r);
  print_confusion(r);
  const Evaluation& e = r.at;
  fmt::print(
      "at threshold {:.2f}: precision {:.3f}, recall {:.3f}, F1 {:.3f}, TP {}, FP {}, FN {}, "
      "average IoU {:.3f}\n",
      r.options.threshold, e.precision(), e.recall(), e.f1(), e.total.true_positives,
      e.total.false_positives, e.total.false_negatives(), e.average_iou());
  fmt::print("best F1 {:.3f} at threshold {}: precision {:.3f}, recall {:.3f}\n", r.best.f1,
             printed_threshold(r.best), r.best.precision, r.best.recall);
  fmt::print("COCO: AP@[.5:.95] {}, AP50 {}, AP75 {}; small {}, medium {}, large {}; AR100 {}\n",
             percent(r.coco.ap()), percent(r.coco.ap_at(0)), percent(r.coco.ap_at(5)),
             percent(r.coco.ap(ObjectSize::small)), percent(r.coco.ap(ObjectSize::medium)),
             percent(r.coco.ap(ObjectSize::large)), percent(r.coco.average_recall()));
  const char* const how = r.options.points == ApPoints::area     ? "area under the curve"
                          : r.options.points == ApPoints::eleven ? "11 points"
                                                                 : "101 points";
  fmt::print(
      "mean average precision (mAP@{:.2f}) = {:.6f}, or {:.2f} % ({}; {} of {} classes have "
      "truths)\n",
      r.options.iou, e.mean_average_precision, 100 * e.mean_average_precision, how,
      e.classes_with_truths, e.classes.size());
}

std::string to_json(const MapResult& r) {
  json out{{"map", r.at.mean_average_precision},
           {"iou_thresh", r.options.iou},
           {"points", number_of(r.options.points)},
           {"thresh", r.options.threshold},
           {"precision", r.at.precision()},
           {"recall", r.at.recall()},
           {"f1", r.at.f1()},
           {"average_iou", r.at.average_iou()},
           {"best_f1", r.best.f1},
           {"best_f1_threshold", r.best.threshold},
           {"coco", coco_json(r.coco)},
           {"confusion", confusion_json(r)},
           {"classes", json::array()}};
  for (std::size_t i = 0; i < r.names.size(); ++i) out["classes"].push_back(class_json(r, i));
  return dump_json(out, 2, InvalidUtf8::replace) + "\n";
}

FileFormat map_json_format() { return json_format({"average_iou", "map", "points"}); }

void require_writable_curves(const std::filesystem::path& folder) {
  require_writable_folder(folder);
  require_writable_chart(folder / "precision-recall");
  require_writable_file(folder / "confusion.png", kImageFormat);
}

void write_curves(const std::filesystem::path& folder, const MapResult& r) {
  require_writable_folder(folder);
  const std::vector<bool> drawn = drawn_classes(r);
  Panel panel{.title = curves_title(r),
              .x_label = "recall",
              .y_label = "precision",
              .when_empty = r.at.classes_with_truths > 0 ? "no detections" : "no objects"};
  panel.x_low = panel.y_low = 0, panel.x_high = panel.y_high = 1;
  for (std::size_t i = 0; i < r.names.size(); ++i) {
    if (r.matched[i].truths == 0) continue;
    std::string csv = "threshold,precision,recall\n";
    Series series{.name = r.names[i]};
    for (const CurvePoint& p : precision_recall(r.matched[i])) {
      csv += fmt::format("{:.7g},{:.7g},{:.7g}\n", p.threshold, p.precision, p.recall);
      series.x.push_back(p.recall), series.y.push_back(p.precision);
    }
    write_file_atomically(folder / (fmt::format("{}-", i) + file_name(r.names[i]) + ".csv"), csv);
    if (drawn[i]) panel.series.push_back(std::move(series));
  }
  write_chart(folder / "precision-recall", {"", {std::move(panel)}});
  write_image(folder / "confusion.png",
              confusion_image(r.errors, r.names,
                              fmt::format("Confusion at threshold {:.2f}, IoU {:.2f}",
                                          r.options.threshold, r.options.iou)));
}

}  // namespace darknet::cli
