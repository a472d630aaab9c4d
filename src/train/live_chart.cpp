#include "train/live_chart.h"

#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "train/progress.h"

namespace darknet {
namespace {
constexpr std::chrono::seconds kEvery{30};  // drawing takes a tenth of a second
}

LiveChart::LiveChart(std::filesystem::path base, const std::string& label, const std::string& past)
    : base_(std::move(base)) {
  history_.label = label;
  std::istringstream lines(past);
  for (std::string line; std::getline(lines, line);) history_.add(line);
}

void LiveChart::iteration(const IterationReport& r) {
  history_.add(logged(r));
  if (std::chrono::steady_clock::now() - drawn_ >= kEvery) draw();
}

void LiveChart::draw() try {
  if (failed_ || history_.iteration.empty()) return;
  drawn_ = std::chrono::steady_clock::now();
  write_chart(base_, training_chart(history_));
} catch (const Error& e) {
  failed_ = true;
  log::warn(cat("the chart is not drawn any more: ", e.what()));
}

}  // namespace darknet
