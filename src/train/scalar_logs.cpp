#include "train/scalar_logs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "core/number.h"
#include "train/progress.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// A kill may have cut a row: it has fewer cells than the header.
LineLog::IterationOf iteration_of_row() {
  return [cells = std::ptrdiff_t{0}](std::string_view row) mutable -> std::optional<std::int64_t> {
    const std::ptrdiff_t here = std::ranges::count(row, ',');
    if (cells == 0) cells = here;  // the header
    std::int64_t iteration = 0;
    const std::string_view first = row.substr(0, row.find(','));
    if (here != cells) return std::nullopt;
    if (first == "iteration") return 0;
    return read_number(first, iteration) ? std::optional(iteration) : std::nullopt;
  };
}

fs::path event_file_in(const fs::path& folder) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  make_folder(folder);
  return folder /
         fmt::format("events.out.tfevents.{:.6f}.{}.{}", seconds_now(), host.data(), ::getpid());
}

}  // namespace

std::vector<Scalar> scalars_of(const LoggedIteration& i) {
  std::vector<Scalar> all{{"loss", i.loss},
                          {"average_loss", i.average_loss},
                          {"learning_rate", i.learning_rate},
                          {"images_per_second", i.images_per_second},
                          {"load_seconds", i.load_seconds},
                          {"step_seconds", i.step_seconds}};
  if (std::isfinite(i.top))
    all.insert(all.end(), {{"top1", i.top1}, {"topk", i.topk}});
  else
    all.push_back({"map", i.map});
  for (const LoggedHead& head : i.heads)
    for (const TelemetryFigure& f : kTelemetryFigures)
      if (f.scale != TelemetryScale::unlogged)
        all.push_back({fmt::format("layer_{:.0f}/{}", head.layer, f.key), head[f.figure]});
  return all;
}

ResultsCsv::ResultsCsv(const fs::path& path, std::int64_t keep)
    : path_(path.string()), log_(path, kCsvFormat, keep, iteration_of_row()) {}

void ResultsCsv::iteration(const IterationReport& r) {
  const std::vector<Scalar> scalars = scalars_of(logged(r));
  std::string lines;
  if (!begun_) {
    std::string header = "iteration";
    for (const Scalar& s : scalars) header += "," + s.name;
    std::ranges::replace(header, '/', '_');
    header += "\n";
    if (!log_.kept().starts_with(header)) {
      if (!log_.kept().empty())
        log::warn(cat(path_, " begins anew: its columns are not those of this training"));
      log_.drop_kept();
      lines = header;
    }
    begun_ = true;
  }
  lines += std::to_string(r.iteration);
  for (const Scalar& s : scalars)
    lines += std::isnan(s.value) ? "," : fmt::format(",{:.6g}", s.value);
  log_.append(lines + "\n");
}

TensorBoardLog::TensorBoardLog(const fs::path& folder, std::int64_t resumed_at)
    : file_(event_file_in(folder)) {
  const double now = seconds_now();
  file_.append(event_file_head(now) + event_of_start(now, resumed_at));
}

void TensorBoardLog::iteration(const IterationReport& r) {
  file_.append(event_of_scalars(seconds_now(), r.iteration, scalars_of(logged(r))));
}

}  // namespace darknet
