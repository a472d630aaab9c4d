// Trains one network several times, with only the keys of a variant different and the same seeds
// for every variant, and evaluates each on the valid list. What was found is report/comparison.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "core/device.h"
#include "dataset/labels.h"
#include "report/comparison.h"

namespace darknet {

struct ComparisonOptions {
  std::filesystem::path data, cfg, out;  // out: the folder of everything made
  std::vector<std::string> variants;     // "NAME: KEY=VALUE ..."; empty: ce and focal
  std::vector<std::uint64_t> seeds{1};
  std::vector<std::string> overrides;  // -set, of every variant
  std::int64_t max_batches = 0;        // 0: the cfg's
  int threads = 0;                     // of the loader; 0: chosen
  Device device;
  std::filesystem::path tuning;     // "": heuristics
  bool exact = false, map = false;  // map: also evaluate as the training runs go
  BadLabels bad_labels = BadLabels::stop;
};

// "focal: obj_loss=focal obj_gamma=2": a key without a section is one of every head of the cfg.
// Throws where the text, the name or a key is unsound.
ComparedVariant parse_variant(const std::string& text, const std::vector<Section>& cfg);
// Objectness by ce and by focal, in the heads of this cfg, from the same prior.
std::vector<ComparedVariant> default_variants(const std::vector<Section>& cfg);

struct ComparisonOutcome {
  Comparison comparison;
  int exit_code = 0;  // 130, 143: interrupted, after saving; the same call goes on
};

// Training runs that lie finished or begun in `out` are taken up; throws where `out` holds those of
// another comparison.
ComparisonOutcome compare_variants(const ComparisonOptions&);

}  // namespace darknet
