// darknet detector recall data cfg weights
#include <fmt/core.h>

#include <array>
#include <memory>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/command.h"
#include "cli/open_network.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/predict.h"
#include "eval/recall.h"
#include "report/chart.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::array<std::int64_t, 10> kProposals{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};

constexpr const char* kColumns = "proposals,recall_50,recall_50_95,mean_best_iou\n";

struct Options {
  std::string data, cfg, weights, out;
  std::vector<std::string> overrides;
  std::filesystem::path tuning;
  int threads = 0;
  bool exact = false, letter_box = false;
  BadLabels bad_labels = BadLabels::stop;
  Device device;
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
              .x_label = "proposals a picture",
              .y_label = "share of the objects found",
              .series = {std::move(half), std::move(mean)}};
  panel.log_x = true, panel.y_low = 0, panel.y_high = 1;
  write_chart(base, {"", {std::move(panel)}});
}

int recall(const Options& o) {
  const DataFile data = open_data(o.data, ListedFiles::images_and_labels);
  const fs::path weights = open_weights(o.weights, data);
  const ImagePaths listed = read_image_list(required(data, data.valid, "valid"));
  if (!o.out.empty()) {
    require_writable_file(o.out + ".csv", format_of(kColumns));
    require_writable_chart(o.out);
  }
  Network net = open_network(evaluation_options(o, weights));
  LabelledImages labelled = read_all_labels(listed, classes_of(net), o.bad_labels);
  const EvaluationSet set{std::move(labelled.images), std::move(labelled.truths), {}};
  const auto images = run_evaluation(net, set, o.threads);
  const auto rows = proposal_recall(images, kProposals);
  fmt::print("{:>10} {:>10} {:>13} {:>14}\n", "proposals", "recall@.5", "recall@.5:.95",
             "mean best IoU");
  for (const ProposalRecall& r : rows)
    fmt::print("{:>10} {:>8.2f} % {:>11.2f} % {:>14.3f}\n", r.proposals, 100 * r.recall50,
               100 * r.recall, r.best_iou);
  fmt::print("{} with {}, whatever the class\n", plural(std::ssize(images), "image"),
             plural(labelled.objects, "object"));
  if (!o.out.empty()) write(o.out, rows);
  return 0;
}

}  // namespace

void add_detector_recall(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "recall"},
                             "how many objects the best N boxes of a picture find");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  data_argument(app, o->data)->required();
  cfg_argument(app, o->cfg)->required();
  weights_argument(app, o->weights)->required();
  app.add_option("--out", o->out, "also write OUT.csv, OUT.svg and OUT.png");
  add_bad_labels(app, o->bad_labels);
  app.add_flag("--letter_box", o->letter_box, "keep the aspect ratio, grey bars around");
  add_overrides(app, o->overrides);
  add_threads(app, o->threads, "threads that read pictures");
  add_arithmetic(app, o->exact, o->overrides, o->tuning);
  add_device(app, o->device);
  add_darknet_habits(app);
  app.final_callback([o, &run] { run = [o] { return recall(*o); }; });
}

}  // namespace darknet::cli
