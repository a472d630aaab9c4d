// Keeps a recording of a live source as long as what it shows: cameras and streams come unevenly,
// and dropped frames leave gaps, while a video file has one fixed number of frames a second.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace darknet {

class SteadyPace {
 public:
  explicit SteadyPace(double fps) : fps_(fps) {}
  // How often the frame of that time, in seconds, is to be written: 0 where the last one still
  // stands, 2 where one is missing. A gap of more than a second (a lost stream) is cut out.
  std::int64_t copies(double seconds) {
    const auto due = std::llround((seconds - cut_) * fps_) + 1;
    const auto max = std::max<std::int64_t>(1, std::llround(fps_));
    const std::int64_t missing = std::max<std::int64_t>(0, due - written_);
    const std::int64_t copies = missing > max ? 1 : missing;
    cut_ += static_cast<double>(missing - copies) / fps_;
    written_ += copies;
    return copies;
  }

 private:
  double fps_, cut_ = 0;
  std::int64_t written_ = 0;
};

}  // namespace darknet
