// The stages of a video, each on a thread of its own with bounded queues between: capture, prepare,
// detect, draw, output. Knows no networks, files or windows: the stages are functions.
#pragma once
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/queue.h"
#include "video/frame.h"
#include "video/statistics.h"

namespace darknet {

// Shared, because output, window and web server look at a frame at the same time.
using FinishedFrame = std::shared_ptr<const Frame>;

struct PipelineStages {
  std::function<bool(Image&)> capture;  // false at the end
  std::function<PreparedImage(const Image&)> prepare;
  // One thread each; frames are dealt to them in turn. Never called twice at a time.
  std::vector<std::function<std::vector<Detection>(const Frame&)>> detect;
  std::function<void(Frame&)> draw;  // in order, as output
  std::function<void(const FinishedFrame&)> output;
};

struct PipelineOptions {
  bool live = false;   // drop the oldest frames where work falls behind; else every frame counts
  bool shown = false;  // somebody takes frames from next_shown()
  double fps = 0;      // of Frame::seconds where not live; 0: 1
};

class Pipeline {
 public:
  // `statistics` outlives it. Throws where a thread cannot be started.
  Pipeline(PipelineStages, const PipelineOptions&, VideoStatistics& statistics);
  ~Pipeline();  // stops at once
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // The next frame for a window, in order (live: the newest); none where none came in time.
  std::optional<FinishedFrame> next_shown(std::chrono::milliseconds max);
  // Whether every frame has left; waits for that no longer than `max`.
  bool finished(std::chrono::milliseconds max);
  void stop();  // captures nothing more; what is on its way goes on
  void join();  // waits for the end and throws what went wrong first

 private:
  using Passed = std::unique_ptr<Frame>;
  using Queue = BoundedQueue<Passed>;
  void start_all();
  void start(void (Pipeline::*stage)());
  void start(std::function<void()> stage);
  void run(const std::function<void()>& stage);
  void capture();
  void prepare();
  void detect(std::size_t worker);
  void draw();
  void output();
  void close_all();
  void end();
  bool forward_captured(Passed);

  PipelineStages stages_;
  PipelineOptions options_;
  VideoStatistics& statistics_;
  Queue captured_;
  std::vector<std::unique_ptr<Queue>> prepared_, detected_;  // one per detector
  BoundedQueue<FinishedFrame> drawn_, shown_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool stopping_ = false;
  std::size_t running_ = 0;  // threads
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace darknet
