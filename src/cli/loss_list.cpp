// darknet loss list
#include <fmt/core.h>

#include "cli/command.h"
#include "losses/class_loss.h"

namespace darknet::cli {
namespace {

template <class List>
void print(const List& loss, std::string_view use) {
  KeyDocs docs;
  std::visit([&](const auto& l) { docs.add(l); }, loss);
  fmt::print("{}{}\n", name_of(loss), use);
  for (const KeyDoc& d : docs.docs())
    fmt::print("  {:<14} {:>5}  {:<13} {}\n", d.key, d.fallback, d.allowed, d.help);
}

int list() {
  for (const LogitLoss& loss : all_of<LogitLoss>())
    print(loss, is_of_batch(loss) ? " (of the objectness only)" : "");
  for (const ClassLoss& loss : all_of<ClassLoss>())
    if (!value_of<LogitLoss>(name_of(loss))) print(loss, " (of the class scores only)");
  return 0;
}

}  // namespace

void add_loss_list(Program& program) {
  const Command command =
      program.command("loss list", "the losses, their keys, defaults and ranges");
  command.footer(
      "In a cfg they are obj_loss=NAME with obj_KEY=..., and cls_loss=NAME with cls_KEY=...; the "
      "list says which are for one of the two only. Their formulas are in docs/losses.md.");
  command.runs([] { return list(); });
}

}  // namespace darknet::cli
