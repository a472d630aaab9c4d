#include "cli/network_arguments.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "cfg/parse.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet::cli {

std::vector<Section> sections_of(const CfgArguments& a) {
  std::vector<Section> cfg = read_cfg(a.cfg);
  apply_overrides(cfg, a.overrides);
  add_files_of_keys(run_inputs(), cfg);
  return cfg;
}

void add_positionals(const Command& command, NetworkArguments& a, Positionals positionals) {
  if (positionals != Positionals::cfg_weights) data_argument(command, a.data).required();
  const Option cfg = cfg_argument(command, a.cfg);
  const Option weights = weights_argument(command, a.weights);
  if (positionals == Positionals::data)
    weights.needs(cfg);
  else
    cfg.required(), weights.required();
}

std::vector<Option> add_network_flags(const Command& command, NetworkArguments& a) {
  return command.declared_by([&] {
    command.flag("-letter_box", a.letter_box, "keep the aspect ratio, grey bars around");
    add_overrides(command, a.overrides);
    add_arithmetic(command, a.exact, a.overrides, a.tuning, &a.int8);
    add_device(command, a.device);
  });
}

void add_classifier_network_flags(const Command& command, NetworkArguments& a) {
  add_overrides(command, a.overrides);
  add_arithmetic(command, a.exact, a.overrides, a.tuning, &a.int8);
  add_device(command, a.device);
}

DataFile open_data(NetworkArguments& a, ListedFiles listed) {
  DataFile data = open_data(std::filesystem::path(a.data), listed);
  a.weights = open_weights(a.weights, data).string();
  return data;
}

void add_threshold_flags(const Command& command, ThresholdArguments& a) {
  command.option("-thresh", a.thresh, "least probability of a detection")
      .number_in(0, 1)
      .show_default();
  command.option("-nms", a.nms, "overlap above which the weaker of two detections goes; 0: none")
      .number_in(0, 1)
      .show_default();
  add_calibrate(command, a.calibrate);
}

void add_hier(const Command& command, float& hier) {
  command
      .option("-hier", hier,
              "class trees: a detection is of the deepest class whose probability exceeds this "
              "([region] hier)")
      .number_in(0, 1);
}

namespace {

// "640x480", or "640" for both sides.
std::optional<Tiling> tile_of(std::string_view text) {
  Tiling t;
  const auto middle = std::min(text.find('x'), text.size());
  const std::string_view second = middle == text.size() ? text : text.substr(middle + 1);
  const bool good = read_number(text.substr(0, middle), t.width) && read_number(second, t.height);
  return good ? std::optional(t) : std::nullopt;
}

// What check() says against it; "": nothing.
std::string wrong_tiling(const Tiling& t) try {
  check(t);
  return {};
} catch (const Error& e) {
  return e.what();
}

std::string wrong_tile(const std::string& text) {
  const auto tile = tile_of(text);
  if (!tile || tile->width <= 0)
    return cat("'", shown(text), "': expected the size of a tile in pixels, as 640x480 or 640");
  return wrong_tiling(*tile);
}

std::string wrong_overlap(const std::string& text) {
  Tiling t{.width = kMinTile, .height = kMinTile};
  if (!read_number(text, t.overlap))
    return cat("'", shown(text), "' is not a number from 0 to ", kMaxTileOverlap);
  return wrong_tiling(t);
}

}  // namespace

void add_tile_flags(const Command& command, Tiling& tiling, std::vector<Option>* others) {
  const std::vector<Option> flags = command.declared_by([&] {
    const Option tile =
        command
            .option(
                "-tile",
                [&tiling](const std::string& text) {
                  const Tiling t = tile_of(text).value_or(Tiling{});
                  tiling.width = t.width, tiling.height = t.height;
                },
                "sliced inference for small objects in large images: each image in overlapping "
                "tiles of so many pixels, and as a whole (docs/evaluation.md)")
            .check(wrong_tile)
            .value_name("WxH");
    command
        .option("-overlap", tiling.overlap,
                "share of a tile that the next one shows too; at least the size of most objects")
        .check(wrong_overlap)
        .needs(tile)
        .show_default();
    command
        .flag(
            "-tiles_only", [&tiling] { tiling.whole = false; },
            "leave out the pass over the whole image")
        .needs(tile);
  });
  if (others) others->insert(others->end(), flags.begin(), flags.end());
}

std::string tile_flags_of(const Tiling& t) {
  if (!t.on()) return {};
  return cat(" -tile ", t.width, "x", t.height, " -overlap ", t.overlap,
             t.whole ? "" : " -tiles_only");
}

// A pass costs as much with fewer images than its batch: on a CPU, which single ones keep busy,
// none is wasted.
std::int64_t batch_for(const Tiling& tiling, const Device& device, std::int64_t otherwise) {
  if (!tiling.on()) return otherwise;
  return device.type == DeviceType::cpu ? 1 : kEvaluationBatch;
}

void add_calibrate(const Command& command, bool& calibrate) {
  command.flag("-calibrate", calibrate,
               "calibrated probabilities, by the file next to the weights that `darknet detector "
               "calibrate` wrote");
}

void add_reading_flags(const Command& command, ReadingArguments& a) {
  add_bad_labels(command, a.bad_labels);
  add_threads(command, a.threads, kReadingThreads);
}

}  // namespace darknet::cli
