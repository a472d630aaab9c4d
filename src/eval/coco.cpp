#include "eval/coco.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/index.h"
#include "detect/clip.h"

namespace darknet {
namespace {

constexpr int kRecalls = 101;

struct PixelBox {
  double x = 0, y = 0, w = 0, h = 0;  // upper left corner and extent
  double area() const { return w * h; }
};

PixelBox in_pixels(const Box& b, const EvaluatedImage& image) {
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  const double w = b.w, h = b.h;
  return {(b.x - w / 2) * width, (b.y - h / 2) * height, w * width, h * height};
}

PixelBox clipped_in_pixels(const Box& b, const EvaluatedImage& image) {
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  const BoxEdges e = clipped_to_image(b);
  return {e.left * width, e.top * height, e.width() * width, e.height() * height};
}

double overlap(const PixelBox& a, const PixelBox& b) {
  const double w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x);
  const double h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  return w * h / (a.area() + b.area() - w * h);
}

bool outside(double area, int size) {
  constexpr std::array<double, kObjectSizes> kLow{0, 0, 32. * 32, 96. * 96};
  constexpr std::array<double, kObjectSizes> kHigh{1e10, 32. * 32, 96. * 96, 1e10};
  const auto s = to_size(size);
  return area < kLow[s] || area > kHigh[s];
}

double iou_threshold(int i) { return i == kCocoThresholds - 1 ? .95 : .5 + i * ((.95 - .5) / 9); }

// One class in one image.
struct Subject {
  std::vector<const Detection*> detections;  // the best first
  std::vector<PixelBox> boxes;               // of the detections
  std::vector<PixelBox> truths;
  std::vector<bool> difficult;   // one per truth
  std::vector<double> overlaps;  // detections x truths
};

Subject subject_of(const EvaluatedImage& image, std::vector<const Detection*> detections,
                   std::int64_t class_id, OutsideImage outside_image) {
  Subject s{.detections = std::move(detections)};
  std::stable_sort(
      s.detections.begin(), s.detections.end(),
      [](const Detection* a, const Detection* b) { return a->probability > b->probability; });
  if (s.detections.size() > kCocoDetections) s.detections.resize(kCocoDetections);
  for (const Detection* d : s.detections)
    s.boxes.push_back(outside_image == OutsideImage::clip ? clipped_in_pixels(d->box, image)
                                                          : in_pixels(d->box, image));
  const auto add = [&](const std::vector<Truth>& truths, bool difficult) {
    for (const Truth& t : truths)
      if (t.class_id == class_id) {
        s.truths.push_back(in_pixels(t.box, image));
        s.difficult.push_back(difficult);
      }
  };
  add(image.truths, false);
  add(image.difficult, true);
  for (const PixelBox& d : s.boxes)
    for (const PixelBox& t : s.truths) s.overlaps.push_back(overlap(d, t));
  return s;
}

struct Ranked {
  float score = 0;
  bool hit = false;
};

// One class over all images, at one size and one threshold.
struct Tally {
  std::vector<Ranked> detections;  // that are not ignored
  std::int64_t truths = 0;
};

// Truths in the order of COCO's matching: those that count before those that are ignored.
struct TruthOrder {
  std::vector<std::size_t> truths;
  std::vector<bool> ignored;  // by truth, not by order
};

TruthOrder order_of(const Subject& s, int size) {
  TruthOrder o;
  for (std::size_t t = 0; t < s.truths.size(); ++t)
    o.ignored.push_back(s.difficult[t] || outside(s.truths[t].area(), size));
  o.truths.resize(s.truths.size());
  std::iota(o.truths.begin(), o.truths.end(), std::size_t{0});
  std::stable_partition(o.truths.begin(), o.truths.end(),
                        [&](std::size_t t) { return !o.ignored[t]; });
  return o;
}

constexpr std::size_t kNoTruth = std::numeric_limits<std::size_t>::max();

// The free truth that detection d overlaps most, at least by `min`; one that counts before one
// that is ignored.
std::size_t taken_by(std::size_t d, const Subject& s, const TruthOrder& o,
                     const std::vector<bool>& taken, double min) {
  std::size_t match = kNoTruth;
  double best = std::min(min, 1 - 1e-10);
  for (const std::size_t t : o.truths) {
    if (taken[t] && !s.difficult[t]) continue;
    if (match != kNoTruth && !o.ignored[match] && o.ignored[t]) break;
    const double here = s.overlaps[d * s.truths.size() + t];
    if (here < best) continue;
    best = here, match = t;
  }
  return match;
}

void tally(const Subject& s, int size, int threshold, const TruthOrder& o, Tally& to) {
  std::vector<bool> taken(s.truths.size());
  to.truths += std::count(o.ignored.begin(), o.ignored.end(), false);
  for (std::size_t d = 0; d < s.detections.size(); ++d) {
    const std::size_t match = taken_by(d, s, o, taken, iou_threshold(threshold));
    if (match != kNoTruth) taken[match] = true;
    const bool ignored =
        match == kNoTruth ? outside(s.boxes[d].area(), size) : bool{o.ignored[match]};
    if (!ignored) to.detections.push_back({s.detections[d]->probability, match != kNoTruth});
  }
}

struct Score {
  double precision = -1, recall = -1;
};

Score score_of(Tally& t) {
  if (t.truths == 0) return {};
  std::stable_sort(t.detections.begin(), t.detections.end(),
                   [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  std::vector<double> recall, precision;
  double hits = 0;
  for (std::size_t i = 0; i < t.detections.size(); ++i) {
    hits += t.detections[i].hit;
    recall.push_back(hits / static_cast<double>(t.truths));
    precision.push_back(hits / static_cast<double>(i + 1));
  }
  for (std::size_t i = precision.size(); i-- > 1;)
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  double sum = 0;
  for (int r = 0; r < kRecalls; ++r) {
    const auto at = std::lower_bound(recall.begin(), recall.end(), r == 100 ? 1. : r * .01);
    if (at != recall.end()) sum += precision[to_size(at - recall.begin())];
  }
  return {sum / kRecalls, recall.empty() ? 0 : recall.back()};
}

CocoClass evaluate_class(std::span<const EvaluatedImage> images,
                         const std::vector<std::vector<const Detection*>>& detections,
                         std::int64_t class_id, OutsideImage outside_image) {
  std::array<std::array<Tally, kCocoThresholds>, kObjectSizes> tallies;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Subject s = subject_of(images[i], detections[i], class_id, outside_image);
    if (s.detections.empty() && s.truths.empty()) continue;
    for (int size = 0; size < kObjectSizes; ++size) {
      const TruthOrder o = order_of(s, size);
      for (int t = 0; t < kCocoThresholds; ++t)
        tally(s, size, t, o, tallies[to_size(size)][to_size(t)]);
    }
  }
  CocoClass c;
  for (std::size_t size = 0; size < kObjectSizes; ++size) {
    c.truths[size] = tallies[size][0].truths;
    for (std::size_t t = 0; t < kCocoThresholds; ++t) {
      const Score score = score_of(tallies[size][t]);
      c.precision[size][t] = score.precision, c.recall[size][t] = score.recall;
    }
  }
  return c;
}

template <class Value>
double mean_over_classes(const std::vector<CocoClass>& classes, ObjectSize size,
                         const Value& value) {
  double sum = 0, count = 0;
  for (const CocoClass& c : classes)
    if (c.truths[to_size(size)] > 0) sum += value(c), ++count;
  return count > 0 ? sum / count : -1;
}

double mean(const std::array<double, kCocoThresholds>& values) {
  return std::accumulate(values.begin(), values.end(), 0.) / kCocoThresholds;
}

}  // namespace

double CocoClass::ap(ObjectSize size) const { return mean(precision[to_size(size)]); }

double CocoEvaluation::ap(ObjectSize size) const {
  return mean_over_classes(classes, size, [&](const CocoClass& c) { return c.ap(size); });
}
double CocoEvaluation::ap_at(int threshold) const {
  return mean_over_classes(classes, ObjectSize::any, [&](const CocoClass& c) {
    return c.precision[0].at(to_size(threshold));
  });
}
double CocoEvaluation::average_recall(ObjectSize size) const {
  return mean_over_classes(classes, size,
                           [&](const CocoClass& c) { return mean(c.recall[to_size(size)]); });
}

CocoEvaluation evaluate_coco(std::span<const EvaluatedImage> images, std::int64_t classes,
                             OutsideImage outside_image) {
  // by class and image
  std::vector<std::vector<std::vector<const Detection*>>> detections(to_size(classes));
  for (auto& of_class : detections) of_class.resize(images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (images[i].width <= 0 || images[i].height <= 0)
      fail("image ", i + 1, ": COCO's average precision needs the size of every image");
    for (const Detection& d : images[i].detections)
      if (d.class_id >= 0 && d.class_id < classes) detections[to_size(d.class_id)][i].push_back(&d);
  }
  CocoEvaluation all;
  all.classes.resize(detections.size());
#pragma omp parallel for schedule(dynamic)
  for (std::size_t k = 0; k < detections.size(); ++k)
    all.classes[k] =
        evaluate_class(images, detections[k], static_cast<std::int64_t>(k), outside_image);
  return all;
}

}  // namespace darknet
