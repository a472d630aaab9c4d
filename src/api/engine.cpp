#include "api/engine.h"

#include <map>
#include <mutex>
#include <utility>

#include "cfg/parse.h"
#include "core/error.h"
#include "core/threads.h"
#include "core/tuning.h"
#include "eval/open_network.h"

namespace darknet::api {
namespace {
namespace fs = std::filesystem;

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

void require_in_range(const DetectorOptions& o) {
  constexpr int kMaxBatch = 1 << 12, kMaxThreads = 1 << 10;
  if (o.batch < 1 || o.batch > kMaxBatch) fail("batch ", o.batch, " is not from 1 to ", kMaxBatch);
  if (o.threads < 0 || o.threads > kMaxThreads)
    fail("threads ", o.threads, " is not from 0 to ", kMaxThreads);
}

Network network_of(const fs::path& cfg, const fs::path& weights, const DetectorOptions& o,
                   const Device& device, std::uint64_t& checksum) {
  std::vector<std::string> overrides = o.overrides;
  if (!o.precision.empty()) overrides.push_back(precision_override(o.precision));
  std::vector<Section> sections = read_cfg(cfg);
  apply_overrides(sections, overrides);
  return open_network(std::move(sections), weights,
                      {.device = device,
                       .exact = o.exact,
                       .letter_box = o.letter_box,
                       .int8 = o.precision == kInt8,
                       .batch = o.batch,
                       .tuning = tuning_for(o.tuning, device)},
                      &checksum);
}

// One thread at a time works with a GPU (core/device.h).
std::mutex& mutex_of(const Device& gpu) {
  static std::mutex mutex;
  // Never destroyed: a detector may be a global of the program, and outlive what is static here.
  static auto& all = *new std::map<int, std::mutex>;
  const std::lock_guard lock(mutex);
  return all[gpu.index];
}

// The calling thread's, for as long as it lives.
class ThreadLimit {
 public:
  explicit ThreadLimit(int most) : before_(launch_threads()) { limit_threads(most); }
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;
  ~ThreadLimit() { limit_threads(before_); }

 private:
  int before_;
};

log::Capture::Take take_for(const DetectorOptions& o) {
  return [log = o.log](log::Level level, const std::string& message) {
    if (log) log(static_cast<LogLevel>(level), message);
  };
}
static_assert(static_cast<int>(LogLevel::information) == static_cast<int>(log::Level::info) &&
              static_cast<int>(LogLevel::warning) == static_cast<int>(log::Level::warning) &&
              static_cast<int>(LogLevel::error) == static_cast<int>(log::Level::error));

}  // namespace

Engine::Engine(const fs::path& cfg, const fs::path& weights, DetectorOptions o)
    : options_(std::move(o)), take_(take_for(options_)) {
  require_in_range(options_);
  threads_ = options_.threads > 0 ? options_.threads : launch_threads();
  work([&] { device_ = device_named(options_.device); });
  if (device_.type != DeviceType::cpu) home_ = std::make_unique<HomeThread>();
  at_home([&] { net_.emplace(network_of(cfg, weights, options_, device_, checksum_)); });
}

Engine::~Engine() {
  try {
    at_home([&] { net_.reset(); });
  } catch (...) {  // a GPU that has failed; a destructor reports nothing
  }
}

void Engine::work(const std::function<void()>& f) const {
  const log::Capture capture(take_);
  const ThreadLimit limit(threads_);
  f();
}

void Engine::work_with_network(const std::function<void(Network&)>& f) {
  at_home([&] { f(*net_); });
}

void Engine::at_home(const std::function<void()>& f) {
  if (!home_) return work(f);
  const std::lock_guard lock(mutex_of(device_));
  home_->run([&] { work(f); });
}

}  // namespace darknet::api
