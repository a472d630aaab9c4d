// Identities for the detections of a video, by overlap from frame to frame. Knows boxes only, not
// what they show: two objects that cross far apart in time may change places.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "detect/box.h"
#include "image/box_motion.h"

namespace darknet {

struct TrackedDetection {
  Detection detection;
  std::int64_t id = 0;  // counted from 1; 0: not tracked, or not long enough yet
};

struct TrackerSettings {
  std::int64_t frames_to_keep = 30;   // that a numbered track outlives its last detection
  std::int64_t frames_to_number = 5;  // with a detection, before a track gets its number
  // Least IoU of a detection with where its track is expected: people who walk move half their
  // width between frames at 10 frames a second.
  float min_overlap = .2f;
};

// ByteTrack's two rounds (Zhang et al., ECCV 2022): detections from the threshold on are matched to
// where a Kalman filter expects the tracks, then those below it to the numbered tracks that are
// left, which bridges moments in which an object is half hidden.
class Tracker {
 public:
  // Throws in a build without OpenCV.
  explicit Tracker(const TrackerSettings& settings) : settings_(settings) { require_box_motion(); }
  // The detections from `threshold` on, with their identities. Those below it continue tracks, but
  // are not returned.
  std::vector<TrackedDetection> next(std::span<const Detection>, float threshold);
  // Objects that got a number so far, by class.
  const std::map<std::int32_t, std::int64_t>& counts() const { return counts_; }

 private:
  struct Track {
    Detection expected;  // in this frame
    std::unique_ptr<BoxMotion> motion;
    std::int64_t id = 0, hits = 0, unseen = 0;  // hits: detections from the threshold on
    bool matched = true;                        // in this frame
  };
  // Pairs `found` with tracks that are not matched yet: for each detection its track or kUnmatched.
  std::vector<std::size_t> match(std::span<const Detection> found, float min_overlap,
                                 bool numbered_only);
  void hit(Track&);
  TrackerSettings settings_;
  std::vector<Track> tracks_;
  std::map<std::int32_t, std::int64_t> counts_;
  std::int64_t next_id_ = 1;
};

}  // namespace darknet
