// A time after which a request to a web server is ended. httplib's own limits count from the last
// byte that came: a server that sends one now and then would hold its reader for ever.
#pragma once
#include <chrono>
#include <functional>

namespace darknet {

// Calls `stop` once, from a thread of its own, unless it is ended before `patience` is over.
class HttpDeadline {
 public:
  HttpDeadline(std::function<void()> stop, std::chrono::milliseconds patience);
  HttpDeadline(const HttpDeadline&) = delete;
  HttpDeadline& operator=(const HttpDeadline&) = delete;
  ~HttpDeadline() { end(); }
  // Returns whether `stop` was called; from here on it is not.
  bool end();

 private:
  bool ended_ = false, late_ = false;
  std::function<void()> stop_;
};

}  // namespace darknet
