#include "report/comparison_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "report/comparison_charts.h"
#include "report/comparison_page.h"
#include "report/comparison_tables.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

SideBySide sides_of(const Comparison& c, std::size_t image) {
  SideBySide sides{.names = c.names};
  for (const std::size_t variant : shown_variants(c)) {
    const ComparedRun& run = *shown_run(c, variant);
    sides.truths = run.images[image].truths;
    sides.panels.push_back({fmt::format("{}, seed {}", c.variants[variant].name, run.seed),
                            shown_detections(run, image)});
  }
  return sides;
}

PageScene write_scene(const Comparison& c, const fs::path& folder, std::size_t image,
                      const std::string& prefix) {
  PageScene scene{c.images[image].filename().string(), {}};
  const std::string stem = prefix + "-" + c.images[image].stem().string();
  for (const ScenePanel& panel : scene_panels(read_image(c.images[image]), sides_of(c, image))) {
    const fs::path to = fs::path("images") / fmt::format("{}-{}.png", stem, scene.panels.size());
    write_image(folder / to, panel.image);
    scene.panels.push_back({to, panel.title});
  }
  return scene;
}

// Scenes where the networks differ, marked as such, and scenes that were not selected: spread
// evenly over the list. Detections are stored without images, so missing images are left out.
PageScenes write_scenes(const Comparison& c, const ComparisonFiles& o) {
  constexpr std::size_t kDifferent = 4;
  PageScenes scenes;
  if (o.images == 0 || shown_variants(c).empty()) return scenes;
  make_folder(o.folder / "images");
  const auto size = std::ssize(c.images);
  const std::int64_t count = std::min(o.images, size);
  std::vector<std::size_t> different = most_different_images(c, kDifferent);
  std::erase_if(different, [&](std::size_t image) { return !is_present(c.images[image]); });
  const std::int64_t all = std::ssize(different) + count;
  log::Progress progress("drawing", all);
  const auto draw = [&](std::vector<PageScene>& to, std::size_t image, const std::string& prefix) {
    to.push_back(write_scene(c, o.folder, image, prefix + std::to_string(to.size() + 1)));
    progress.at(std::ssize(scenes.different) + std::ssize(scenes.spread));
  };
  for (const std::size_t image : different) draw(scenes.different, image, "different-");
  for (std::int64_t k = 0; k < count; ++k) {
    const std::size_t image = to_size(k * size / count);
    if (is_present(c.images[image]))
      draw(scenes.spread, image, "");
    else
      log::warn(fmt::format("not drawn: no such image: {}", c.images[image].string()));
  }
  if (!different.empty())
    write_image(o.folder / "difference.jpg", side_by_side(read_image(c.images[different.front()]),
                                                          sides_of(c, different.front())));
  return scenes;
}

constexpr std::array kCharts{"chart", "precision-recall", "variants", "differences"};

struct Written {
  ComparisonStatistics statistics;
  PageScenes scenes;
};

// All but what people read first: page and table.
Written write_figures(const Comparison& c, const ComparisonFiles& o) {
  ComparisonStatistics s = statistics_of(c);
  const std::array charts{training_chart(c), precision_recall_chart(c, s), variants_chart(c, s),
                          differences_chart(c, s)};
  static_assert(charts.size() == kCharts.size());
  for (std::size_t i = 0; i < charts.size(); ++i) write_chart(o.folder / kCharts[i], charts[i]);
  PageScenes scenes = write_scenes(c, o);
  write_file_atomically(o.folder / "summary.csv", comparison_csv(c, s));
  write_file_atomically(o.folder / "results.json", comparison_json(c, s));
  return {std::move(s), std::move(scenes)};
}

// As the page of the folder above names them.
PageScenes in_folder(PageScenes scenes) {
  for (auto* part : {&scenes.different, &scenes.spread})
    for (PageScene& scene : *part)
      for (PageImage& panel : scene.panels) panel.path = kConfirmFolder / panel.path;
  return scenes;
}

std::string part_table(const Comparison& c, const ComparisonStatistics& s) {
  std::string text = part_heading(c) + "\n\n" + comparison_table(c, s) + "\n";
  for (const std::string& sentence : sentences_of(c, s)) text += sentence + "\n";
  return text;
}

}  // namespace

void require_writable_comparison(const fs::path& folder) {
  const std::pair<const char*, FileFormat> files[] = {
      {"table.txt", kTextFormat},
      {"summary.csv", format_of(comparison_csv_header())},
      {"results.json", json_format({"variants", "cfg", "data"})},
      {"index.html", kHtmlFormat},
      {"difference.jpg", kImageFormat}};
  for (const auto& [name, format] : files)
    if (is_present(folder / name)) require_writable_file(folder / name, format);
  for (const std::string chart : kCharts)
    for (const auto& [file, format] : {std::pair{folder / (chart + ".svg"), kSvgFormat},
                                       {folder / (chart + ".png"), kImageFormat}})
      if (is_present(file)) require_writable_file(file, format);
  if (is_present(folder / "images")) require_writable_folder(folder / "images");
}

ComparisonStatistics write_comparison(const Comparison& c, const ComparisonFiles& o) {
  Written w = write_figures(c, o);
  write_file_atomically(o.folder / "table.txt", comparison_table(c, w.statistics));
  write_file_atomically(o.folder / "index.html",
                        comparison_page(c, w.statistics, w.scenes, o.command));
  return std::move(w.statistics);
}

TuningStatistics write_tuning(const Comparison& tuning, const Comparison* confirmation,
                              const ComparisonFiles& o) {
  TuningStatistics found;
  std::optional<PagePart> confirmed;
  std::string table;
  if (confirmation) {
    ComparisonFiles inner = o;
    inner.folder /= kConfirmFolder;
    Written w = write_figures(*confirmation, inner);
    found.confirmation = std::move(w.statistics);
    write_file_atomically(inner.folder / "table.txt",
                          comparison_table(*confirmation, *found.confirmation));
    write_file_atomically(inner.folder / "index.html",
                          comparison_page(*confirmation, *found.confirmation, w.scenes, o.command));
    confirmed.emplace(PagePart{*confirmation, *found.confirmation, in_folder(w.scenes)});
    table = part_table(*confirmation, *found.confirmation) + "\n";
  }
  Written w = write_figures(tuning, o);
  found.tuning = std::move(w.statistics);
  write_file_atomically(o.folder / "table.txt", table + part_table(tuning, found.tuning));
  write_file_atomically(o.folder / "index.html",
                        tuning_page({tuning, found.tuning, std::move(w.scenes)},
                                    confirmed ? &*confirmed : nullptr, o.command));
  return found;
}

}  // namespace darknet
