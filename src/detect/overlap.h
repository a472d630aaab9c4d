// How much two boxes overlap: IoU and its relatives, as templates on the scalar (float, double,
// Dual).
#pragma once
#include "core/hd.h"
#include "core/math.h"
#include "core/named.h"
#include "detect/box.h"

namespace darknet {

enum class Overlap : std::uint8_t { iou, giou, diou, ciou };
constexpr auto choices(Overlap) {
  return std::to_array<Named<Overlap>>({{"iou", Overlap::iou},
                                        {"giou", Overlap::giou},
                                        {"diou", Overlap::diou},
                                        {"ciou", Overlap::ciou}});
}

template <class T>
struct BoxSides {
  T left, right, top, bottom;
};

template <class T>
DN_HD BoxSides<T> sides_of(const BasicBox<T>& b) {
  return {b.left(), b.right(), b.top(), b.bottom()};
}

// Of the rectangle that two boxes have in common; negative, the distance, where they are apart.
template <class T>
struct CommonExtent {
  T w, h;
  DN_HD CommonExtent(const BoxSides<T>& a, const BoxSides<T>& b)
      : w(math::min(a.right, b.right) - math::max(a.left, b.left)),
        h(math::min(a.bottom, b.bottom) - math::max(a.top, b.top)) {}
  DN_HD T area() const { return math::max(w, T(0)) * math::max(h, T(0)); }
};

// What all of them are made of.
template <class T>
struct BoxPair {
  T intersection, union_area;
  T enclosing_w, enclosing_h;  // of the smallest box around both
  T centre_distance2;

  DN_HD BoxPair(const BasicBox<T>& a, const BasicBox<T>& b) {
    intersection = CommonExtent<T>(sides_of(a), sides_of(b)).area();
    union_area = a.area() + b.area() - intersection;
    enclosing_w = math::max(a.right(), b.right()) - math::min(a.left(), b.left());
    enclosing_h = math::max(a.bottom(), b.bottom()) - math::min(a.top(), b.top());
    centre_distance2 = (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y);
  }
  DN_HD T iou() const { return union_area > T(0) ? intersection / union_area : T(0); }
  DN_HD T diagonal2() const { return enclosing_w * enclosing_w + enclosing_h * enclosing_h; }
  DN_HD T distance_term() const {
    return diagonal2() > T(0) ? centre_distance2 / diagonal2() : T(0);
  }
};

template <class T>
DN_HD T iou(const BasicBox<T>& a, const BasicBox<T>& b) {
  return BoxPair<T>(a, b).iou();
}

// IoU - (C - U)/C with C the area of the enclosing box (Rezatofighi et al., CVPR 2019).
template <class T>
DN_HD T giou(const BasicBox<T>& a, const BasicBox<T>& b) {
  const BoxPair<T> p(a, b);
  const T c = p.enclosing_w * p.enclosing_h;
  return c > T(0) ? p.iou() - (c - p.union_area) / c : p.iou();
}

// IoU - S/D, squared centre distance over squared enclosing diagonal (Zheng et al., AAAI 2020).
template <class T>
DN_HD T diou(const BasicBox<T>& a, const BasicBox<T>& b) {
  const BoxPair<T> p(a, b);
  return p.iou() - p.distance_term();
}

// 4/pi^2 (atan(w'/h') - atan(w/h))^2, the aspect term v of CIoU.
template <class T>
DN_HD T aspect_term(const BasicBox<T>& prediction, const BasicBox<T>& truth) {
  using math::atan;
  const T d = atan(truth.w / truth.h) - atan(prediction.w / prediction.h);
  return T(0.40528473f) * d * d;
}

// DIoU - alpha v with alpha = v / (1 - IoU + v) (Zheng et al., AAAI 2020).
template <class T>
DN_HD T ciou(const BasicBox<T>& a, const BasicBox<T>& b) {
  const BoxPair<T> p(a, b);
  const T v = aspect_term(a, b), alpha = v / (T(1) - p.iou() + v + T(1e-6f));
  return p.iou() - p.distance_term() - alpha * v;
}

template <class T>
DN_HD T overlap(Overlap kind, const BasicBox<T>& a, const BasicBox<T>& b) {
  switch (kind) {
    case Overlap::giou:
      return giou(a, b);
    case Overlap::diou:
      return diou(a, b);
    case Overlap::ciou:
      return ciou(a, b);
    case Overlap::iou:
      break;
  }
  return iou(a, b);
}

}  // namespace darknet
