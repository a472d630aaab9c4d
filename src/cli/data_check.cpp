// darknet data check data
#include <fmt/core.h>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/pack.h"
#include "dataset/shard_sequence.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

int run(const std::filesystem::path& file) {
  const DataFile data = read_data_file(file);
  ImagePaths images;
  for (const auto& list : {data.train, data.valid, data.tune})
    if (!list.empty()) images.append(read_image_list(list));
  const std::vector<std::string> shards = shards_of(images);
  if (shards.empty())
    fail_at({file.string(), 0},
            "its lists name no tar shards; darknet detector check reads images and labels");
  const InterruptGuard interrupt("the reads");
  const std::int64_t errors = check_shards(
      shards, [](const std::string& wrong) { log::error(wrong); },
      [&] { return interrupt.requested(); });
  if (interrupt.requested()) {
    fmt::print("interrupted: not all shards were read\n");
    return interrupt.exit_code();
  }
  fmt::print("{}: {}\n", plural(std::ssize(shards), "shard"),
             errors == 0 ? "as they were packed" : plural(errors, "error"));
  return errors == 0 ? 0 : 1;
}

}  // namespace

void add_data_check(Program& program) {
  const Command command = program.command("data check", "compare tar shards with their checksums");
  command.footer(
      "Reads all shards of train=, valid= and tune=, also behind a URL, and compares their SHA-256 "
      "with shards.sha256 next to them. What images and labels hold is checked by `detector "
      "check`.");
  auto& data = command.options<std::filesystem::path>();
  data_argument(command, data).required();
  command.runs([&data] { return run(data); });
}

}  // namespace darknet::cli
