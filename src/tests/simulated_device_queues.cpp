#include "tests/simulated_device_queues.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/index.h"

namespace darknet::simulated {
namespace {

thread_local int current_device = 0;

bool has_undone(const Task& t) {
  return std::any_of(t.after.begin(), t.after.end(), [](const auto& a) { return !a->done; });
}

}  // namespace

Queues::Queues() {
  for (int d = 0; d < kDevices; ++d) null_[to_size(d)].device = d;
  const char* const variable = std::getenv("DARKNET_SIMULATED_SCHEDULE");
  const std::string word = variable ? variable : "late";
  if (word == "late") return;
  if (word == "others_first")
    schedule_ = Schedule::others_first;
  else
    set_schedule(Schedule::shuffled, std::stoull(word));
}

void Queues::use(const Device& device) {
  if (device.index < 0 || device.index >= kDevices)
    fail("simulated device: no ", to_string(device));
  current_device = device.index;
}

void Queues::require_current(const Device& device) {
  if (current_device != device.index)
    fail("simulated device: a launch on ", to_string(device),
         " while the thread works with cuda:", current_device);
}

Queue* Queues::captured_by_this_thread() {
  const auto mine = [](const Queue& q) {
    return q.capture && q.capture->owner == std::this_thread::get_id();
  };
  for (const auto& q : open_)
    if (mine(*q)) return q.get();
  return nullptr;
}

Queue& Queues::queue_of(const Stream& s) {
  if (s.device.index < 0 || s.device.index >= kDevices)
    fail("simulated device: no ", to_string(s.device));
  if (!s.native) return null_[to_size(s.device.index)];
  for (const auto& q : open_)
    if (q.get() == s.native) {
      if (q->device != s.device.index)
        fail("simulated device: a stream of cuda:", q->device, " taken for one of ",
             to_string(s.device));
      return *q;
    }
  fail("simulated device: a stream that is not open");
}

// What CUDA refuses while streams record (cudaStreamCaptureModeThreadLocal), and more: a thread
// that records asks of that stream alone, and nobody else asks of it.
void Queues::refuse(Queue& q, const char* what, bool may_record) {
  Queue* const mine = captured_by_this_thread();
  const bool null = &q == &null_[to_size(q.device)];
  bool bad = mine ? mine != &q || !may_record : q.capture.has_value();
  if (mine && bad) mine->capture->spoilt = true;
  for (const auto& other : open_)  // the null stream waits for all of its device
    if (null && other->device == q.device && other->capture) bad = other->capture->spoilt = true;
  if (q.capture && bad) q.capture->spoilt = true;
  if (bad) fail("simulated device: ", what, " while recording");
}

void Queues::refuse_while_capturing(const char* what) {
  const std::lock_guard lock(mutex_);
  Queue* const mine = captured_by_this_thread();
  if (!mine) return;
  mine->capture->spoilt = true;
  fail("simulated device: ", what, " while recording");
}

void Queues::spoil_capture() noexcept {
  const std::lock_guard lock(mutex_);
  if (Queue* const mine = captured_by_this_thread()) mine->capture->spoilt = true;
}

void* Queues::allocate(int device, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  Queue& null = null_[to_size(device)];
  refuse(null, "an allocation", false);
  void* const p = memory_.allocate(device, bytes);
  append(null, {[p, bytes] { std::memset(p, 0xFF, bytes); }});
  return p;
}

void Queues::release(int device, void* p, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    Queue& null = null_[to_size(device)];
    refuse(null, "a release", false);
    append(null, {[this, device, p, bytes] { memory_.release(device, p, bytes); }});
  } catch (...) {  // a recording that it spoilt says so when it ends
    if (!error_ && !captured_by_this_thread()) error_ = std::current_exception();
  }
}

void Queues::require_memory(int device, const void* p, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  memory_.require(device, p, bytes);
}

Queue* Queues::open(int device) {
  const std::lock_guard lock(mutex_);
  open_.push_back(std::make_unique<Queue>(Queue{.device = device}));
  return open_.back().get();
}

void Queues::close(Queue* q) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](auto& o) { return o.get() == q; });
  if (found == open_.end()) return;
  if (!q->tasks.empty()) run_until(TaskPointer(q->tasks.back()));
  open_.erase(found);
}

TaskPointer Queues::append(Queue& q, Work work, const TaskPointer& after) {
  auto task = std::make_shared<Task>(Task{.work = std::move(work), .queue = &q});
  if (after && !after->done && after->queue != &q) task->after.push_back(after);
  Queue& null = null_[to_size(q.device)];
  const auto follow = [&](const Queue& other) {
    if (!other.tasks.empty()) task->after.push_back(other.tasks.back());
  };
  if (&q != &null) follow(null);
  for (const auto& other : open_)
    if (&q == &null && other->device == q.device) follow(*other);
  q.tasks.push_back(task);
  return task;
}

