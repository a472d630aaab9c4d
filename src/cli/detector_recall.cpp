// darknet detector recall data cfg weights
#include <fmt/core.h>

#include <array>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/image_errors.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "core/file.h"
#include "core/ranks.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/predict.h"
#include "eval/recall.h"
#include "report/chart.h"

namespace darknet::cli {
namespace {

constexpr std::array<std::int64_t, 10> kProposals{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};

constexpr const char* kColumns = "proposals,recall_50,recall_50_95,mean_best_iou\n";

struct RecallArguments : NetworkArguments, ReadingArguments {
  std::string out;
  Tiling tiling;
};

void write(const std::string& base, const std::vector<ProposalRecall>& rows) {
  std::string csv = kColumns;
  Series half{.name = "IoU .5"}, mean{.name = "IoU .5 to .95"};
  for (const ProposalRecall& r : rows) {
    csv += fmt::format("{},{:.6f},{:.6f},{:.6f}\n", r.proposals, r.recall50, r.recall, r.best_iou);
    half.x.push_back(static_cast<double>(r.proposals)), half.y.push_back(r.recall50);
    mean.x.push_back(static_cast<double>(r.proposals)), mean.y.push_back(r.recall);
  }
  write_file_atomically(base + ".csv", csv);
  Panel panel{.title = "Recall of the best proposals",
              .x_label = "proposals per image",
              .y_label = "share of the objects found",
              .series = {std::move(half), std::move(mean)}};
  panel.log_x = true, panel.y_low = 0, panel.y_high = 1;
  write_chart(base, {"", {std::move(panel)}});
}

int recall(const RecallArguments& o) {
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images_and_labels);
  const ImagePaths listed = read_image_list(required(data, data.valid, "valid"));
  if (!o.out.empty() && launched_ranks().is_first()) {
    require_writable_chart(o.out);
    require_writable_file(o.out + ".csv", format_of(kColumns));
  }
  Network net = open_network(network, batch_for(o.tiling, o.device, kEvaluationBatch));
  LabelledImages labelled = read_all_labels(listed, classes_of(net, data), o.bad_labels);
  const EvaluationSet set{std::move(labelled.images), std::move(labelled.truths), {}};
  const auto [images, ended] =
      evaluate_all(net, set, o.threads,
                   {.threshold = kEvaluationThreshold, .nms = kDefaultNms, .tiling = o.tiling});
  if (ended) return *ended;
  const auto rows = proposal_recall(images, kProposals);
  fmt::print("{:>10} {:>10} {:>13} {:>14}\n", "proposals", "recall@.5", "recall@.5:.95",
             "mean best IoU");
  for (const ProposalRecall& r : rows)
    fmt::print("{:>10} {:>8.2f} % {:>11.2f} % {:>14.3f}\n", r.proposals, 100 * r.recall50,
               100 * r.recall, r.best_iou);
  fmt::print("{} with {}, whatever the class\n", plural(std::ssize(images), "image"),
             plural(labelled.objects, "object"));
  if (o.out.empty()) return 0;
  write(o.out, rows);
  fmt::print("-> {}.csv, {}\n", printable(o.out), printable(written_charts(o.out)));
  return 0;
}

}  // namespace

void add_detector_recall(Program& program) {
  const Command command =
      program.command("detector recall", "how many objects the best N boxes of an image find");
  auto& o = command.options<RecallArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  command.option("-out", o.out, "also write OUT.csv, OUT.svg and OUT.png");
  add_reading_flags(command, o);
  add_network_flags(command, o);
  add_tile_flags(command, o.tiling);
  add_compatibility_flags(command);
  command.runs_in_ranks([&o] { return naming_image_check([&] { return recall(o); }); });
}

}  // namespace darknet::cli
