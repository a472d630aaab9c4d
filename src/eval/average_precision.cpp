#include "eval/average_precision.h"

#include <algorithm>
#include <cmath>

#include "eval/matching.h"

namespace darknet {
namespace {

struct Point {
  double recall = 0, precision = 0;  // precision: the best at this recall or a higher one
};

std::vector<Point> interpolated_curve(std::span<const RankedDetection> ranked,
                                      std::int64_t truths) {
  std::vector<Point> curve;
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    hits += ranked[i].hit;
    curve.push_back({static_cast<double>(hits) / static_cast<double>(truths),
                     static_cast<double>(hits) / static_cast<double>(i + 1)});
  }
  for (std::size_t i = curve.size(); i-- > 1;)
    curve[i - 1].precision = std::max(curve[i - 1].precision, curve[i].precision);
  return curve;
}

double area_under(const std::vector<Point>& curve) {
  double area = 0, recall = 0;
  for (const Point& p : curve) {
    area += (p.recall - recall) * p.precision;
    recall = p.recall;
  }
  return area;
}

double mean_at(const std::vector<Point>& curve, int steps) {
  double sum = 0;
  for (int i = 0; i <= steps; ++i) {
    // The recall of k of n truths is k/n; compared with a margin, or .3 would miss 3 of 10.
    const double recall = static_cast<double>(i) / steps - 1e-12;
    const auto at = std::find_if(curve.begin(), curve.end(),
                                 [&](const Point& p) { return p.recall >= recall; });
    if (at != curve.end()) sum += at->precision;
  }
  return sum / (steps + 1);
}

ClassEvaluation evaluate_class(const MatchedClass& matched, const EvaluationOptions& options) {
  ClassEvaluation result;
  result.truths = matched.truths;
  std::vector<RankedDetection> ranked;
  ranked.reserve(matched.ranked.size());
  for (const MatchedDetection& d : matched.ranked) {
    ranked.push_back({d.score, d.hit});
    if (d.score <= options.threshold) continue;
    (d.hit ? result.true_positives : result.false_positives) += 1;
    result.iou_of_hits += static_cast<double>(d.iou);
  }
  result.average_precision = average_precision(ranked, result.truths, options.points);
  return result;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

double average_precision(std::span<const RankedDetection> ranked, std::int64_t truths,
                         ApPoints points) {
  if (truths == 0) return 0;
  const std::vector<Point> curve = interpolated_curve(ranked, truths);
  if (points == ApPoints::area) return area_under(curve);
  return mean_at(curve, points == ApPoints::eleven ? 10 : 100);
}

double Evaluation::precision() const {
  const auto hits = static_cast<double>(total.true_positives);
  return ratio(hits, hits + static_cast<double>(total.false_positives));
}
double Evaluation::recall() const {
  return ratio(static_cast<double>(total.true_positives), static_cast<double>(total.truths));
}
double Evaluation::f1() const { return ratio(2 * precision() * recall(), precision() + recall()); }
double Evaluation::average_iou() const {
  return ratio(total.iou_of_hits, static_cast<double>(total.true_positives));
}

Evaluation evaluate(std::span<const EvaluatedImage> images, const EvaluationOptions& options) {
  return evaluate_matched(match(images, options.classes, options.iou), options);
}

Evaluation evaluate_matched(std::span<const MatchedClass> matched,
                            const EvaluationOptions& options) {
  Evaluation all;
  for (const MatchedClass& one : matched) {
    const ClassEvaluation c = evaluate_class(one, options);
    all.total.truths += c.truths;
    all.total.true_positives += c.true_positives;
    all.total.false_positives += c.false_positives;
    all.total.iou_of_hits += c.iou_of_hits;
    all.classes_with_truths += c.truths > 0;
    if (c.truths > 0) all.mean_average_precision += c.average_precision;
    all.classes.push_back(c);
  }
  all.mean_average_precision =
      ratio(all.mean_average_precision, static_cast<double>(all.classes_with_truths));
  return all;
}

}  // namespace darknet
