#include "video/pipeline.h"

#include <utility>

#include "core/start_thread.h"

namespace darknet {
namespace {

// Frames between two stages: enough to even out their times, few enough to be reported soon.
constexpr std::size_t kDepth = 4, kLiveDepth = 1;

std::size_t depth_of(const PipelineOptions& o) { return o.live ? kLiveDepth : kDepth; }

}  // namespace

Pipeline::Pipeline(PipelineStages stages, const PipelineOptions& options,
                   VideoStatistics& statistics)
    : stages_(std::move(stages)),
      options_(options),
      statistics_(statistics),
      captured_(depth_of(options)),
      drawn_(depth_of(options)),
      shown_(depth_of(options)) {
  const std::size_t detectors = stages_.detect.size();
  for (std::size_t i = 0; i < detectors; ++i) {
    prepared_.push_back(std::make_unique<Queue>(depth_of(options)));
    detected_.push_back(std::make_unique<Queue>(depth_of(options)));
  }
  statistics_.detect_in_parallel(static_cast<int>(detectors));
  running_ = detectors + 4;  // capture, prepare, draw, output
  threads_.reserve(running_);
  try {
    start_all();
  } catch (...) {  // those that were started wait for the others
    end();
    throw;
  }
}

Pipeline::~Pipeline() { end(); }

void Pipeline::end() {
  stop();
  close_all();
  for (std::thread& t : threads_)
    if (t.joinable()) t.join();
}

// The first frame is captured once there is everybody who works on it.
void Pipeline::start_all() {
  start(&Pipeline::prepare);
  for (std::size_t i = 0; i < stages_.detect.size(); ++i) start([this, i] { detect(i); });
  start(&Pipeline::draw);
  start(&Pipeline::output);
  start(&Pipeline::capture);
}

void Pipeline::start(void (Pipeline::*stage)()) {
  start([this, stage] { (this->*stage)(); });
}

void Pipeline::start(std::function<void()> stage) {
  threads_.push_back(
      start_thread("that works on the video", [this, work = std::move(stage)] { run(work); }));
}

void Pipeline::run(const std::function<void()>& stage) {
  std::exception_ptr failure;
  try {
    stage();
  } catch (...) {  // told by join()
    failure = std::current_exception();
  }
  if (failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = failure;
    stopping_ = true;
  }
  if (failure) close_all();
  const std::lock_guard lock(mutex_);
  --running_;
  ended_.notify_all();
}

void Pipeline::close_all() {
  captured_.close();
  for (auto& q : prepared_) q->close();
  for (auto& q : detected_) q->close();
  drawn_.close();
  shown_.close();
}

bool Pipeline::forward_captured(Passed frame) {
  if (!options_.live) return captured_.push(std::move(frame));
  const auto dropped = captured_.push_newest(std::move(frame));
  if (dropped) statistics_.dropped(*dropped);
  return dropped.has_value();
}

void Pipeline::capture() {
  Frame::Clock::time_point first;
  for (std::int64_t number = 1;; ++number) {
    if (const std::lock_guard lock(mutex_); stopping_) break;
    auto frame = std::make_unique<Frame>();
    {
      const StageTimer timer(statistics_, Stage::capture);
      if (!stages_.capture(frame->image)) break;
    }
    frame->number = number;
    frame->captured = Frame::Clock::now();
    if (number == 1) first = frame->captured;
    frame->seconds = options_.live
                         ? std::chrono::duration<double>(frame->captured - first).count()
                         : static_cast<double>(number - 1) / (options_.fps > 0 ? options_.fps : 1);
    if (!forward_captured(std::move(frame))) break;
  }
  captured_.close();
}

void Pipeline::prepare() {
  for (std::size_t turn = 0;; turn = (turn + 1) % prepared_.size()) {
    auto frame = captured_.pop();
    if (!frame) break;
    {
      const StageTimer timer(statistics_, Stage::prepare);
      (*frame)->prepared = stages_.prepare((*frame)->image);
    }
    if (!prepared_[turn]->push(std::move(*frame))) break;
  }
  for (auto& q : prepared_) q->close();
}

void Pipeline::detect(std::size_t worker) {
  while (auto frame = prepared_[worker]->pop()) {
    {
      const StageTimer timer(statistics_, Stage::detect);
      (*frame)->detections = stages_.detect[worker](**frame);
    }
    if (!detected_[worker]->push(std::move(*frame))) break;
  }
  detected_[worker]->close();
}

void Pipeline::draw() {
  // In the order in which prepare() dealt them, whichever detector is faster.
  for (std::size_t turn = 0;; turn = (turn + 1) % detected_.size()) {
    auto frame = detected_[turn]->pop();
    if (!frame) break;
    {
      const StageTimer timer(statistics_, Stage::draw);
      stages_.draw(**frame);
    }
    if (!drawn_.push(std::move(*frame))) break;
  }
  drawn_.close();
}

void Pipeline::output() {
  while (const auto frame = drawn_.pop()) {
    {
      const StageTimer timer(statistics_, Stage::output);
      stages_.output(*frame);
    }
    statistics_.left((*frame)->captured);
    if (!options_.shown) continue;
    if (options_.live)
      shown_.push_newest(*frame);
    else if (!shown_.push(*frame))
      break;
  }
  shown_.close();
}

std::optional<FinishedFrame> Pipeline::next_shown(std::chrono::milliseconds max) {
  return shown_.pop_within(max);
}

bool Pipeline::finished(std::chrono::milliseconds max) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, max, [&] { return running_ == 0; });
}

void Pipeline::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
}

void Pipeline::join() {
  for (std::thread& t : threads_)
    if (t.joinable()) t.join();
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace darknet
