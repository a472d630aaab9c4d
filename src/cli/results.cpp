#include "cli/results.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cli/command.h"
#include "cli/open_network.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/result_writer.h"
#include "train/interrupt.h"

namespace darknet::cli {

Option add_format(const Command& command, std::string& format, const std::string& remark) {
  std::vector<std::string> names;
  std::string help;
  for (const ResultFormat& f : result_formats()) {
    names.emplace_back(f.name);
    help += cat(help.empty() ? "" : "; ", f.name, ": ", f.help);
  }
  return command.text_option("-format", format, help + remark).one_of(names);
}

namespace {

std::string interrupted_after(std::size_t images, std::optional<std::size_t> all) {
  return cat("interrupted after ", plural(static_cast<std::int64_t>(images), "image"),
             all ? cat(" of ", *all) : "");
}

}  // namespace

void report_interrupted(std::size_t images, std::optional<std::size_t> all,
                        const std::string& files) {
  log::info(cat(interrupted_after(images, all),
                files.empty() ? "" : cat("; what was found in them is in ", files)));
}

int exit_code_of(Ranks& ranks, const InterruptGuard& interrupt, bool handed_over) {
  if (handed_over) return 0;
  const std::vector<int> codes = ranks.all_gather_values(interrupt.exit_code());
  return *std::max_element(codes.begin(), codes.end());
}

WholeEvaluation evaluate_all(Network& net, const EvaluationSet& set, int threads,
                             const DetectionOptions& options) {
  const InterruptGuard interrupt("the images");
  Ranks& ranks = launched_ranks();
  WholeEvaluation e{.images = run_evaluation(net, set,
                                             {.threads = threads,
                                              .stop = [&] { return interrupt.requested(); },
                                              .options = options,
                                              .ranks = &ranks})};
  const auto done = std::count_if(e.images.begin(), e.images.end(),
                                  [](const EvaluatedImage& image) { return image.width > 0; });
  const bool all = ranks.broadcast_value(to_size(done) == e.images.size());
  if (all && ranks.is_first()) return e;
  e.exit_code = exit_code_of(ranks, interrupt, all);
  if (!all)
    log::info(cat(interrupted_after(to_size(done), e.images.size()),
                  "; no figures are given, they need all of them"));
  return e;
}

}  // namespace darknet::cli
