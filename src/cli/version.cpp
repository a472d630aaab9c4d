// darknet version
#include <fmt/core.h>

#include "cli/command.h"
#include "core/device.h"
#include "core/ops.h"

namespace darknet::cli {

void add_version(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"version"}, "say which program and libraries these are");
  app.final_callback([&run] {
    run = [] {
      fmt::print("Darknet Focal {}\nCPU: {}\n", DARKNET_VERSION, ops(DeviceType::cpu).name());
      fmt::print("CUDA: {}\n", device_count(DeviceType::cuda) > 0
                                   ? ops(DeviceType::cuda).name()
                                   : "none (this build or this machine has no CUDA device)");
#if defined(DARKNET_OPENCV)
      fmt::print("pictures: OpenCV\n");
#else
      fmt::print("pictures: stb\n");
#endif
      return 0;
    };
  });
}

}  // namespace darknet::cli
