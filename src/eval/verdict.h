// What an experiment of paired runs may claim: for each variant one of six verdicts and one
// sentence that says no more than the rules here allow. Claims are about means over seeds on one
// data set with one recipe, of variants that were not chosen by these very figures.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/paired.h"
#include "eval/sequential.h"

namespace darknet {

enum class VerdictKind : std::uint8_t {
  better,               // the adjusted p is at most alpha, and the difference is to the good
  worse,                // and it is not
  no_difference_shown,  // neither, which does not say that there is none
  equivalent,           // the difference is shown to lie within the margin
  too_few_seeds,        // fewer than the rules ask for, or no planned look: no claim
  diverged              // a run of either side did: what is left is no fair sample, no claim
};
const char* name_of(VerdictKind);

struct Metric {
  std::string name = "mAP@0.5";
  std::string unit = "points";
  double scale = 100;  // of a value in sentences: 100 makes points of fractions
  bool higher_is_better = true;
};

struct VerdictRules {
  double alpha = .05;          // how often a family of variants without differences gets any claim
  std::int64_t min_pairs = 3;  // at least 2
  double margin = 0;           // of equivalence, in the values' unit; 0: equivalence is not claimed
  // Where results are read more than once. Its p-values and intervals take the place of the plain
  // ones.
  const SequentialPlan* plan = nullptr;
};

struct VariantRuns {
  std::string name;
  std::vector<RunOutcome> runs;  // one per seed, in the order of the baseline's, missing ones too
};

struct Verdict {
  VerdictKind kind = VerdictKind::too_few_seeds;
  PairedRuns runs;
  PairedStatistics statistics;
  Interval interval;         // of the mean difference, 95 % or the plan's, for this variant alone
  double p_value = 1;        // two-sided, Student's t; the plan's where there is one
  double adjusted_p = 1;     // by Holm over all variants
  double equivalence_p = 1;  // two one-sided tests, by Holm over all variants; 1 without a margin
  std::string sentence;
};

// One verdict per variant against the baseline, all together because they are one family: a variant
// that is left out makes the others' claims too easy. Claims rest on Student's t, which can show
// something with few seeds and takes differences as normal; the exact sign-flip p takes them as
// symmetric only and is given next to it, with the lowest that so many seeds can give. Throws where
// the rules are senseless or a variant has another number of runs than the baseline.
std::vector<Verdict> verdicts(const VariantRuns& baseline, std::span<const VariantRuns> variants,
                              const Metric& = {}, const VerdictRules& = {});

// "0.031", "< 0.001".
std::string p_text(double p);

}  // namespace darknet
