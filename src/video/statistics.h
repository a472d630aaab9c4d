// How long the stages of a pipeline take, how old frames are when they leave it, and how many were
// dropped. Written by all stages at once, read at any time.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace darknet {

enum class Stage : std::uint8_t { capture, prepare, detect, draw, output };
inline constexpr std::array<const char*, 5> kStageNames{"capture", "prepare", "detect", "draw",
                                                        "output"};

struct StageTimes {  // means per frame, milliseconds
  double wall = 0, cpu = 0, recent = 0;
};

struct VideoSummary {
  std::int64_t frames = 0, dropped = 0;  // that left the pipeline; that were skipped
  double seconds = 0;                    // from the first frame captured to the last one out
  double fps = 0, recent_fps = 0;
  double latency = 0, recent_latency = 0, worst_latency = 0;  // milliseconds
  double cpu = 0;  // milliseconds of processor time per frame, of the whole program
  int parallel_detectors = 1;
  std::array<StageTimes, kStageNames.size()> stages;
  // Frames a second if the slowest stage had the machine to itself.
  double stage_limit() const;
  // Frames a second if all cores did nothing but this work.
  double cpu_limit(int cores) const;
};

class VideoStatistics {
 public:
  using Clock = std::chrono::steady_clock;
  void detect_in_parallel(int detectors);  // before the first frame
  void worked(Stage, double wall_seconds, double cpu_seconds);
  void dropped(std::int64_t frames);
  void left(Clock::time_point captured);
  VideoSummary summary() const;

 private:
  mutable std::mutex mutex_;
  VideoSummary summary_;  // of times, sums
  std::array<std::int64_t, kStageNames.size()> worked_{};
  Clock::time_point first_, last_;
  double cpu_before_ = 0;
  double interval_ = 0;  // seconds between the last frames
};

// Times the work of one stage on one frame, in the thread that does it.
class StageTimer {
 public:
  StageTimer(VideoStatistics&, Stage);
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;
  ~StageTimer();

 private:
  VideoStatistics& statistics_;
  Stage stage_;
  VideoStatistics::Clock::time_point start_;
  double cpu_;
};

// For people, at the end.
std::string describe(const VideoSummary&, int cores);
// For the image: frames a second, latency and times of the last frames.
std::vector<std::string> overlay_lines(const VideoSummary&, bool live);

}  // namespace darknet
