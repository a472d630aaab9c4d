// Which device a command computes on, and the flags with which the Darknets say so.
#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"

namespace darknet::cli {
namespace {

[[noreturn]] void expected(const std::string& gpus, bool several) {
  throw Error(cat("-i ", gpus, ": expected the number of one GPU",
                  several ? ", or of several as 0,1" : "", ", or -1 for none"),
              2);
}

// "0,2" as it was typed.
std::vector<int> numbers(const std::string& gpus, bool several) {
  std::vector<int> found;
  for (const char *at = gpus.data(), *const end = at + gpus.size(); at != end;) {
    int index = 0;
    const auto [after, error] = std::from_chars(at, end, index);
    const bool more = after != end && *after == ',' && after + 1 != end;
    if (error != std::errc{} || index < 0 || !(after == end || more)) expected(gpus, several);
    found.push_back(index);
    at = more ? after + 1 : after;
  }
  if (found.empty() || (found.size() > 1 && !several)) expected(gpus, several);
  return found;
}

std::vector<Device> named_devices(const std::string& gpus, bool several) {
  const int count = device_count(DeviceType::cuda);
  std::vector<Device> devices;
  for (const int index : numbers(gpus, several)) {
    if (count > 0 && index >= count)
      fail("-i ", gpus, ": there is no GPU ", index, "; this machine has ", count,
           ", counted from 0");
    const Device device{.type = DeviceType::cuda, .index = index};
    if (std::find(devices.begin(), devices.end(), device) != devices.end())
      throw Error(cat("-i ", gpus, ": GPU ", index, " is named twice"), 2);
    devices.push_back(device);
  }
  return devices;
}

// What -i names, or the best there is.
std::vector<Device> chosen_devices(const std::string& gpus, bool several) {
  if (gpus == "-1") return {{}};
  std::vector<Device> devices{{.type = DeviceType::cuda}};
  if (!gpus.empty()) devices = named_devices(gpus, several);
  if (device_count(DeviceType::cuda) > 0) return devices;
  if (!gpus.empty() || built_with_cuda())  // a command line holds on machines without a GPU too
    log::warn(cat(gpus.empty() ? "" : cat("-i ", gpus, ": "), why_no_cuda(),
                  "; computing on the CPU (-nogpu asks for it)"));
  return {{}};
}

void add_flags(CLI::App& app, bool several, const std::function<void(std::vector<Device>)>& take) {
  const auto gpus = std::make_shared<std::string>();  // outlives this call, in CLI11's callbacks
  CLI::Option* const named =
      app.add_option("-i,--gpus", *gpus,
                     several ? "the GPUs to compute on, counted from 0, as 0 or 0,1; -1: the CPU"
                             : "the GPU to compute on, counted from 0; -1: the CPU")
          ->type_name(several ? "N,..." : "N");
  app.add_flag_callback(
         "--nogpu", [gpus] { *gpus = "-1"; }, "compute on the CPU")
      ->excludes(named);
  app.parse_complete_callback([gpus, several, take] { take(chosen_devices(*gpus, several)); });
}

}  // namespace

void add_deterministic(CLI::App& app, bool& deterministic) {
  app.add_flag("--deterministic", deterministic,
               "GPUs: only algorithms that give the same bytes every time");
}

void add_device(CLI::App& app, Device& device) {
  add_flags(app, false, [&device](const std::vector<Device>& d) { device = d.front(); });
}

void add_devices(CLI::App& app, Device& first, std::vector<Device>& others) {
  add_flags(app, true, [&](const std::vector<Device>& d) {
    first = d.front();
    others.assign(d.begin() + 1, d.end());
  });
}

void add_darknet_habits(CLI::App& app) {
  static constexpr const char* kGroup = "Accepted from the Darknets";
  if (!app.get_option_no_throw("--dont_show"))
    app.add_flag_callback(
           "--dont_show", [] {}, "open no window")
        ->group(kGroup);
  if (app.get_option_no_throw("--gpus")) return;
  app.add_flag_callback(
         "--nogpu", [] {}, "compute on the CPU, as this command does anyway")
      ->group(kGroup);
  app.add_option_function<std::string>(
         "-i,--gpus",
         [](const std::string& gpus) {
           if (gpus == "-1") return;
           numbers(gpus, true);
           log::warn(cat("-i ", gpus, " has no effect: this command computes on the CPU"));
         },
         "which GPU; -1: none")
      ->group(kGroup);
}

}  // namespace darknet::cli
