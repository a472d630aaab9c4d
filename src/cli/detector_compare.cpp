// darknet detector compare data cfg
#include "cli/sweep_command.h"
#include "core/error.h"
#include "nn/head_types.h"

namespace darknet::cli {

void add_detector_compare(Program& program) {
  const Command command = program.command(
      "detector compare", "train with two or more losses from the same seeds, and compare");
  command.footer(
      cat("A variant is a name and the cfg keys that make it: -variant 'ce: obj_loss=ce' -variant "
          "'focal: obj_loss=focal obj_gamma=2'. A key without a section holds in every ",
          head_names("and"),
          ". Without -variant: ce and focal. The same call resumes an interrupted comparison; "
          "with more seeds or variants it trains those that are missing. Many variants: darknet "
          "detector sweep."));
  auto& o = command.options<SweepArguments>();
  o.command = "compare";
  declare_sweep_arguments(command, o);
  command.runs([&o] {
    if (o.request.empty()) o.request.variants = default_variants();
    return run_sweep(o);
  });
}

}  // namespace darknet::cli
