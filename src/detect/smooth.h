// Detections of a video averaged over its last frames: steadier boxes, fewer that flicker. Gives
// no identities (video/track.h).
#pragma once
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "detect/box.h"

namespace darknet {

// An object's probability is its mean over the last `frames` frames, 0 where it was not seen (in
// the first frames, over those there were); its box the mean by probability. What falls below
// the threshold is left out. frames <= 1 changes nothing.
class Smoother {
 public:
  explicit Smoother(std::size_t frames) : frames_(frames) {}
  // The highest-scoring first.
  std::vector<Detection> next(std::span<const Detection>, float threshold);

 private:
  struct Object {
    std::deque<Detection> seen;  // the newest first; probability 0 where it was not seen
  };
  void assign(std::span<const Detection>);
  Detection mean_of(const Object&) const;
  std::size_t frames_;
  std::size_t frames_so_far_ = 0;
  std::vector<Object> objects_;
};

}  // namespace darknet