TaskPointer Queues::ask(const Stream& s, Work work) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  refuse(q, "work for another stream", true);
  if (!q.capture) return append(q, std::move(work));
  q.capture->asked.push_back(std::move(work));
  return nullptr;
}

void Queues::ask_and_wait(const Stream& s, Work work) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  refuse(q, "a copy to the host", false);
  run_until(append(q, std::move(work)));
  rethrow_error();
}

void Queues::mark(const Stream& s, TaskPointer& event) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  refuse(q, "an event", false);
  event = append(q, {[] {}});
}

void Queues::make_wait(const Stream& s, const TaskPointer& event) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  refuse(q, "an event", false);
  if (event && !event->done) append(q, {[] {}}, event);
}

void Queues::wait(const TaskPointer& event) {
  refuse_while_capturing("a wait");
  const std::lock_guard lock(mutex_);
  if (event) run_until(event);
  rethrow_error();
}

void Queues::wait(const Stream& s) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  refuse(q, "a wait", false);
  run_until(append(q, {[] {}}));
  rethrow_error();
}

std::optional<std::chrono::steady_clock::time_point> Queues::when(const TaskPointer& event) {
  const std::lock_guard lock(mutex_);
  if (!event || !event->done) return std::nullopt;
  return event->passed;
}

void Queues::begin_capture(const Stream& s) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  if (!s.native) fail("simulated device: a recording of the null stream");
  refuse(q, "a recording", false);
  q.capture = Capture{.owner = std::this_thread::get_id()};
}

std::vector<Work> Queues::end_capture(const Stream& s) {
  const std::lock_guard lock(mutex_);
  Queue& q = queue_of(s);
  const Capture captured = *std::exchange(q.capture, std::nullopt);
  if (captured.spoilt) fail("simulated device: what was asked meanwhile spoilt the recording");
  return captured.asked;
}

void Queues::drop_capture(const Stream& s) noexcept {
  const std::lock_guard lock(mutex_);
  queue_of(s).capture.reset();
}

std::pair<Schedule, std::uint64_t> Queues::set_schedule(Schedule schedule, std::uint64_t seed) {
  const std::lock_guard lock(mutex_);
  random_.seed(seed);
  return {std::exchange(schedule_, schedule), std::exchange(seed_, seed)};
}

void Queues::rethrow_error() {
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

// The first of what must still be done before `target`, itself included.
Task& Queues::next_needed(const Task& target) {
  Task* t = target.queue->tasks.front().get();
  while (has_undone(*t)) {
    const auto found =
        std::find_if(t->after.begin(), t->after.end(), [](const auto& a) { return !a->done; });
    t = (*found)->queue->tasks.front().get();
  }
  return *t;
}

// What could be done now: one task of each queue at most.
std::vector<Task*> Queues::ready() {
  std::vector<Task*> found;
  const auto look = [&](const Queue& q) {
    if (!q.tasks.empty() && !has_undone(*q.tasks.front())) found.push_back(q.tasks.front().get());
  };
  for (const Queue& q : null_) look(q);
  for (const auto& q : open_) look(*q);
  return found;
}

Task& Queues::next(const Task& target) {
  if (schedule_ == Schedule::late) return next_needed(target);
  const std::vector<Task*> all = ready();
  if (schedule_ == Schedule::shuffled) return *all[random_() % all.size()];
  for (Task* t : all)
    if (t->queue != target.queue) return *t;
  return next_needed(target);
}

void Queues::run(Task& t) {
  const TaskPointer task = t.queue->tasks.front();
  try {
    memory_.open(t.queue->device, t.work.also_opens);
    t.work.run();
  } catch (...) {
    if (!error_) error_ = std::current_exception();
  }
  t.done = true;
  t.passed = std::chrono::steady_clock::now();
  t.work = {};
  t.after.clear();
  t.queue->tasks.pop_front();
}

void Queues::run_until(const TaskPointer& target) {
  while (!target->done) run(next(*target));
  memory_.open(kNoDevice, kNoDevice);
}

Queues& queues() {
  static Queues all;
  return all;
}

ScheduleHere::ScheduleHere(Schedule schedule, std::uint64_t seed) {
  std::tie(before_, seed_before_) = queues().set_schedule(schedule, seed);
}

ScheduleHere::~ScheduleHere() { queues().set_schedule(before_, seed_before_); }

}  // namespace darknet::simulated
