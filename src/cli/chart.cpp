// darknet chart logs
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "cli/command.h"
#include "core/error.h"
#include "core/text.h"
#include "report/training_chart.h"

namespace darknet::cli {
namespace {

struct ChartArguments {
  std::vector<std::string> logs, labels;
  std::string out = "chart";
  bool dark = false;
};

// Logs of one name, such as those of a comparison's runs, are named with their folders, or else
// their paths; what is alike even then is numbered.
void name_apart(std::vector<TrainingHistory>& histories, const ChartArguments& o) {
  const auto is_alone = [&](const TrainingHistory& h) {
    return std::ranges::count(histories, h.label, &TrainingHistory::label) < 2;
  };
  using Path = std::filesystem::path;
  for (const auto name_of : {+[](const Path& log) {
                               const Path whole = std::filesystem::absolute(log).lexically_normal();
                               return (whole.parent_path().filename() / log.stem()).string();
                             },
                             +[](const Path& log) { return log.string(); }}) {
    std::vector<std::size_t> alike;
    for (std::size_t i = o.labels.size(); i < histories.size(); ++i)
      if (!is_alone(histories[i])) alike.push_back(i);
    for (const std::size_t i : alike) histories[i].label = name_of(o.logs[i]);
  }
  for (std::size_t i = o.labels.size(); i < histories.size(); ++i) {
    const std::string name = histories[i].label;
    const auto before = std::span(histories).first(i);
    for (int n = 2; std::ranges::count(before, histories[i].label, &TrainingHistory::label); ++n)
      histories[i].label = cat(name, " (", n, ")");
  }
}

int chart(const ChartArguments& o) {
  if (o.labels.size() > o.logs.size()) throw Error("-label: more labels than logs", 2);
  require_writable_chart(o.out);
  std::vector<TrainingHistory> histories;
  for (std::size_t i = 0; i < o.logs.size(); ++i) {
    histories.push_back(read_history(o.logs[i]));
    if (i < o.labels.size()) histories.back().label = o.labels[i];
  }
  name_apart(histories, o);
  const Chart drawn =
      histories.size() == 1 ? training_chart(histories.front()) : comparison_chart(histories);
  write_chart(o.out, drawn, o.dark ? Theme::dark : Theme::light);
  fmt::print("-> {}\n", printable(written_charts(o.out)));
  return 0;
}

}  // namespace

void add_chart(Program& program) {
  const Command command =
      program.command("chart", "draw the log of a training run, or several in one chart");
  auto& o = command.options<ChartArguments>();
  command.argument("logs", o.logs, "NAME_log.jsonl next to the weights; several: one line each")
      .input("the log")
      .required();
  command.option("-out", o.out, "the chart's name without .svg and .png").show_default();
  command
      .option("-label", o.labels,
              "the name of a log's line, in the order of the logs; without it that of the file, "
              "with its folder where two are alike")
      .value_name("TEXT");
  command.flag("-dark", o.dark, "a dark .png (the .svg is as its page is)");
  command.runs([&o] { return chart(o); });
}

}  // namespace darknet::cli
