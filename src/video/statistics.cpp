#include "video/statistics.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/index.h"
#include "core/text.h"
#include "core/threads.h"

namespace darknet {
namespace {

constexpr double kMilli = 1000;
constexpr double kRecent = .1;  // weight of the newest frame in a running mean

double seconds(VideoStatistics::Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

void follow(double& mean, double value, bool first) {
  mean = first ? value : mean + kRecent * (value - mean);
}

}  // namespace

double VideoSummary::stage_limit() const {
  double slowest = 0;  // milliseconds per frame
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const bool detect = i == to_size(Stage::detect);
    slowest = std::max(slowest, stages[i].cpu / (detect ? parallel_detectors : 1));
  }
  return slowest > 0 ? kMilli / slowest : 0;
}

double VideoSummary::cpu_limit(int cores) const { return cpu > 0 ? kMilli * cores / cpu : 0; }

void VideoStatistics::detect_in_parallel(int detectors) {
  const std::lock_guard lock(mutex_);
  summary_.parallel_detectors = detectors;
}

void VideoStatistics::worked(Stage stage, double wall, double cpu) {
  const std::lock_guard lock(mutex_);
  const auto at = to_size(stage);
  StageTimes& t = summary_.stages[at];
  t.wall += kMilli * wall, t.cpu += kMilli * cpu;
  follow(t.recent, kMilli * wall, worked_[at]++ == 0);
}

void VideoStatistics::dropped(std::int64_t frames) {
  const std::lock_guard lock(mutex_);
  summary_.dropped += frames;
}

void VideoStatistics::left(Clock::time_point captured) {
  const auto now = Clock::now();
  const double latency = kMilli * seconds(now - captured);
  const std::lock_guard lock(mutex_);
  VideoSummary& s = summary_;
  const bool first = s.frames++ == 0;
  if (first)
    first_ = captured;
  else
    follow(interval_, seconds(now - last_), s.frames == 2);
  s.recent_fps = interval_ > 0 ? 1 / interval_ : 0;
  last_ = now;
  s.latency += latency;
  s.worst_latency = std::max(s.worst_latency, latency);
  follow(s.recent_latency, latency, first);
  s.cpu = process_cpu_seconds();
  if (first) cpu_before_ = s.cpu;
}

VideoSummary VideoStatistics::summary() const {
  const std::lock_guard lock(mutex_);
  VideoSummary s = summary_;
  for (std::size_t i = 0; i < s.stages.size(); ++i) {
    const auto frames = static_cast<double>(std::max<std::int64_t>(worked_[i], 1));
    s.stages[i].wall /= frames, s.stages[i].cpu /= frames;
  }
  if (s.frames == 0) return s;
  const auto frames = static_cast<double>(s.frames);
  s.seconds = seconds(last_ - first_);
  s.fps = frames / std::max(s.seconds, 1e-6);
  s.latency /= frames;
  s.cpu = kMilli * (s.cpu - cpu_before_) / std::max(frames - 1, 1.);
  return s;
}

StageTimer::StageTimer(VideoStatistics& statistics, Stage stage)
    : statistics_(statistics),
      stage_(stage),
      start_(VideoStatistics::Clock::now()),
      cpu_(thread_cpu_seconds()) {}

StageTimer::~StageTimer() {
  statistics_.worked(stage_, seconds(VideoStatistics::Clock::now() - start_),
                     thread_cpu_seconds() - cpu_);
}

std::string describe(const VideoSummary& s, int cores) {
  std::string text =
      fmt::format("{} in {:.1f} s: {:.1f} frames/s", plural(s.frames, "frame"), s.seconds, s.fps);
  if (s.dropped > 0) text += fmt::format(", {} dropped", s.dropped);
  text += fmt::format("; latency {:.0f} ms, at most {:.0f} ms\n", s.latency, s.worst_latency);
  text += fmt::format("{:<10}{:>12}{:>20}\n", "stage", "ms/frame", "processor ms/frame");
  for (std::size_t i = 0; i < s.stages.size(); ++i)
    text += fmt::format("{:<10}{:>12.2f}{:>20.2f}\n", kStageNames[i], s.stages[i].wall,
                        s.stages[i].cpu);
  return text + fmt::format(
                    "processor time {:.2f} ms/frame: {} cores allow {:.1f} frames/s, "
                    "the slowest stage {:.1f}",
                    s.cpu, cores, s.cpu_limit(cores), s.stage_limit());
}

std::vector<std::string> overlay_lines(const VideoSummary& s, bool live) {
  std::string first = fmt::format("{:.1f} frames/s  {:.0f} ms", s.recent_fps, s.recent_latency);
  if (live) first += fmt::format("  {} dropped", s.dropped);
  std::string second;
  for (std::size_t i = 0; i < s.stages.size(); ++i)
    second += fmt::format("{}{} {:.1f}", i == 0 ? "" : "  ", kStageNames[i], s.stages[i].recent);
  return {first, second};
}

}  // namespace darknet
