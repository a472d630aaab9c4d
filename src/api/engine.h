// A network and what a call of the library needs around it: which thread works, how many threads
// help, and where messages go.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "api/home_thread.h"
#include "core/device.h"
#include "core/log_capture.h"
#include "darknet/detector.h"
#include "nn/network.h"

namespace darknet::api {

// The network of these files as the options ask for it, with the batch of the options.
Network network_for(const std::filesystem::path& cfg, const std::filesystem::path& weights,
                    const DetectorOptions&, const Device&, std::uint64_t& checksum);

// By one thread at a time. Throws what the program throws; api/errors.h translates it.
class Engine {
 public:
  // Names, thresholds and `calibrate` are left to the caller.
  Engine(const std::filesystem::path& cfg, const std::filesystem::path& weights, DetectorOptions);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  const DetectorOptions& options() const { return options_; }
  std::uint64_t checksum() const { return checksum_; }  // of the weights file
  const Network& network() const { return *net_; }      // for what needs no work of its device

  // With the log and the number of threads of the options.
  void work(const std::function<void()>&) const;
  // The same where the device may be used; on a GPU in a thread of its own, while no other Engine
  // uses that GPU.
  void work_with_network(const std::function<void(Network&)>&);

 private:
  void at_home(const std::function<void()>&);

  DetectorOptions options_;
  log::Capture::Take take_;
  Device device_;
  int threads_ = 1;
  std::uint64_t checksum_ = 0;
  std::unique_ptr<HomeThread> home_;  // null: the network works in whichever thread calls
  std::optional<Network> net_;
};

}  // namespace darknet::api
