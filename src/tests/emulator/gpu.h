// The emulated GPUs: their memory, their streams, and the order of the work in them.
//
// Work is carried out as late as CUDA allows: when the host waits for it, or for work that waits
// for it. A program that forgets to wait, or orders two streams by no event, therefore reads memory
// that nothing has written yet. In the order others_first the streams that nobody waits for run
// ahead instead, and write memory that is still to be read.
#pragma once
#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/emulator/memory.h"

namespace emulator {

using Work = std::function<void()>;

class Queue;

// Everything up to the n-th work of a queue.
struct Point {
  std::shared_ptr<Queue> queue;
  std::uint64_t count = 0;
};

// What work of several queues waits for, whose host threads may be several: closed until all of
// them have asked for theirs, and then for the points.
struct Gate {
  bool open = false;
  std::vector<Point> after;
};
using Gates = std::shared_ptr<const Gate>;

// A stream.
class Queue {
 public:
  Queue(int device, bool legacy) : device_(device), legacy_(legacy) {}
  int device() const { return device_; }
  bool legacy() const { return legacy_; }
  std::uint64_t issued() const { return issued_; }
  bool done(std::uint64_t count) const { return carried_out_ >= count; }

  void push(Work work, std::vector<Point> after, Gates gate = nullptr);
  // What follows is carried out after the point.
  void wait_for(Point point) {
    push([] {}, {std::move(point)});
  }
  // Carries out what is before and at a count.
  void carry_out(std::uint64_t count);
  // Carries out what waits for nothing that is still to be done.
  void run_ahead();
  // Whether carry_out() meets no gate that is closed. `seen`: counts of queues that were looked at.
  using Seen = std::map<const Queue*, std::uint64_t>;
  bool reachable(std::uint64_t count, Seen& seen) const;

 private:
  void carry_out_next();
  struct Item {
    Work work;
    std::vector<Point> after;
    Gates gate;
  };
  int device_;
  bool legacy_;
  std::uint64_t issued_ = 0, carried_out_ = 0;
  bool busy_ = false;
  std::deque<Item> pending_;
};

// A CUDA graph: work in the order of the stream that it was captured from.
struct Graph {
  int device = 0;
  std::vector<Work> work;
};

struct Capture {
  std::unique_ptr<Graph> graph;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalidated = false;
};

struct Stream {
  std::shared_ptr<Queue> queue;
  std::unique_ptr<Capture> capture;
};

struct Event {
  int device = 0;
  Point point;
  const Graph* captured = nullptr;            // recorded in a capture
  std::shared_ptr<double> seconds = nullptr;  // when it was reached
};

// What the environment asks of the emulated machine.
struct Options {
  int devices = 2;                            // EMULATED_GPU_DEVICES
  std::size_t memory = std::size_t{4} << 30;  // EMULATED_GPU_MEMORY, in MiB, of each device
  bool pageable_access = false;               // EMULATED_GPU_PAGEABLE=1: as GPUs that read any
                                              // memory of the host
  bool others_first = false;                  // EMULATED_GPU_ORDER=others_first
  bool at_once = false;                       // EMULATED_GPU_ORDER=at_once: no work is kept
  std::set<std::string> refusals;             // EMULATED_GPU_REFUSE=fused,pools,...
  bool refuses(const char* what) const { return refusals.contains(what); }
};

using Lock = std::lock_guard<std::recursive_mutex>;

// What handles of cuDNN and cuBLAS have in common.
struct LibraryHandle {
  cudaStream_t stream = nullptr;
  int device = 0;
};

class Gpus {
 public:
  static Gpus& instance();

  // Held during every call of the runtime and of the libraries.
  std::recursive_mutex& mutex() { return mutex_; }
  Memory& memory() { return memory_; }
  const Options& options() const { return options_; }

  // Of the calling thread.
  static int& current_device();
  static cudaError_t& last_error();
  // Remembers an error for cudaGetLastError() and returns it.
  static cudaError_t fail(cudaError_t);

  // Null, or a handle that lives; nullptr where it does not.
  Stream* find(cudaStream_t);
  cudaStream_t open_stream();
  void close_stream(cudaStream_t);

  // Work for a stream of the current device: kept for later, or captured.
  cudaError_t issue(cudaStream_t, Work, Gates gate = nullptr);
  // Waits as cudaStreamSynchronize() does.
  cudaError_t wait(Point);
  cudaError_t wait_for_device(int device);
  // cudaSuccess unless the calling thread is capturing in a mode that forbids unsafe calls.
  cudaError_t allow_unsafe_call();
  // The error that a device is left with after a fault, or cudaSuccess.
  cudaError_t sticky(int device) const { return devices_[static_cast<std::size_t>(device)].sticky; }
  // As cudaStreamQuery() does: the work is done when the host asks for the second time.
  cudaError_t query(const Point&);
  // Whether a device's work never ends, as kernels of NCCL where a link is broken.
  void set_stuck(int device, bool stuck) {
    devices_[static_cast<std::size_t>(device)].stuck = stuck;
  }
  bool is_stuck(int device) const { return devices_[static_cast<std::size_t>(device)].stuck; }
  // After some queries an error of the hardware leaves the device with that error.
  void break_later(int device) { devices_[static_cast<std::size_t>(device)].breaks_in = 20; }
  // Ends the program, which on a card would wait for ever.
  [[noreturn]] static void hang(int device, const char* why);
  // To be called with the mutex held once, which others may take meanwhile: waits until the
  // condition holds, after each opened(). False where it does not within some seconds.
  bool wait_for_others(const std::function<bool()>& condition);
  void opened() { changed_.notify_all(); }  // a gate, or what else others wait for
  // In the order others_first: what all streams but this one can do.
  void run_others(const Queue&);
  // Carries out one work and remembers its fault.
  void run(int device, const Work&);

 private:
  struct Device {
    Stream legacy;
    cudaError_t sticky = cudaSuccess;
    bool stuck = false;
    int breaks_in = 0;  // queries; 0: it does not
  };
  Gpus();
  void refuse_to_wait(const Queue&, std::uint64_t count) const;
  static bool reachable(const Queue&, std::uint64_t count);
  void carry_out(Queue&, std::uint64_t count);
  std::vector<Point> before(const Stream&) const;

  std::recursive_mutex mutex_;
  std::condition_variable_any changed_;
  Options options_;
  Memory memory_;  // of all devices
  std::vector<Device> devices_;
  std::vector<std::unique_ptr<Stream>> streams_;
  bool running_others_ = false;
};

}  // namespace emulator
