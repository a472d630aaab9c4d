#include "eval/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

struct Family {
  const VariantRuns& baseline;
  std::int64_t variants;
  const Metric& metric;
  const VerdictRules& rules;
};

void require(const VerdictRules& r) {
  if (!(r.alpha > 0 && r.alpha < 1)) fail("alpha of ", r.alpha, ": expected between 0 and 1");
  if (r.min_pairs < 2) fail("claims from ", r.min_pairs, " pairs: expected at least 2");
  if (!(r.margin >= 0)) fail("an equivalence margin of ", r.margin, ": expected 0 or more");
}

// Under a plan the two one-sided tests are made of its two-sided ones, which is on the safe side.
double equivalence_p(const PairedStatistics& s, const VerdictRules& rules) {
  if (rules.margin == 0) return 1;
  if (!rules.plan) return equivalence_p_value(s, rules.margin);
  if (std::abs(s.mean) >= rules.margin) return 1;
  return std::max(rules.plan->p_value(s, rules.margin), rules.plan->p_value(s, -rules.margin));
}

Verdict measured(const VariantRuns& variant, const Family& family) {
  const SequentialPlan* plan = family.rules.plan;
  Verdict v{.runs = pair_runs(family.baseline.runs, variant.runs)};
  v.statistics = paired_statistics(v.runs.differences);
  v.interval = plan ? plan->confidence(v.statistics) : v.statistics.confidence;
  v.p_value = plan ? plan->p_value(v.statistics) : v.statistics.t_p_value;
  v.equivalence_p = equivalence_p(v.statistics, family.rules);
  return v;
}

bool too_few(const Verdict& v, const VerdictRules& rules) {
  const std::int64_t pairs = v.statistics.pairs;
  return pairs < rules.min_pairs || (rules.plan && !rules.plan->planned(pairs));
}

VerdictKind kind_of(const Verdict& v, const Family& family) {
  const VerdictRules& rules = family.rules;
  if (v.runs.any_diverged()) return VerdictKind::diverged;
  if (too_few(v, rules)) return VerdictKind::too_few_seeds;
  if (v.adjusted_p <= rules.alpha)
    return (v.statistics.mean > 0) == family.metric.higher_is_better ? VerdictKind::better
                                                                     : VerdictKind::worse;
  return v.equivalence_p <= rules.alpha ? VerdictKind::equivalent
                                        : VerdictKind::no_difference_shown;
}

// A variant that no claim can be made of stays in the family with p = 1.
template <class Member>
void adjust(std::vector<Verdict>& all, const VerdictRules& rules, Member member) {
  std::vector<double> p;
  for (const Verdict& v : all)
    p.push_back(v.runs.any_diverged() || too_few(v, rules) ? 1 : v.*member);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i].*(member == &Verdict::p_value ? &Verdict::adjusted_p : member) = adjusted[i];
}

std::string seeds(std::int64_t n) { return fmt::format("{} seed{}", n, n == 1 ? "" : "s"); }

// "p = 0.031", "p < 0.001".
std::string p_equation(double p) {
  const std::string text = p_text(p);
  return (text.starts_with('<') ? "p " : "p = ") + text;
}

std::string difference_text(const Verdict& v, const Metric& m) {
  return fmt::format("{:+.2f} {} of {}", m.scale * v.statistics.mean, m.unit, m.name);
}

std::string interval_text(const Verdict& v, const Family& family) {
  if (v.statistics.all_equal) return "all differences are equal";
  const double scale = family.metric.scale;
  const SequentialPlan* plan = family.rules.plan;
  std::string text =
      fmt::format("{:g} % interval {:+.2f} to {:+.2f}", 100 * (plan ? plan->level() : kConfidence),
                  scale * v.interval.low, scale * v.interval.high);
  if (plan)
    text += fmt::format(", valid at all {} planned looks and {:.2f} times as wide for it",
                        plan->looks().size(), plan->widening(v.statistics.pairs));
  return text;
}

std::string test_text(const Verdict& v, const Family& family) {
  std::string text = p_equation(v.p_value);
  if (family.variants > 1)
    text += fmt::format(", {} after Holm's adjustment for {} comparisons", p_equation(v.adjusted_p),
                        family.variants);
  if (std::isfinite(v.statistics.p_value)) {
    text += ", sign-flip " + p_equation(v.statistics.p_value);
    constexpr std::int64_t kFewPairs = 10;
    if (v.statistics.pairs <= kFewPairs)
      text += fmt::format(" (the lowest possible with {} is {:.3f})", seeds(v.statistics.pairs),
                          smallest_sign_flip_p(v.statistics.pairs));
  }
  return text;
}

