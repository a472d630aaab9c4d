#include "core/http_deadlines.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/broken_pipe.h"
#include "core/start_thread.h"
#include "core/stop_signal.h"

namespace darknet {
namespace {

// The requests that go on, watched by one thread.
class HttpRequests {
 public:
  using Clock = std::chrono::steady_clock;
  HttpRequests() = default;
  HttpRequests(const HttpRequests&) = delete;
  HttpRequests& operator=(const HttpRequests&) = delete;
  ~HttpRequests() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  void add(const std::function<void()>* stop, Clock::time_point end) {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable())
      thread_ = start_thread("that ends requests to web servers", [this] { work(); });
    requests_[stop] = end;
    changed_.notify_all();
  }
  // Whether it was still there.
  bool remove(const std::function<void()>* stop) {
    const std::lock_guard lock(mutex_);
    return requests_.erase(stop) > 0;
  }

 private:
  // Looks now and then whether the process was asked to stop: then what goes on has little time.
  void work() {
    constexpr std::chrono::milliseconds kLook(200), kWhenAsked(5000);
    const WithoutSigpipe where_tls_is_closed;
    std::unique_lock lock(mutex_);
    for (bool asked = false; !ends_;) {
      if (!asked && stop_signal != 0)
        for (auto& request : requests_)
          request.second = std::min(request.second, Clock::now() + kWhenAsked);
      asked = stop_signal != 0;
      const auto first = std::ranges::min_element(
          requests_, {}, &std::pair<const std::function<void()>* const, Clock::time_point>::second);
      if (first == requests_.end()) {
        changed_.wait(lock);
      } else if (const auto end = first->second; Clock::now() < end) {
        changed_.wait_until(lock, std::min(end, Clock::now() + kLook));
      } else {
        (*first->first)();
        requests_.erase(first);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const std::function<void()>*, Clock::time_point> requests_;
  bool ends_ = false;
  std::thread thread_;
};

HttpRequests& http_requests() {
  static HttpRequests all;
  return all;
}

}  // namespace

HttpDeadline::HttpDeadline(std::function<void()> stop, std::chrono::milliseconds patience)
    : stop_(std::move(stop)) {
  http_requests().add(&stop_, HttpRequests::Clock::now() + patience);
}

bool HttpDeadline::end() {
  if (!std::exchange(ended_, true)) late_ = !http_requests().remove(&stop_);
  return late_;
}

}  // namespace darknet
