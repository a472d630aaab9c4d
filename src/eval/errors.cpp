#include "eval/errors.h"

#include <algorithm>

#include "core/index.h"
#include "detect/overlap.h"

namespace darknet {
namespace {

constexpr float kSomeOverlap = .1f;
constexpr std::size_t kNoNearest = to_size(-1);

struct Nearest {
  std::size_t truth = kNoNearest;
  float iou = 0;
};

// The truth with the largest overlap among those that `may`.
template <class May>
Nearest nearest(const Box& box, const std::vector<Truth>& truths, const May& may) {
  Nearest best;
  for (std::size_t t = 0; t < truths.size(); ++t) {
    if (!may(t)) continue;
    if (const float here = iou(box, truths[t].box); here > best.iou) best = {t, here};
  }
  return best;
}

// One image: who took whom.
class ImageErrors {
 public:
  ImageErrors(const EvaluatedImage& image, std::int64_t number, const EvaluationOptions& o)
      : image_(image), number_(number), min_(o.iou), taken_(image.truths.size()) {
    for (const Detection& d : image.detections)
      if (d.probability > o.threshold) detections_.push_back(d);
    std::stable_sort(
        detections_.begin(), detections_.end(),
        [](const Detection& a, const Detection& b) { return a.probability > b.probability; });
  }

  void add_to(DetectionErrors& e) {
    std::vector<Detection> left;
    for (const Detection& d : detections_)
      if (!hit(d, e)) left.push_back(d);
    for (const Detection& d : left)
      if (!on_difficult(d)) add_false(d, e);
    for (std::size_t t = 0; t < taken_.size(); ++t)
      if (!taken_[t]) add_miss(image_.truths[t], e);
  }

 private:
  bool hit(const Detection& d, DetectionErrors& e) {
    const Nearest n = nearest(d.box, image_.truths, [&](std::size_t t) {
      return !taken_[t] && image_.truths[t].class_id == d.class_id;
    });
    if (n.truth == kNoNearest || n.iou < min_) return false;
    taken_[n.truth] = true;
    count(e, d.class_id, d.class_id);
    return true;
  }

  bool on_difficult(const Detection& d) const {
    return nearest(d.box, image_.difficult, [&](std::size_t t) {
             return image_.difficult[t].class_id == d.class_id;
           }).iou >= min_;
  }

  void add_false(const Detection& d, DetectionErrors& e) {
    FalsePositive f{.image = number_, .detection = d};
    const auto same = nearest(d.box, image_.truths, [&](std::size_t t) {
      return image_.truths[t].class_id == d.class_id;
    });
    const auto other = nearest(d.box, image_.truths, [&](std::size_t t) {
      return !taken_[t] && image_.truths[t].class_id != d.class_id;
    });
    if (same.iou >= min_) {
      f.kind = FalseKind::duplicate, f.confused_with = d.class_id, f.iou = same.iou;
    } else if (other.truth != kNoNearest && other.iou >= min_) {
      f.kind = FalseKind::wrong_class, f.iou = other.iou;
      f.confused_with = image_.truths[other.truth].class_id;
      taken_[other.truth] = true;
    } else if (same.iou >= kSomeOverlap) {
      f.kind = FalseKind::poorly_placed, f.confused_with = d.class_id, f.iou = same.iou;
    }
    const bool wrong = f.kind == FalseKind::wrong_class;
    count(e, wrong ? f.confused_with : static_cast<std::int32_t>(e.classes), d.class_id);
    e.false_positives.push_back(f);
  }

  void add_miss(const Truth& truth, DetectionErrors& e) {
    count(e, truth.class_id, static_cast<std::int32_t>(e.classes));
    e.misses.push_back({number_, truth});
  }

  static void count(DetectionErrors& e, std::int32_t truth, std::int32_t detected) {
    ++e.confusion[to_size(truth * (e.classes + 1) + detected)];
  }

  const EvaluatedImage& image_;
  std::int64_t number_;
  float min_;
  std::vector<bool> taken_;
  std::vector<Detection> detections_;
};

}  // namespace

const char* name_of(FalseKind kind) {
  switch (kind) {
    case FalseKind::duplicate:
      return "duplicate";
    case FalseKind::wrong_class:
      return "wrong class";
    case FalseKind::poorly_placed:
      return "poorly placed";
    default:
      return "background";
  }
}

DetectionErrors find_errors(std::span<const EvaluatedImage> images, const EvaluationOptions& o) {
  DetectionErrors e{.classes = o.classes};
  e.confusion.resize(to_size((o.classes + 1) * (o.classes + 1)));
  for (std::size_t i = 0; i < images.size(); ++i)
    ImageErrors(images[i], static_cast<std::int64_t>(i), o).add_to(e);
  std::stable_sort(e.false_positives.begin(), e.false_positives.end(),
                   [](const FalsePositive& a, const FalsePositive& b) {
                     return a.detection.probability > b.detection.probability;
                   });
  std::stable_sort(e.misses.begin(), e.misses.end(),
                   [](const MissedTruth& a, const MissedTruth& b) {
                     return a.truth.box.area() > b.truth.box.area();
                   });
  return e;
}

}  // namespace darknet
