#include "image/caption_places.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace darknet {
namespace {

constexpr double kHidden = .2;  // share of an object that a caption may cover at most
constexpr double kNever = std::numeric_limits<double>::infinity();
// Costs, in parts of a caption that covers something of a large object with its whole area.
constexpr double kOwnObject = .3, kLeader = .5, kLeaderLength = .08, kOrder = .01, kLeaderOver = .4;
constexpr double kFree = .1;  // good enough to look no further

CanvasPoint point(std::int64_t x, std::int64_t y) {
  return {static_cast<float>(x), static_cast<float>(y)};
}

// Above, below, at the sides, and within the object's corners: the best first, without a leader.
std::vector<PixelArea> adjacent_places(const PixelArea& o, std::int64_t w, std::int64_t h) {
  return {{o.x, o.y - h, w, h},
          {o.x, o.bottom(), w, h},
          {o.right() - w, o.y - h, w, h},
          {o.right() - w, o.bottom(), w, h},
          {o.right(), o.y, w, h},
          {o.x - w, o.y, w, h},
          {o.right(), o.bottom() - h, w, h},
          {o.x - w, o.bottom() - h, w, h},
          {o.x, o.y, w, h},
          {o.x, o.bottom() - h, w, h}};
}

// Shifted into the image, as long as it keeps touching its object.
PixelArea shifted_into(const PixelArea& image, PixelArea p, const PixelArea& object) {
  p.x = std::clamp(p.x, image.x, std::max(image.x, image.right() - p.width));
  p.x = std::clamp(p.x, object.x - p.width, object.right());
  return p;
}

bool within(const PixelArea& image, const PixelArea& p) {
  return p.x >= image.x && p.y >= image.y && p.right() <= image.right() &&
         p.bottom() <= image.bottom();
}

CanvasPoint nearest_point(const PixelArea& area, CanvasPoint to) {
  return {std::clamp(to.x, static_cast<float>(area.x), static_cast<float>(area.right())),
          std::clamp(to.y, static_cast<float>(area.y), static_cast<float>(area.bottom()))};
}

CanvasPoint centre_of(const PixelArea& a) { return point(a.x + a.width / 2, a.y + a.height / 2); }

// A caption whose nearest edge is `distance` away in this direction.
CaptionPlace led_place(const PixelArea& o, std::int64_t w, std::int64_t h, double distance,
                       double angle) {
  const double across = std::cos(angle), down = std::sin(angle);
  const double x = static_cast<double>(o.x) + static_cast<double>(o.width) / 2 +
                   across * (static_cast<double>(o.width + w) / 2 + distance),
               y = static_cast<double>(o.y) + static_cast<double>(o.height) / 2 +
                   down * (static_cast<double>(o.height + h) / 2 + distance);
  CaptionPlace place{{std::llround(x) - w / 2, std::llround(y) - h / 2, w, h}, {}};
  const CanvasPoint from = nearest_point(place.area, centre_of(o));
  place.leader = {from, nearest_point(o, from)};
  return place;
}

double length_of(const std::pair<CanvasPoint, CanvasPoint>& leader) {
  return std::hypot(leader.first.x - leader.second.x, leader.first.y - leader.second.y);
}

// Whether the open segments ab and cd cross each other.
bool segments_cross(CanvasPoint a, CanvasPoint b, CanvasPoint c, CanvasPoint d) {
  const auto side = [](CanvasPoint p, CanvasPoint q, CanvasPoint r) {
    return (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x);
  };
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

}  // namespace

std::int64_t PixelArea::common(const PixelArea& o) const {
  const std::int64_t w = std::min(right(), o.right()) - std::max(x, o.x),
                     h = std::min(bottom(), o.bottom()) - std::max(y, o.y);
  return w > 0 && h > 0 ? w * h : 0;
}

// Liang and Barsky: what is left of the line when it is cut at each edge.
bool crosses(CanvasPoint a, CanvasPoint b, const PixelArea& area) {
  float from = 0, to = 1;
  const auto cut = [&](float step, float room) {
    if (step == 0) return room >= 0;
    const float t = room / step;
    step < 0 ? from = std::max(from, t) : to = std::min(to, t);
    return from < to;
  };
  return cut(a.x - b.x, a.x - static_cast<float>(area.x)) &&
         cut(b.x - a.x, static_cast<float>(area.right()) - a.x) &&
         cut(a.y - b.y, a.y - static_cast<float>(area.y)) &&
         cut(b.y - a.y, static_cast<float>(area.bottom()) - a.y);
}

// What lies near enough to meet a caption of an object or its leader.
struct CaptionPlaces::Surroundings {
  PixelArea own;
  std::vector<PixelArea> objects, taken;
  std::vector<std::pair<CanvasPoint, CanvasPoint>> leaders;
};

CaptionPlaces::CaptionPlaces(const PixelArea& image, std::vector<PixelArea> objects,
                             std::vector<PixelArea> reserved)
    : image_(image), objects_(std::move(objects)), taken_(std::move(reserved)) {}

CaptionPlaces::Surroundings CaptionPlaces::around(std::size_t object, std::int64_t reach) const {
  Surroundings s{objects_[object], {}, {}, {}};
  const PixelArea near = s.own.grown(reach);
  for (std::size_t i = 0; i < objects_.size(); ++i)
    if (i != object && near.common(objects_[i]) > 0) s.objects.push_back(objects_[i]);
  for (const PixelArea& t : taken_)
    if (near.common(t) > 0) s.taken.push_back(t);
  for (const auto& l : leaders_)
    if (crosses(l.first, l.second, near)) s.leaders.push_back(l);
  return s;
}

// kNever also where it is known to be no less than `bound`.
double CaptionPlaces::cost(const CaptionPlace& place, const Surroundings& s, double bound) const {
  const PixelArea& p = place.area;
  if (!within(image_, p)) return kNever;
  for (const PixelArea& t : s.taken)
    if (t.common(p) > 0 || (place.leader && crosses(place.leader->first, place.leader->second, t)))
      return kNever;
  for (const auto& [a, b] : s.leaders)
    if (crosses(a, b, p) ||
        (place.leader && segments_cross(a, b, place.leader->first, place.leader->second)))
      return kNever;
  double sum = 0;
  if (place.leader)
    sum += kLeader + kLeaderLength * length_of(*place.leader) / static_cast<double>(p.height);
  const auto area = static_cast<double>(p.width * p.height);
  const auto hides = [&](const PixelArea& object, double weight) {
    const std::int64_t common = object.common(p);
    if (common == 0) return false;
    const auto covered = static_cast<double>(common);
    sum += weight * covered / area;
    return covered > kHidden * static_cast<double>(object.width * object.height);
  };
  if (hides(s.own, kOwnObject)) return kNever;
  for (const PixelArea& o : s.objects) {
    if (hides(o, 1)) return kNever;
    if (place.leader && crosses(place.leader->first, place.leader->second, o)) sum += kLeaderOver;
    if (sum >= bound) return kNever;
  }
  return sum;
}

std::optional<CaptionPlace> CaptionPlaces::take(std::size_t object, std::int64_t width,
                                                std::int64_t height, std::int64_t reach) {
  constexpr int kDirections = 24;
  const Surroundings s = around(object, reach + 2 * std::max(width, height));
  CaptionPlace best;
  double min = kNever;
  const auto consider = [&](const CaptionPlace& place, double extra) {
    if (const double here = cost(place, s, min) + extra; here < min) min = here, best = place;
  };
  double order = 0;
  for (const PixelArea& p : adjacent_places(s.own, width, height))
    consider({shifted_into(image_, p, s.own), {}}, order += kOrder);
  for (auto distance = static_cast<double>(height);
       min > kFree && min > kLeader && distance <= static_cast<double>(reach); distance *= 1.5)
    for (int k = 0; k < kDirections; ++k)
      consider(led_place(s.own, width, height, distance, 2 * std::numbers::pi * k / kDirections),
               0);
  if (min == kNever) return std::nullopt;
  taken_.push_back(best.area);
  if (best.leader) leaders_.push_back(*best.leader);
  return best;
}

PixelArea CaptionPlaces::take_at_edge(std::int64_t width, std::int64_t height) {
  const std::int64_t left = image_.x, top = image_.y, right = image_.right() - width,
                     bottom = image_.bottom() - height, centre = (left + right) / 2,
                     middle = (top + bottom) / 2;
  PixelArea best;
  double min = kNever;
  for (const auto& [x, y] : {std::pair{left, bottom},
                             {right, bottom},
                             {right, top},
                             {left, top},
                             {centre, bottom},
                             {right, middle},
                             {left, middle},
                             {centre, top}}) {
    const PixelArea p{std::max(x, left), std::max(y, top), width, height};
    double here = 0;
    for (const PixelArea& t : taken_) here += 10 * static_cast<double>(t.common(p) > 0);
    for (const PixelArea& o : objects_)
      here += static_cast<double>(o.common(p)) /
              static_cast<double>(std::max<std::int64_t>(1, o.width * o.height));
    if (here < min) min = here, best = p;
  }
  taken_.push_back(best);
  return best;
}

}  // namespace darknet
