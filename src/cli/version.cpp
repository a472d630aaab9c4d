// darknet version
#include <fmt/core.h>

#include <thread>

#include "cli/command.h"
#include "core/device.h"
#include "core/ops.h"
#include "core/waiting.h"
#include "cpu/instruction_set.h"
#include "image/canvas.h"
#include "image/image.h"

namespace darknet::cli {

void add_version(Program& program) {
  const Command command = program.command("version", "say which program and libraries these are");
  command.runs_in_ranks([] {
    fmt::print("Darknet Focal {}\nbuild: {}, compiler {}, for {}\nCPU: {}\n", DARKNET_VERSION,
               DARKNET_BUILD, __VERSION__, instruction_set(), ops(DeviceType::cpu).name({}));
    const int cards = device_count(DeviceType::cuda);
    if (cards == 0) fmt::print("CUDA: none (this build or this machine has no CUDA device)\n");
    for (int i = 0; i < cards; ++i)
      fmt::print("CUDA: {}\n", ops(DeviceType::cuda).name({DeviceType::cuda, i}));
    fmt::print("images: {}\ntext in images: {}\ncores: {}\nwaiting threads: {}\n", image_library(),
               text_library(), std::thread::hardware_concurrency(), waiting_policy());
    return 0;
  });
}

}  // namespace darknet::cli
