// darknet detector compare data cfg
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/head_types.h"
#include "report/comparison_page.h"
#include "report/side_by_side.h"
#include "train/comparison.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct Options : ComparisonOptions {
  std::vector<std::string> seed_texts;
  std::int64_t images = 8;
};

// "3" or "1..5", each seed once.
std::vector<std::uint64_t> parse_seeds(const std::vector<std::string>& texts) {
  constexpr std::uint64_t kMax = 1000;
  std::vector<std::uint64_t> seeds;
  for (const std::string& text : texts) {
    std::uint64_t first = 0;
    const char* const end = text.data() + text.size();
    const auto lower = std::from_chars(text.data(), end, first);
    const char* at = lower.ptr;
    std::errc error = lower.ec;
    std::uint64_t last = first;
    if (error == std::errc{} && std::string_view(at, end).starts_with("..")) {
      const auto upper = std::from_chars(at + 2, end, last);
      at = upper.ptr, error = upper.ec;
    }
    if (error != std::errc{} || at != end || last < first || last - first >= kMax)
      throw Error(cat("-seed '", shown(text), "': expected a number, or a range such as 1..5"), 2);
    for (std::uint64_t k = 0; k <= last - first; ++k)  // `last` may be the largest number there is
      if (std::find(seeds.begin(), seeds.end(), first + k) == seeds.end())
        seeds.push_back(first + k);
  }
  return seeds;
}

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

PageScene write_scene(const Comparison& c, const Options& o, std::size_t image,
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
void write_scenes(const Comparison& c, const Options& o, PageFiles& files) {
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

std::vector<PanelFile> write_panels_of_page(const Options& o, const char* name,
                                            const Chart& chart) {
  make_folder(o.out / "charts");
  std::vector<PanelFile> files = write_panels(o.out / "charts" / name, chart);
  for (PanelFile& f : files) f.path = fs::path("charts") / f.path.filename();
  return files;
}

std::string command_of(const Options& o) {
  std::string text = fmt::format("darknet detector compare {} {} -out {}", o.data.string(),
                                 o.cfg.string(), o.out.string());
  for (const std::string& variant : o.variants)
    text += fmt::format(" \\\n    -variant '{}'", variant);
  for (const std::string& set : o.overrides) text += " -set '" + set + "'";
  if (o.max_batches > 0) text += fmt::format(" -max_batches {}", o.max_batches);
  for (const std::string& seed : o.seed_texts) text += " -seed " + seed;
  if (o.map) text += " -map";
  if (!o.tuning.empty()) text += " -tuning " + o.tuning.string();
  if (o.bad_labels != BadLabels::stop)
    text += o.bad_labels == BadLabels::clip ? " -bad_labels clip" : " -bad_labels skip";
  return text + (o.exact ? " -exact" : "");
}

// Before the training runs, which take hours.
void check_outputs(const Options& o) {
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

int compare(const Options& o) {
  check_outputs(o);
  const ComparisonOutcome outcome = compare_variants(o);
  if (outcome.exit_code != 0) return outcome.exit_code;
  const Comparison& c = outcome.comparison;
  const auto found = differences(c);
  const Chart training = training_chart(c), curves = precision_recall_chart(c);
  write_chart(o.out / "chart", training);
  write_chart(o.out / "precision-recall", curves);
  PageFiles files{.training = write_panels_of_page(o, "training", training),
                  .precision_recall = write_panels_of_page(o, "precision-recall", curves),
                  .command = command_of(o)};
  write_scenes(c, o, files);
  const std::string table = comparison_table(c);
  write_file_atomically(o.out / "table.txt", table);
  write_file_atomically(o.out / "results.json", comparison_json(c, found));
  write_file_atomically(o.out / "index.html", comparison_page(c, found, files));
  fmt::print("\n{}\n", printable(table, "\n"));
  for (const VariantDifference& d : found) fmt::print("{}\n", printable(verdict_text(c, d), "\n"));
  fmt::print("-> {}\n", printable((o.out / "index.html").string()));
  return 0;
}

}  // namespace

void add_detector_compare(Program& program) {
  const Command command = program.command(
      "detector compare", "train with two or more losses from the same seeds, and compare");
  command.footer(
      cat("A variant is a name and the cfg keys that make it: -variant 'ce: obj_loss=ce' -variant "
          "'focal: obj_loss=focal obj_gamma=2'. A key without a section holds in every ",
          head_names("and"),
          ". Without -variant: ce and focal. The same call resumes an interrupted comparison; "
          "with more seeds it trains those that are missing."));
  auto& o = command.options<Options>();
  data_argument(command, o.data).required();
  cfg_argument(command, o.cfg).required();
  command.option("-out", o.out, "folder of everything made (runs/NAME_OF_CFG)");
  command
      .option("-variant,-arm", o.variants,
              "a variant, NAME: KEY=VALUE ...; the first is the baseline")
      .value_name("VARIANT");
  command.option("-seed", o.seed_texts, "a seed or a range such as 1..5; may be repeated (1)")
      .value_name("SEEDS");
  command.option("-max_batches", o.max_batches, "iterations, instead of the cfg's max_batches")
      .integer_in(1, std::int64_t{1} << 40);
  command.option("-images,-pictures", o.images, "images drawn side by side")
      .integer_in(0, 1000)
      .show_default();
  add_bad_labels(command, o.bad_labels);
  command.flag("-map", o.map, "also evaluate as the training runs go, for the chart");
  add_overrides(command, o.overrides);
  add_threads(command, o.threads, "threads that read and augment images");
  add_arithmetic(command, o.exact, o.overrides, o.tuning);
  add_device(command, o.device);
  add_darknet_habits(command);
  command.runs([&o] {
    if (o.out.empty()) o.out = fs::path("runs") / o.cfg.stem();
    if (!o.seed_texts.empty()) o.seeds = parse_seeds(o.seed_texts);
    return compare(o);
  });
}

}  // namespace darknet::cli
