#include "cli/sweep_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "cfg/data_file.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "report/comparison_page.h"
#include "report/side_by_side.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

SideBySide sides_of(const Comparison& c, std::size_t image) {
  const std::size_t seed = shown_seed(c).value();
  SideBySide sides{.names = c.names};
  for (const std::size_t variant : finished_variants(c, seed)) {
    const ComparedRun& run = c.run(variant, seed);
    sides.truths = run.images[image].truths;
    sides.panels.push_back({c.variants[variant].name, shown_detections(run, image)});
  }
  return sides;
}

PageScene write_scene(const Comparison& c, const SweepArguments& o, std::size_t image,
                      const std::string& prefix) {
  PageScene scene{c.images[image].filename().string(), {}};
  const std::string stem = prefix + "-" + c.images[image].stem().string();
  for (const ScenePanel& panel : scene_panels(read_image(c.images[image]), sides_of(c, image))) {
    const fs::path to = fs::path("images") / fmt::format("{}-{}.png", stem, scene.panels.size());
    write_image(o.out / to, panel.image);
    scene.panels.push_back({to, panel.title, ""});
  }
  return scene;
}

// The scene of the largest difference, which is said of it, and scenes that nobody chose: spread
// evenly over the list.
void write_scenes(const Comparison& c, const SweepArguments& o, PageFiles& files) {
  if (o.images == 0 || !shown_seed(c)) return;
  make_folder(o.out / "images");
  const auto size = std::ssize(c.images);
  const std::int64_t count = std::min(o.images, size);
  log::Progress progress("drawing", count + 1);
  if (const auto image = most_different_image(c)) {
    files.difference = write_scene(c, o, *image, "difference");
    write_image(o.out / "difference.jpg",
                side_by_side(read_image(c.images[*image]), sides_of(c, *image)));
  }
  for (std::int64_t k = 0; k < count; ++k) {
    progress.at(k + 1);
    files.scenes.push_back(write_scene(c, o, to_size(k * size / count), std::to_string(k + 1)));
  }
  progress.at(count + 1);
}

std::vector<PanelFile> write_panels_of_page(const SweepArguments& o, const char* name,
                                            const Chart& chart) {
  make_folder(o.out / "charts");
  std::vector<PanelFile> files = write_panels(o.out / "charts" / name, chart);
  for (PanelFile& f : files) f.path = fs::path("charts") / f.path.filename();
  return files;
}

}  // namespace

void check_sweep_outputs(const SweepArguments& o) {
  open_data(o.data, ListedFiles::images_and_labels);
  const std::pair<const char*, FileFormat> files[] = {
      {"table.txt", kTextFormat},
      {"results.json", json_format({"variants", "cfg", "data"})},
      {"index.html", kHtmlFormat},
      {"chart.svg", kSvgFormat},
      {"chart.png", kImageFormat},
      {"precision-recall.svg", kSvgFormat},
      {"precision-recall.png", kImageFormat},
      {"difference.jpg", kImageFormat}};
  for (const auto& [name, format] : files)
    if (is_present(o.out / name)) require_writable_file(o.out / name, format);
  for (const char* folder : {"charts", "images"})
    if (is_present(o.out / folder)) require_writable_folder(o.out / folder);
}

void write_sweep_page(const Comparison& c, const SweepArguments& o, bool images) {
  const auto found = differences(c);
  const Chart training = training_chart(c), curves = precision_recall_chart(c);
  PageFiles files{.training = {}, .precision_recall = {}, .command = sweep_command(o)};
  if (shown_seed(c)) {
    write_chart(o.out / "chart", training);
    write_chart(o.out / "precision-recall", curves);
    files.training = write_panels_of_page(o, "training", training);
    files.precision_recall = write_panels_of_page(o, "precision-recall", curves);
  }
  if (images) write_scenes(c, o, files);
  write_file_atomically(o.out / "table.txt", comparison_table(c));
  write_file_atomically(o.out / "results.json", comparison_json(c, found));
  write_file_atomically(o.out / "index.html", comparison_page(c, found, files));
}

std::string sweep_summary(const Comparison& c) {
  std::string text = printable(comparison_table(c), "\n") + "\n";
  for (const VariantDifference& d : differences(c))
    text += printable(verdict_text(c, d), "\n") + "\n";
  return text;
}

}  // namespace darknet::cli
