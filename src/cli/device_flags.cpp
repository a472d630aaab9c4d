// Which device a command computes on, and the flags with which the Darknets say so.
#include <charconv>
#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"

namespace darknet::cli {
namespace {

// What -i names, or the best there is.
Device chosen_device(const std::string& gpu) {
  const bool asked = !gpu.empty();
  if (asked && gpu == "-1") return {};
  const int count = device_count(DeviceType::cuda);
  int index = 0;
  if (asked) {
    const auto [end, error] = std::from_chars(gpu.data(), gpu.data() + gpu.size(), index);
    if (error != std::errc{} || end != gpu.data() + gpu.size() || index < 0)
      throw Error(cat("-i ", gpu, ": expected the number of one GPU, or -1 for none"), 2);
    if (!built_with_cuda()) fail("-i ", gpu, ": ", why_no_cuda(), "; say -i -1 or -nogpu");
    if (count > 0 && index >= count)
      fail("-i ", gpu, ": there is no such GPU; this machine has ", count, ", counted from 0");
  }
  if (count == 0 && built_with_cuda())
    log::warn(cat(why_no_cuda(), "; computing on the CPU (-nogpu asks for it)"));
  if (count == 0) return {};
  return {.type = DeviceType::cuda, .index = index};
}

}  // namespace

void add_deterministic(CLI::App& app, bool& deterministic) {
  app.add_flag("--deterministic", deterministic,
               "GPUs: only algorithms that give the same bytes every time");
}

void add_device(CLI::App& app, Device& device) {
  const auto gpu = std::make_shared<std::string>();  // outlives this call, in CLI11's callbacks
  app.add_option("-i,--gpus", *gpu, "the GPU to compute on, counted from 0; -1: the CPU")
      ->type_name("N");
  app.add_flag_callback(
      "--nogpu", [gpu] { *gpu = "-1"; }, "compute on the CPU");
  app.parse_complete_callback([gpu, &device] { device = chosen_device(*gpu); });
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
           if (gpus != "-1")
             fail("-i ", gpus, ": this command computes on the CPU; say -i -1 or -nogpu");
         },
         "which GPU; -1: none")
      ->group(kGroup);
}

}  // namespace darknet::cli
