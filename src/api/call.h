// What a call of the library sets up before it works: where messages go, how many threads help, and
// whose turn it is to use a GPU.
#pragma once
#include <exception>
#include <functional>
#include <string>

#include "core/device.h"
#include "core/log_capture.h"
#include "darknet/detector.h"

namespace darknet::api {

// Of the log callbacks of the options; null drops messages.
log::Capture::Take take_for(std::function<void(LogLevel, const std::string&)> log);

// "auto", "cpu", "cuda", "cuda:1". Throws where this machine has no such device.
Device device_named(const std::string& name);

// Throws where it is not from 0 to 1024. `what`: "threads".
void require_threads(const char* what, int threads);

// One thread at a time works with a GPU (core/device.h): while one lives, those of other threads
// wait. Throws where the calling thread has the turn already. A CPU needs none.
class DeviceTurn {
 public:
  explicit DeviceTurn(const Device&);
  DeviceTurn(const DeviceTurn&) = delete;
  DeviceTurn& operator=(const DeviceTurn&) = delete;
  ~DeviceTurn();

 private:
  struct Gpu;
  static Gpu& gpu_of(const Device&);
  Gpu* gpu_ = nullptr;
};

// What the caller's functions say of whether a call is to end; what they throw is kept, since it is
// not to be translated, and ends it too. Of one thread.
class EndAsked {
 public:
  // Where it has not been asked for yet: f() says whether it is.
  void ask(const std::function<bool()>& f);
  bool asked() const { return asked_; }
  void rethrow() const;  // what was thrown, if anything

 private:
  bool asked_ = false;
  std::exception_ptr error_;
};

// The most threads that the calling thread uses, for as long as it lives.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most);
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;
  ~ThreadLimit();

 private:
  int before_;
};

}  // namespace darknet::api
