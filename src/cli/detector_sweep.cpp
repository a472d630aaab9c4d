// darknet detector sweep data cfg -vary KEY=V1,V2
#include "cli/sweep_command.h"
#include "core/error.h"

namespace darknet::cli {

void add_detector_sweep(Program& program) {
  const Command command = program.command(
      "detector sweep", "train every combination of keys with every seed, and compare");
  command.footer(
      "-vary 'obj_loss=ce,focal' -vary 'obj_gamma=.5,1,2' are four variants: a key that a loss "
      "does not have is left out of it. The same call resumes an interrupted sweep, also after a "
      "kill; with more seeds, variants or values it trains those that are missing. Several calls "
      "of it on one folder share the runs, on one machine or on many. With -tune and -confirm K "
      "variants are chosen on images that training did not see, and what is chosen is evaluated "
      "with K other seeds on valid=.");
  auto& o = command.options<SweepArguments>();
  declare_sweep_arguments(command, o);
  declare_sweep_plan(command, o);
  command.runs([&o] {
    if (o.request.empty() && !o.collect)
      throw Error("detector sweep: nothing varies; give -vary, -plan or -variant", 2);
    return run_sweep(o);
  });
}

}  // namespace darknet::cli
