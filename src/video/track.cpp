#include "detect/track.h"

#include <algorithm>

#include "detect/associate.h"

namespace darknet {
namespace {

// IoU with where the track should be: people who walk move half their width between frames at 10
// frames a second. Unsure detections have to lie closer.
constexpr float kSureOverlap = .2f, kUnsureOverlap = .5f;
constexpr float kInertia = .7f;  // of the old speed in the new one

}  // namespace

Detection Tracker::Track::expected() const {
  Detection d = last;
  const auto frames = static_cast<float>(unseen + 1);
  d.box.x += speed_x * frames;
  d.box.y += speed_y * frames;
  return d;
}

void Tracker::go_on(Track& t, const Detection& d) const {
  const auto frames = static_cast<float>(t.unseen + 1);
  const float keep = t.hits == 1 ? 0 : kInertia;
  t.speed_x = keep * t.speed_x + (1 - keep) * (d.box.x - t.last.box.x) / frames;
  t.speed_y = keep * t.speed_y + (1 - keep) * (d.box.y - t.last.box.y) / frames;
  t.last = d;
  t.unseen = 0;
  ++t.hits;
}

void Tracker::number(Track& t) {
  if (t.id > 0 || t.hits < settings_.frames_to_believe) return;
  t.id = next_id_++;
  ++counts_[t.last.class_id];
}

void Tracker::match(std::span<const Detection> found, std::vector<bool>& open,
                    std::vector<TrackedDetection>& out, bool begins) {
  std::vector<std::size_t> which;
  std::vector<Detection> expected;
  for (std::size_t k = 0; k < open.size(); ++k)
    if (open[k]) which.push_back(k), expected.push_back(tracks_[k].expected());
  const auto match = associate(found, expected, begins ? kSureOverlap : kUnsureOverlap);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (match[i] != kUnmatched) {
      Track& t = tracks_[which[match[i]]];
      open[which[match[i]]] = false;
      go_on(t, found[i]);
      number(t);
      out.push_back({found[i], t.id});
    } else if (begins) {
      tracks_.push_back({.last = found[i]});
      number(tracks_.back());
      out.push_back({found[i], tracks_.back().id});
    }
  }
}

std::vector<TrackedDetection> Tracker::next(std::span<const Detection> found, float sure_from) {
  std::vector<Detection> sure, unsure;
  for (const Detection& d : found) (d.probability >= sure_from ? sure : unsure).push_back(d);
  std::vector<bool> open(tracks_.size(), true);
  std::vector<TrackedDetection> out;
  match(sure, open, out, true);
  match(unsure, open, out, false);
  for (std::size_t k = 0; k < open.size(); ++k)
    if (open[k]) ++tracks_[k].unseen;
  std::erase_if(tracks_, [&](const Track& t) {  // one that was seen once only was perhaps nothing
    return t.unseen > (t.id > 0 ? settings_.frames_to_keep : 0);
  });
  return out;
}

}  // namespace darknet
