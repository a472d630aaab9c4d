#include "api/engine.h"

#include <utility>

#include "api/call.h"
#include "cfg/parse.h"
#include "core/error.h"
#include "core/threads.h"
#include "core/tuning.h"
#include "eval/open_network.h"

namespace darknet::api {
namespace {
namespace fs = std::filesystem;

void require_in_range(const DetectorOptions& o) {
  constexpr int kMaxBatch = 1 << 12;
  if (o.batch < 1 || o.batch > kMaxBatch) fail("batch ", o.batch, " is not from 1 to ", kMaxBatch);
  require_threads("threads", o.threads);
}

}  // namespace

Network network_for(const fs::path& cfg, const fs::path& weights, const DetectorOptions& o,
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

Engine::Engine(const fs::path& cfg, const fs::path& weights, DetectorOptions o)
    : options_(std::move(o)), take_(take_for(options_.log)) {
  require_in_range(options_);
  threads_ = options_.threads > 0 ? options_.threads : launch_threads();
  work([&] { device_ = device_named(options_.device); });
  if (device_.type != DeviceType::cpu) home_ = std::make_unique<HomeThread>();
  at_home([&] { net_.emplace(network_for(cfg, weights, options_, device_, checksum_)); });
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
  const DeviceTurn turn(device_);
  home_->run([&] { work(f); });
}

}  // namespace darknet::api
