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

WholeEvaluation evaluate_all(Network& net, const EvaluationSet& set, int threads,
                             const DetectionOptions& options) {
  const InterruptGuard interrupt("the images");
  WholeEvaluation e{.images = run_evaluation(
                        net, set, threads, [&] { return interrupt.requested(); }, options)};
  const auto done = std::count_if(e.images.begin(), e.images.end(),
                                  [](const EvaluatedImage& image) { return image.width > 0; });
  if (done > 0) require_finite_outputs(net);
  if (to_size(done) == e.images.size()) return e;
  log::info(cat(interrupted_after(to_size(done), e.images.size()),
                "; no figures are given, they need all of them"));
  e.exit_code = interrupt.exit_code();
  return e;
}

}  // namespace darknet::cli
