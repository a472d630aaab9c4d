// A thread on which all work of one GPU's network is done: the libraries of a GPU keep handles and
// workspaces for each thread, which go when it ends, and captured passes refer to them.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace darknet::api {

class HomeThread {
 public:
  HomeThread();  // throws Error where the system gives no thread
  HomeThread(const HomeThread&) = delete;
  HomeThread& operator=(const HomeThread&) = delete;
  ~HomeThread();
  // Returns when it is done, and throws what it throws. By one caller at a time.
  void run(const std::function<void()>& work);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;  // null: none, or done
  std::exception_ptr error_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace darknet::api
