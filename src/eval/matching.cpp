#include "eval/matching.h"

#include <algorithm>

#include "core/index.h"
#include "detect/overlap.h"

namespace darknet {
namespace {

struct Candidate {
  const Detection* detection;
  std::int64_t image;
};

struct Best {
  const Truth* truth = nullptr;
  float iou = 0;
  bool difficult = false;
};

Best best_match(const Detection& d, const EvaluatedImage& image) {
  Best best;
  const auto look = [&](const std::vector<Truth>& truths, bool difficult) {
    for (const Truth& t : truths) {
      if (t.class_id != d.class_id) continue;
      const float overlap = iou(d.box, t.box);
      if (overlap > best.iou) best = {&t, overlap, difficult};
    }
  };
  look(image.truths, false);
  look(image.difficult, true);
  return best;
}

std::vector<std::vector<Candidate>> candidates_by_class(std::span<const EvaluatedImage> images,
                                                        std::int64_t classes) {
  std::vector<std::vector<Candidate>> lists(to_size(classes));
  for (std::size_t i = 0; i < images.size(); ++i)
    for (const Detection& d : images[i].detections)
      if (d.class_id >= 0 && d.class_id < classes)
        lists[to_size(d.class_id)].push_back({&d, static_cast<std::int64_t>(i)});
  return lists;
}

MatchedClass match_class(std::span<const EvaluatedImage> images, std::vector<Candidate> candidates,
                         std::int64_t class_id, float min) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     return a.detection->probability > b.detection->probability;
                   });
  MatchedClass result;
  for (const EvaluatedImage& image : images) {
    result.truths_of_image.push_back(
        std::count_if(image.truths.begin(), image.truths.end(),
                      [&](const Truth& t) { return t.class_id == class_id; }));
    result.truths += result.truths_of_image.back();
  }
  std::vector<std::vector<const Truth*>> found(images.size());
  for (const Candidate& c : candidates) {
    const Best best = best_match(*c.detection, images[to_size(c.image)]);
    const bool overlaps = best.truth && best.iou >= min;
    if (overlaps && best.difficult) continue;
    auto& taken = found[to_size(c.image)];
    const bool hit = overlaps && std::find(taken.begin(), taken.end(), best.truth) == taken.end();
    if (hit) taken.push_back(best.truth);
    result.ranked.push_back({c.detection->probability, hit, hit ? best.iou : 0, c.image});
  }
  return result;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

// Area under the interpolated curve, every detection and truth counted as its image weighs.
double weighted_area(const MatchedClass& c, std::span<const std::int64_t> weights,
                     std::int64_t truths) {
  std::vector<std::pair<double, double>> curve;  // recall, precision
  std::int64_t hits = 0, all = 0;
  for (const MatchedDetection& d : c.ranked) {
    const std::int64_t weight = weights[to_size(d.image)];
    if (weight == 0) continue;
    // Copies of an image repeat its detections: the second of a truth's is another image's hit.
    all += weight, hits += d.hit ? weight : 0;
    if (d.hit)
      curve.emplace_back(ratio(static_cast<double>(hits), static_cast<double>(truths)),
                         ratio(static_cast<double>(hits), static_cast<double>(all)));
  }
  double area = 0, best = 0;
  for (std::size_t i = curve.size(); i-- > 0;) {
    best = std::max(best, curve[i].second);
    area += (curve[i].first - (i > 0 ? curve[i - 1].first : 0)) * best;
  }
  return area;
}

}  // namespace

std::vector<MatchedClass> match(std::span<const EvaluatedImage> images, std::int64_t classes,
                                float iou) {
  std::vector<std::vector<Candidate>> candidates = candidates_by_class(images, classes);
  std::vector<MatchedClass> matched(candidates.size());
#pragma omp parallel for schedule(dynamic)
  for (std::size_t k = 0; k < matched.size(); ++k)
    matched[k] = match_class(images, std::move(candidates[k]), static_cast<std::int64_t>(k), iou);
  return matched;
}

std::vector<CurvePoint> precision_recall(const MatchedClass& c) {
  std::vector<CurvePoint> curve;
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < c.ranked.size(); ++i) {
    hits += c.ranked[i].hit;
    if (i + 1 < c.ranked.size() && c.ranked[i + 1].score == c.ranked[i].score) continue;
    curve.push_back({c.ranked[i].score, static_cast<double>(hits) / static_cast<double>(i + 1),
                     ratio(static_cast<double>(hits), static_cast<double>(c.truths))});
  }
  return curve;
}

BestF1 best_f1(std::span<const MatchedClass> classes) {
  MatchedClass all;
  for (const MatchedClass& c : classes) {
    all.ranked.insert(all.ranked.end(), c.ranked.begin(), c.ranked.end());
    all.truths += c.truths;
  }
  std::stable_sort(all.ranked.begin(), all.ranked.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  BestF1 best;
  for (const CurvePoint& p : precision_recall(all))
    if (const double f1 = ratio(2 * p.precision * p.recall, p.precision + p.recall); f1 > best.f1)
      best = {f1, p.threshold, p.precision, p.recall};
  return best;
}

double mean_average_precision(std::span<const MatchedClass> classes,
                              std::span<const std::int64_t> weights) {
  double sum = 0, counted = 0;
  for (const MatchedClass& c : classes) {
    std::int64_t truths = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) truths += weights[i] * c.truths_of_image[i];
    if (truths == 0) continue;
    sum += weighted_area(c, weights, truths), counted += 1;
  }
  return ratio(sum, counted);
}

}  // namespace darknet
