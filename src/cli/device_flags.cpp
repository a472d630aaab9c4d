// Which device a command computes on, and the flags with which the Darknet forks say so.
#include <algorithm>
#include <charconv>
#include <functional>
#include <string>
#include <vector>

#include "cli/common_flags.h"
#include "core/error.h"
#include "core/log.h"
#include "core/ranks.h"

namespace darknet::cli {
namespace {

// What was typed.
struct Gpus {
  std::string flag, value;  // "": none
};
std::string to_string(const Gpus& gpus) { return gpus.flag + ' ' + gpus.value; }

[[noreturn]] void expected(const Gpus& gpus, bool several) {
  throw Error(cat(to_string(gpus), ": expected the number of one GPU",
                  several ? ", or of several as 0,1" : "", ", or -1 for none"),
              2);
}

// "0,2" as it was typed.
std::vector<int> numbers(const Gpus& gpus, bool several) {
  std::vector<int> found;
  for (const char *at = gpus.value.data(), *const end = at + gpus.value.size(); at != end;) {
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

std::vector<Device> named_devices(const Gpus& gpus, bool several) {
  const int count = device_count(DeviceType::cuda);
  std::vector<Device> devices;
  for (const int index : numbers(gpus, several)) {
    if (count > 0 && index >= count)
      fail(to_string(gpus), ": there is no GPU ", index, "; this machine has ", count,
           ", counted from 0");
    const Device device{.type = DeviceType::cuda, .index = index};
    if (std::find(devices.begin(), devices.end(), device) != devices.end())
      throw Error(cat(to_string(gpus), ": GPU ", index, " is named twice"), 2);
    devices.push_back(device);
  }
  return devices;
}

// What was typed, or the best there is.
std::vector<Device> chosen_devices(const Gpus& gpus, bool several) {
  if (gpus.value == "-1") return {{}};
  std::vector<Device> devices{{.type = DeviceType::cuda}};
  if (!gpus.value.empty()) devices = named_devices(gpus, several);
  if (device_count(DeviceType::cuda) > 0) return devices;
  if (!built_with_cuda() && launch_of_environment().rank > 0) return {{}};  // rank 0 warns
  if (!gpus.value.empty() ||
      built_with_cuda())  // a command line holds on machines without a GPU too
    log::warn(cat(gpus.value.empty() ? "" : to_string(gpus) + ": ", why_no_cuda(),
                  "; computing on the CPU (-nogpu asks for it)"));
  return {{}};
}

// -gpus and -i, each with its own name in messages. `take` gets what was typed.
std::vector<Option> add_gpus(const Command& command, const char* help,
                             const std::function<void(const Gpus&)>& take) {
  std::vector<Option> options;
  for (const char* flag : {"-gpus", "-i"})
    options.push_back(command.option(
        flag,
        [flag, take](const std::string& value) {
          if (value.empty()) expected({flag, value}, true);
          take({flag, value});
        },
        options.empty() ? help : "the same as -gpus"));
  options[1].excludes(options[0]);
  return options;
}

void add_flags(const Command& command, bool several,
               const std::function<void(std::vector<Device>)>& take) {
  Gpus& gpus = command.options<Gpus>();
  const auto named =
      add_gpus(command,
               several ? "the GPUs to compute on, counted from 0, as 0 or 0,1; -1: the CPU"
                       : "the GPU to compute on, counted from 0; -1: the CPU",
               [&gpus](const Gpus& typed) { gpus = typed; });
  const Option none = command.flag(
      "-nogpu", [&gpus] { gpus.value = "-1"; }, "compute on the CPU");
  for (const Option option : named)
    option.value_name(several ? "N,..." : "N"), none.excludes(option);
  command.when_parsed([&gpus, several, take] { take(chosen_devices(gpus, several)); });
}

}  // namespace

void add_device(const Command& command, Device& device) {
  add_flags(command, false, [&device](const std::vector<Device>& d) { device = d.front(); });
}

void add_devices(const Command& command, Device& first, std::vector<Device>& others) {
  add_flags(command, true, [&](const std::vector<Device>& d) {
    first = d.front();
    others.assign(d.begin() + 1, d.end());
  });
}

void add_compatibility_flags(const Command& command) {
  const auto nothing = [] {};
  if (!command.has("-dont_show"))
    command.flag("-dont_show", nothing, "open no window").for_compatibility();
  for (const IgnoredFlag& flag :
       {IgnoredFlag{"-hier", true,
                    "it belongs to detector test and demo, of networks with class trees"},
        IgnoredFlag{"-iou_thresh", true, "the IoU of a true positive is a flag of detector map"},
        IgnoredFlag{"-benchmark_layers", false, "darknet bench prints the time of each layer"},
        IgnoredFlag{"-verbose", false, "messages are complete"}})
    if (!command.has(flag.name)) add_ignored(command, flag);
  if (command.has("-gpus")) return;
  command.flag("-nogpu", nothing, "compute on the CPU, as this command does anyway")
      .for_compatibility();
  const auto ignored = add_gpus(command, "which GPU; -1: none", [](const Gpus& gpus) {
    if (gpus.value == "-1") return;
    numbers(gpus, true);
    log::warn(cat(to_string(gpus), " has no effect: this command computes on the CPU"));
  });
  for (const Option option : ignored) option.for_compatibility();
}

}  // namespace darknet::cli
