#include "api/call.h"

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/threads.h"

namespace darknet::api {

static_assert(static_cast<int>(LogLevel::information) == static_cast<int>(log::Level::info) &&
              static_cast<int>(LogLevel::warning) == static_cast<int>(log::Level::warning) &&
              static_cast<int>(LogLevel::error) == static_cast<int>(log::Level::error));

log::Capture::Take take_for(std::function<void(LogLevel, const std::string&)> log) {
  return [log = std::move(log)](log::Level level, const std::string& message) {
    if (log) log(static_cast<LogLevel>(level), message);
  };
}

Device device_named(const std::string& name) {
  const int gpus = device_count(DeviceType::cuda);
  if (name == "auto") return {gpus > 0 ? DeviceType::cuda : DeviceType::cpu};
  const Device device = device_of(name);
  if (device.type != DeviceType::cuda) return device;
  if (gpus == 0) fail("device ", name, ": ", why_no_cuda());
  if (device.index >= gpus)
    fail("device ", name, ": there is no GPU ", device.index, "; this machine has ", gpus,
         ", counted from 0");
  return device;
}

void require_threads(const char* what, int threads) {
  constexpr int kMaxThreads = 1 << 10;
  if (threads < 0 || threads > kMaxThreads)
    fail(what, " ", threads, " is not from 0 to ", kMaxThreads);
}

struct DeviceTurn::Gpu {
  std::mutex mutex;
  std::atomic<std::thread::id> owner;
};

DeviceTurn::Gpu& DeviceTurn::gpu_of(const Device& gpu) {
  static std::mutex mutex;
  // Never destroyed: a detector may be a global of the program, and outlive what is static here.
  static auto& all = *new std::map<int, Gpu>;
  const std::lock_guard lock(mutex);
  return all[gpu.index];
}

DeviceTurn::DeviceTurn(const Device& device) {
  if (device.type == DeviceType::cpu) return;
  Gpu& gpu = gpu_of(device);
  if (gpu.owner == std::this_thread::get_id())
    fail(to_string(device),
         " is at work in this thread already: a callback of a call that uses it "
         "cannot use it too");
  gpu.mutex.lock();
  gpu.owner = std::this_thread::get_id();
  gpu_ = &gpu;
}

DeviceTurn::~DeviceTurn() {
  if (!gpu_) return;
  gpu_->owner = std::thread::id();
  gpu_->mutex.unlock();
}

void EndAsked::ask(const std::function<bool()>& f) {
  if (asked_ || !f) return;
  try {
    asked_ = f();
  } catch (...) {
    error_ = std::current_exception();
    asked_ = true;
  }
}

void EndAsked::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

ThreadLimit::ThreadLimit(int most) : before_(launch_threads()) { limit_threads(most); }
ThreadLimit::~ThreadLimit() { limit_threads(before_); }

}  // namespace darknet::api
