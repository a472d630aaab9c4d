#include "video/track.h"

#include <algorithm>

#include "detect/associate.h"

namespace darknet {
namespace {

constexpr float kMinOverlapBelow = .5f;  // of detections below the threshold
// A track without a number ends sooner: a false positive that comes back is no object.
constexpr std::int64_t kKeepUnnumbered = 1;

}  // namespace

std::vector<std::size_t> Tracker::match(std::span<const Detection> found, float min_overlap,
                                        bool numbered_only) {
  std::vector<std::size_t> which;
  std::vector<Detection> expected;
  for (std::size_t k = 0; k < tracks_.size(); ++k)
    if (!tracks_[k].matched && (tracks_[k].id > 0 || !numbered_only))
      which.push_back(k), expected.push_back(tracks_[k].expected);
  auto match = associate(found, expected, min_overlap);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (match[i] == kUnmatched) continue;
    match[i] = which[match[i]];
    Track& t = tracks_[match[i]];
    t.motion->correct(found[i].box);
    t.unseen = 0, t.matched = true;
  }
  return match;
}

void Tracker::hit(Track& t) {
  if (t.id > 0 || ++t.hits < settings_.frames_to_number) return;
  t.id = next_id_++;
  ++counts_[t.expected.class_id];
}

std::vector<TrackedDetection> Tracker::next(std::span<const Detection> found, float threshold) {
  std::vector<Detection> above, below;
  for (const Detection& d : found) (d.probability >= threshold ? above : below).push_back(d);
  for (Track& t : tracks_) t.expected.box = t.motion->predict(), t.matched = false;
  const auto tracks = match(above, settings_.min_overlap, false);
  match(below, std::max(kMinOverlapBelow, settings_.min_overlap), true);
  std::vector<TrackedDetection> out;
  for (std::size_t i = 0; i < above.size(); ++i) {
    if (tracks[i] == kUnmatched) tracks_.push_back({above[i], box_motion(above[i].box)});
    Track& t = tracks[i] == kUnmatched ? tracks_.back() : tracks_[tracks[i]];
    hit(t);
    out.push_back({above[i], t.id});
  }
  std::erase_if(tracks_, [&](Track& t) {
    return !t.matched && ++t.unseen > (t.id > 0 ? settings_.frames_to_keep : kKeepUnnumbered);
  });
  return out;
}

}  // namespace darknet
