#include "train/line_log.h"

#include <utility>

#include "core/input.h"
#include "core/text.h"
#include "report/training_chart.h"

namespace darknet {

LineLog::LineLog(std::filesystem::path path, FileFormat format, std::int64_t keep,
                 const IterationOf& iteration_of)
    : path_(std::move(path)), format_(std::move(format)) {
  if (keep <= 0 || !is_present(path_)) return;
  InputFile old(path_, kMaxLogBytes);
  LineReader lines(old, path_.string());
  for (std::string_view line; lines.next(line);)
    if (const auto iteration = iteration_of(line); iteration && *iteration <= keep)
      kept_.append(line) += '\n';
}

void LineLog::append(const std::string& lines) {
  if (!file_) {
    AtomicFile file(path_, format_);
    file.write(kept_);
    file.commit();
    kept_.clear();
    file_.emplace(path_);
  }
  file_->append(lines);
}

}  // namespace darknet
