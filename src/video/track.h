// Identities for the detections of a video, by overlap from frame to frame. Knows boxes only, not
// what they show: two objects that cross far apart in time may change places.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "detect/box.h"

namespace darknet {

struct TrackedDetection {
  Detection detection;
  std::int64_t id = 0;  // counted from 1; 0: not tracked
};

struct TrackerSettings {
  std::int64_t frames_to_keep = 30;    // that a track outlives its last detection
  std::int64_t frames_to_believe = 2;  // detections in a row before a track gets its number
};

// ByteTrack's two rounds (Zhang et al., ECCV 2022): sure detections are matched to where the tracks
// should be by now, then the unsure ones to the tracks that are left, which bridges moments in
// which an object is half hidden. Unsure detections that continue no track are left out.
class Tracker {
 public:
  explicit Tracker(const TrackerSettings& settings) : settings_(settings) {}
  // `sure`: least probability that begins a track.
  std::vector<TrackedDetection> next(std::span<const Detection>, float sure);
  // Objects that got a number so far, by class.
  const std::map<std::int32_t, std::int64_t>& counts() const { return counts_; }

 private:
  struct Track {
    Detection last;
    float speed_x = 0, speed_y = 0;  // fractions of the picture per frame
    std::int64_t id = 0, hits = 1, unseen = 0;
    Detection expected() const;
  };
  // Pairs `found` with those of `tracks_` that `open` allows, and moves them on.
  void match(std::span<const Detection> found, std::vector<bool>& open,
             std::vector<TrackedDetection>& out, bool begins);
  void go_on(Track&, const Detection&) const;
  void number(Track&);
  TrackerSettings settings_;
  std::vector<Track> tracks_;
  std::map<std::int32_t, std::int64_t> counts_;
  std::int64_t next_id_ = 1;
};

}  // namespace darknet
