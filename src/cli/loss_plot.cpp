// darknet loss plot [losses]
#include <fmt/core.h>

#include "cli/command.h"
#include "core/error.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/text.h"
#include "losses/loss_keys.h"
#include "report/drawing.h"
#include "report/loss_chart.h"

namespace darknet::cli {
namespace {

struct LossPlotArguments {
  std::vector<std::string> losses;
  std::string out = "loss";
  bool dark = false;
};

std::vector<NamedLoss> losses_of(const LossPlotArguments& o) try {
  if (o.losses.empty()) return focal_losses();
  std::vector<NamedLoss> losses;
  for (const std::string& text : o.losses) losses.push_back({text, parse_loss(text)});
  return losses;
} catch (const Error& e) {
  throw Error(e.what(), 2);
}

int plot(const LossPlotArguments& o) {
  const std::vector<LossCurve> curves = loss_curves(losses_of(o));
  Chart chart = loss_chart(curves);
  if (const auto drawn = std::ssize(chart.panels.front().series); drawn > kStyles)
    throw Error(cat("these losses have ", drawn, " curves, and more than ", kStyles,
                    " cannot be told apart; plot fewer at a time"),
                2);
  const std::string csv = o.out + ".csv";
  require_writable_chart(o.out);
  require_writable_file(csv, format_of(kLossCsvHeader));
  if (o.losses.empty()) chart.title = "Focal loss, -(1 - p_t)^gamma log p_t";
  write_chart(o.out, chart, o.dark ? Theme::dark : Theme::light);
  write_file_atomically(csv, loss_csv(curves));
  fmt::print("-> {}, {}.csv\n", printable(written_charts(o.out)), printable(o.out));
  return 0;
}

}  // namespace

void add_loss_plot(Program& program) {
  const Command command =
      program.command("loss plot", "draw losses of one logit and their gradients against p_t");
  command.footer(
      "Without losses: figure 1 of \"Focal Loss for Dense Object Detection\", focal loss for gamma "
      "0, .5, 1, 2 and 5, with the gradients below. With losses, as `darknet loss list` names "
      "them, but for those of the objectness only, whose weights depend on the batch: "
      "`darknet loss plot ce focal:gamma=2,alpha=.25 poly1:epsilon=-1`.");
  auto& o = command.options<LossPlotArguments>();
  command.argument("losses", o.losses, "LOSS or LOSS:key=value,key=value").value_name("LOSS");
  command.option("-out", o.out, "the name of the files without .svg, .png and .csv").show_default();
  command.flag("-dark", o.dark, "a dark .png (the .svg is as its page is)");
  command.runs([&o] { return plot(o); });
}

}  // namespace darknet::cli
