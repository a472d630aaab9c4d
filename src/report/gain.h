// The gain of each variant over a baseline against the imbalance of the data: a point for each of
// several comparisons or sweeps, which differ in how many background anchors there are for each
// object anchor. What they found is read from their results.json.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "eval/verdict.h"
#include "report/chart.h"

namespace darknet {

struct VariantGain {
  std::string variant;     // of a confirmation: what tuning chose it for, such as "focal,2"
  std::string chosen;      // then its name in the folder; "" where that is `variant`
  Verdict verdict;         // of mAP@0.5 (fractions), over seeds, within its folder
  SampleSummary map50;     // of the variant's own runs
  bool may_claim = false;  // not of too few seeds, nor where a run diverged or is missing
  double adjusted_p = 1;   // by Holm over all gains of the study
};

struct GainPoint {
  std::filesystem::path folder;
  std::string data, cfg;     // as given to the comparison
  std::string chosen;        // the baseline's own name, as in VariantGain
  std::string name;          // of the folder, for tables
  double ratio = 0;          // negatives per positive, mean of the baseline's runs that finished
  SampleSummary baseline;    // its mAP@0.5
  std::int64_t missing = 0;  // runs; nothing is claimed before all have ended
  std::vector<VariantGain> gains;  // a variant with no run that finished is here too
};

struct GainStudy {
  std::string baseline;
  std::vector<GainPoint> points;      // by ascending ratio
  std::vector<std::string> variants;  // without the baseline, in the order of their appearance
};

// `baseline` "": the first variant of the first folder. Throws, naming the file, where a folder has
// no results.json, it is none or that of a tuning, its variants were chosen for other keys than
// those of the first folder, or the baseline has no run there that has finished.
GainStudy read_gain_study(const std::vector<std::filesystem::path>& folders,
                          const std::string& baseline);

// How many of the gains are shown by the rules of eval/verdict.h over all folders together.
std::string gain_text(const GainStudy&);
// Gains with their 95 % intervals, and mAP@0.5 itself, over the ratio; at most 8 variants in one
// panel, and as many panels as they need.
Chart gain_chart(const GainStudy&);
// A row for each gain.
std::string gain_csv(const GainStudy&);
std::string gain_csv_header();  // its first line
// Paths of folders are relative to `page`, where it lies. `command`: makes it again.
std::string gain_page(const GainStudy&, const std::filesystem::path& page,
                      const std::string& command);

// index.html, summary.csv, gain.svg and gain.png in a folder that exists. The first
// throws where the second could not replace what stands there.
void require_writable_gain(const std::filesystem::path& folder);
void write_gain(const GainStudy&, const std::filesystem::path& folder, const std::string& command);

}  // namespace darknet
