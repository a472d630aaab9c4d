// darknet loss list
#include <fmt/core.h>

#include "cli/command.h"
#include "losses/losses.h"

namespace darknet::cli {
namespace {

int list() {
  for (const LogitLoss& loss : all_of<LogitLoss>()) {
    KeyDocs docs;
    std::visit([&](const auto& l) { docs.add(l); }, loss);
    fmt::print("{}{}\n", name_of(loss), is_of_batch(loss) ? " (of the objectness only)" : "");
    for (const KeyDoc& d : docs.docs())
      fmt::print("  {:<14} {:>5}  {:<13} {}\n", d.key, d.fallback, d.allowed, d.help);
  }
  return 0;
}

}  // namespace

void add_loss_list(Program& program) {
  const Command command =
      program.command("loss list", "the losses of one logit, their keys, defaults and ranges");
  command.footer(
      "In a cfg they are obj_loss=NAME with obj_KEY=..., and, but for those of the objectness "
      "only, "
      "cls_loss=NAME with cls_KEY=... . Their formulas are in docs/losses.md.");
  command.runs([] { return list(); });
}

}  // namespace darknet::cli
