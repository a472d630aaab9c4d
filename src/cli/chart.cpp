// darknet chart logs
#include <fmt/core.h>

#include <memory>

#include "cli/command.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/text.h"
#include "report/training_chart.h"

namespace darknet::cli {
namespace {

struct Options {
  std::vector<std::string> logs, labels;
  std::string out = "chart";
  bool dark = false;
};

int chart(const Options& o) {
  if (o.labels.size() > o.logs.size()) throw Error("-label: more labels than logs", 2);
  require_writable_chart(o.out);
  std::vector<TrainingHistory> histories;
  for (std::size_t i = 0; i < o.logs.size(); ++i) {
    histories.push_back(read_history(o.logs[i]));
    if (i < o.labels.size()) histories.back().label = o.labels[i];
  }
  const Chart drawn =
      histories.size() == 1 ? training_chart(histories.front()) : comparison_chart(histories);
  write_chart(o.out, drawn, o.dark ? Theme::dark : Theme::light);
  fmt::print("-> {0}.svg, {0}.png\n", printable(o.out));
  return 0;
}

}  // namespace

void add_chart(CLI::App& program, Run& run) {
  CLI::App& app =
      subcommand(program, {"chart"}, "draw the log of a training run, or several in one chart");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  as_input(
      app.add_option("logs", o->logs, "NAME_log.jsonl next to the weights; several: one line each"),
      "the log")
      ->required();
  app.add_option("--out", o->out, "the chart's name without .svg and .png")->capture_default_str();
  app.add_option("--label", o->labels, "the name of a log's line, in the order of the logs")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  app.add_flag("--dark", o->dark, "a dark .png (the .svg is as its page is)");
  app.final_callback([o, &run] { run = [o] { return chart(*o); }; });
}

}  // namespace darknet::cli
