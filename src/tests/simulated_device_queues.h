// The queues of the simulated devices, and who runs what stands in them: nothing is done until
// something waits. The null stream of a device waits for all its other streams and they for it, as
// CUDA's legacy default stream does. All calls may come from several threads.
#pragma once
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "core/device.h"
#include "tests/simulated_device.h"
#include "tests/simulated_device_memory.h"

namespace darknet::simulated {

struct Work {
  std::function<void()> run;
  int also_opens = kNoDevice;  // another device whose memory it reaches
};

struct Queue;

// One piece of work in a queue. Shared by its queue, by events and by what has to follow it.
struct Task {
  Work work;
  Queue* queue = nullptr;
  std::vector<std::shared_ptr<Task>> after;  // in other queues
  bool done = false;
  std::chrono::steady_clock::time_point passed;
};
using TaskPointer = std::shared_ptr<Task>;

// What is asked of a stream while it records.
struct Capture {
  std::thread::id owner;
  std::vector<Work> asked;
  bool spoilt = false;  // something was asked that CUDA refuses then
};

struct Queue {
  int device = 0;
  std::deque<TaskPointer> tasks;
  std::optional<Capture> capture;
};

class Queues {
 public:
  Queues();
  // Of the calling thread, what cudaSetDevice sets.
  static void use(const Device&);
  static void require_current(const Device&);

  void* allocate(int device, std::size_t bytes);  // filled with NaN in the order of the null stream
  void release(int device, void*, std::size_t bytes) noexcept;
  void require_memory(int device, const void*, std::size_t bytes);

  Queue* open(int device);
  void close(Queue*) noexcept;

  TaskPointer ask(const Stream&, Work);  // null while the stream records
  void ask_and_wait(const Stream&, Work);
  void mark(const Stream&, TaskPointer& event);             // the event is from now on this moment
  void make_wait(const Stream&, const TaskPointer& event);  // a null event lies in the past
  void wait(const TaskPointer&);
  void wait(const Stream&);
  std::optional<std::chrono::steady_clock::time_point> when(const TaskPointer&);

  void begin_capture(const Stream&);
  std::vector<Work> end_capture(const Stream&);  // throws where the capture was spoilt
  void drop_capture(const Stream&) noexcept;
  void refuse_while_capturing(const char* what);  // on the calling thread
  void spoil_capture() noexcept;                  // of the calling thread, if it has one

  std::pair<Schedule, std::uint64_t> set_schedule(Schedule, std::uint64_t seed);

 private:
  Queue& queue_of(const Stream&);
  Queue* captured_by_this_thread();
  void refuse(Queue&, const char* what, bool may_record);
  TaskPointer append(Queue&, Work, const TaskPointer& after = nullptr);
  void run_until(const TaskPointer&);
  void rethrow_error();
  Task& next_needed(const Task& target);
  std::vector<Task*> ready();
  Task& next(const Task& target);
  void run(Task&);

  std::mutex mutex_;
  DeviceMemory memory_;
  std::array<Queue, kDevices> null_;
  std::vector<std::unique_ptr<Queue>> open_;
  std::exception_ptr error_;  // of work that was done; the next wait throws it
  Schedule schedule_ = Schedule::late;
  std::uint64_t seed_ = 1;
  std::mt19937_64 random_{1};
};

Queues& queues();

}  // namespace darknet::simulated
