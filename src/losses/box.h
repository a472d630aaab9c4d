// Box losses 1 - Q with Q one of the overlaps, and their two gradients with respect to the box: the
// exact one, and Darknet's (`box_gradient`).
#pragma once
#include "core/hd.h"
#include "detect/dual.h"
#include "detect/overlap.h"

namespace darknet::losses {

// dQ/d(x, y, w, h) of the prediction.
template <class T>
struct BoxGradient {
  T x = 0, y = 0, w = 0, h = 0;
};

template <class T>
DN_HD BoxGradient<T> exact_overlap_gradient(Overlap kind, const BasicBox<T>& p,
                                            const BasicBox<T>& t) {
  using D = Dual<T, 4>;
  const BasicBox<D> prediction{D::variable(p.x, 0), D::variable(p.y, 1), D::variable(p.w, 2),
                               D::variable(p.h, 3)};
  const D q = overlap(kind, prediction, BasicBox<D>{t.x, t.y, t.w, t.h});
  return {q.d[0], q.d[1], q.d[2], q.d[3]};
}

// Darknet: AlexeyAB's dx_box_iou. The overlap's part of w and h is doubled,
// the distance term's x and y carry the wrong sign of S dD/D^2, alpha is held constant, the
// intersection's sides are not clamped, and without overlap only the penalty (giou: U/C) is left.
template <class T>
class DarknetOverlapGradient {
 public:
  DN_HD DarknetOverlapGradient(const BasicBox<T>& p, const BasicBox<T>& t)
      : DarknetOverlapGradient(p, t, {sides_of(p), sides_of(t)}) {}

  DN_HD BoxGradient<T> of(Overlap kind) const {
    Edges e = u_ > 0 ? iou_edges() : Edges{};
    const bool apart = iw_ <= 0 || ih_ <= 0;
    if (kind == Overlap::giou && cw_ * ch_ > 0) {
      const Edges c = enclosing_edges();
      e = apart ? c : Edges{e.l + c.l, e.r + c.r, e.t + c.t, e.b + c.b};
    }
    BoxGradient<T> g{e.l + e.r, e.t + e.b, e.r - e.l, e.b - e.t};
    if (kind == Overlap::iou || kind == Overlap::giou) return g;
    const BoxGradient<T> r = penalty(kind == Overlap::ciou);
    if (apart) return r;
    return {g.x + r.x, g.y + r.y, g.w + r.w, g.h + r.h};
  }

 private:
  struct Edges {  // derivatives by the left, right, top and bottom edge
    T l = 0, r = 0, t = 0, b = 0;
  };

  DN_HD DarknetOverlapGradient(const BasicBox<T>& p, const BasicBox<T>& t,
                               const CommonExtent<T>& common)
      : p_(p),
        t_(t),
        iw_(common.w),
        ih_(common.h),
        i_(iw_ * ih_),
        u_(p.area() + t.area() - i_),
        cw_(math::max(p.right(), t.right()) - math::min(p.left(), t.left())),
        ch_(math::max(p.bottom(), t.bottom()) - math::min(p.top(), t.top())) {}

  // Of the union, given those of the intersection.
  DN_HD Edges union_edges(const Edges& i) const {
    return {-p_.h - i.l, p_.h - i.r, -p_.w - i.t, p_.w - i.b};
  }
  DN_HD Edges intersection_edges() const {
    return {p_.left() > t_.left() ? -ih_ : 0, p_.right() < t_.right() ? ih_ : 0,
            p_.top() > t_.top() ? -iw_ : 0, p_.bottom() < t_.bottom() ? iw_ : 0};
  }
  DN_HD T ratio(T numerator, T d_numerator, T denominator, T d_denominator) const {
    return (denominator * d_numerator - numerator * d_denominator) / (denominator * denominator);
  }
  DN_HD Edges iou_edges() const {
    const Edges i = intersection_edges(), u = union_edges(i);
    return {ratio(i_, i.l, u_, u.l), ratio(i_, i.r, u_, u.r), ratio(i_, i.t, u_, u.t),
            ratio(i_, i.b, u_, u.b)};
  }
  DN_HD Edges enclosing_edges() const {  // of U/C
    const Edges u = union_edges(intersection_edges());
    const T c = cw_ * ch_;
    return {ratio(u_, u.l, c, p_.left() < t_.left() ? -ch_ : 0),
            ratio(u_, u.r, c, p_.right() > t_.right() ? ch_ : 0),
            ratio(u_, u.t, c, p_.top() < t_.top() ? -cw_ : 0),
            ratio(u_, u.b, c, p_.bottom() > t_.bottom() ? cw_ : 0)};
  }
  DN_HD BoxGradient<T> penalty(bool aspect) const {
    const T left = p_.left()<t_.left(), right = p_.right()> t_.right();
    const T top = p_.top()<t_.top(), bottom = p_.bottom()> t_.bottom();
    const T d = cw_ * cw_ + ch_ * ch_;
    if (!(d > 0)) return {};
    const T s = (p_.x - t_.x) * (p_.x - t_.x) + (p_.y - t_.y) * (p_.y - t_.y), s_d2 = s / (d * d);
    BoxGradient<T> g{2 * (t_.x - p_.x) / d - 2 * cw_ * (right - left) * s_d2,
                     2 * (t_.y - p_.y) / d - 2 * ch_ * (bottom - top) * s_d2,
                     cw_ * (right + left) * s_d2, ch_ * (bottom + top) * s_d2};
    if (aspect) add_aspect(g);
    return g;
  }
  DN_HD void add_aspect(BoxGradient<T>& g) const {
    const T v = aspect_term(p_, t_), alpha = v / (1 - i_ / u_ + v + T(1e-6f));
    const T slope =
        alpha * 2 * T(0.40528473f) * (math::atan(t_.w / t_.h) - math::atan(p_.w / p_.h));
    g.w += slope * p_.h;  // Darknet: without 1/(w^2 + h^2)
    g.h -= slope * p_.w;
  }

  BasicBox<T> p_, t_;
  T iw_, ih_, i_, u_, cw_, ch_;
};

}  // namespace darknet::losses