std::string within_margin(const Verdict& v, const Family& family) {
  return fmt::format("within {:.2f} {} of each other ({} of two one-sided tests{})",
                     family.metric.scale * family.rules.margin, family.metric.unit,
                     p_equation(v.equivalence_p), family.variants > 1 ? ", adjusted too" : "");
}

std::string claim(const Verdict& v, const std::string& name, const Family& family) {
  const std::string& baseline = family.baseline.name;
  const std::string where = " on this data set with this recipe";
  switch (v.kind) {
    case VerdictKind::better:
    case VerdictKind::worse: {
      std::string text = fmt::format("{} is {} than {}", name, name_of(v.kind), baseline) + where;
      if (v.equivalence_p <= family.rules.alpha)
        text += fmt::format(", yet their means are {}", within_margin(v, family));
      return text;
    }
    case VerdictKind::equivalent:
      return fmt::format("the means of {} and {} are {}", name, baseline,
                         within_margin(v, family)) +
             where;
    default:
      return "no difference is shown, which does not mean that there is none";
  }
}

std::string of_enough_seeds(const Verdict& v, const std::string& name, const Family& family) {
  return fmt::format("Over {} the mean difference of {} from {} is {} ({}; {}): {}.",
                     seeds(v.statistics.pairs), name, family.baseline.name,
                     difference_text(v, family.metric), interval_text(v, family),
                     test_text(v, family), claim(v, name, family));
}

std::string reason_of_too_few(const Verdict& v, const VerdictRules& rules) {
  const std::int64_t pairs = v.statistics.pairs;
  if (pairs < 2) return "one seed says nothing about others, so nothing is claimed";
  if (pairs < rules.min_pairs)
    return fmt::format("nothing is claimed from fewer than {}", seeds(rules.min_pairs));
  if (const std::int64_t next = rules.plan->next_look(pairs))
    return fmt::format("nothing is claimed before the next planned look, at {}", seeds(next));
  return fmt::format("nothing is claimed after the last planned look, at {}",
                     seeds(rules.plan->looks().back()));
}

std::string of_too_few(const Verdict& v, const std::string& name, const Family& family) {
  if (v.statistics.pairs == 0)
    return fmt::format("No seed of {} and {} has finished, so nothing is claimed.", name,
                       family.baseline.name);
  return fmt::format("With {} the mean difference of {} from {} is {}: {}.",
                     seeds(v.statistics.pairs), name, family.baseline.name,
                     difference_text(v, family.metric), reason_of_too_few(v, family.rules));
}

std::string of_diverged(const Verdict& v, const std::string& name, const Family& family) {
  const auto all = std::ssize(family.baseline.runs);
  std::string text =
      fmt::format("{} diverged in {} and {} in {} of {}", name, v.runs.variant_diverged,
                  family.baseline.name, v.runs.baseline_diverged, seeds(all));
  if (v.statistics.pairs > 0)
    text += fmt::format("; the {} left have a mean difference of {}", seeds(v.statistics.pairs),
                        difference_text(v, family.metric));
  return text + ", from which nothing is claimed.";
}

std::string sentence_of(const Verdict& v, const std::string& name, const Family& family) {
  if (v.kind == VerdictKind::diverged) return of_diverged(v, name, family);
  if (v.kind == VerdictKind::too_few_seeds) return of_too_few(v, name, family);
  return of_enough_seeds(v, name, family);
}

}  // namespace

const char* name_of(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::better:
      return "better";
    case VerdictKind::worse:
      return "worse";
    case VerdictKind::no_difference_shown:
      return "no difference shown";
    case VerdictKind::equivalent:
      return "equivalent";
    case VerdictKind::too_few_seeds:
      return "too few seeds";
    default:
      return "diverged";
  }
}

std::vector<Verdict> verdicts(const VariantRuns& baseline, std::span<const VariantRuns> variants,
                              const Metric& metric, const VerdictRules& rules) {
  require(rules);
  const Family family{baseline, std::ssize(variants), metric, rules};
  std::vector<Verdict> all;
  for (const VariantRuns& variant : variants) all.push_back(measured(variant, family));
  adjust(all, rules, &Verdict::p_value);
  adjust(all, rules, &Verdict::equivalence_p);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].kind = kind_of(all[i], family);
    all[i].sentence = sentence_of(all[i], variants[i].name, family);
  }
  return all;
}

std::string p_text(double p) { return p < .001 ? "< 0.001" : fmt::format("{:.3f}", p); }

}  // namespace darknet
