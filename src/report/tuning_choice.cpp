#include "report/tuning_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"
#include "report/comparison.h"

namespace darknet {
namespace {

// "auto*2" is a number behind a prefix, and so is "auto" where others are multiples of it.
struct TriedValue {
  std::string text, prefix;
  double number = 0;
};

constexpr std::string_view kAuto = "auto";

std::optional<TriedValue> tried_value(const std::string& text) {
  TriedValue tried{.text = text, .prefix = {}, .number = 1};
  if (text == kAuto) return TriedValue{text, "auto*", 1};
  std::string_view digits = text;
  if (text.starts_with("auto*")) tried.prefix = "auto*", digits.remove_prefix(5);
  if (!read_number(digits, tried.number) || !std::isfinite(tried.number)) return std::nullopt;
  return tried;
}

struct Assigned {
  std::string key, value;  // "yolo.*.obj_gamma", "2"
};
Assigned assigned(const std::string& override_text) {
  const auto equals = std::min(override_text.find('='), override_text.size());
  return {override_text.substr(0, equals),
          equals < override_text.size() ? override_text.substr(equals + 1) : ""};
}

std::string without_section(const std::string& key) { return key.substr(key.rfind('.') + 1); }

// The numbers that variants of a group give a key, distinct and ascending.
std::vector<TriedValue> tried_values(const Comparison& c, const TunedGroup& group,
                                     const std::string& key, const std::string& prefix) {
  std::vector<TriedValue> all;
  for (const std::size_t v : group.variants)
    for (const std::string& text : c.variants[v].overrides) {
      const Assigned one = assigned(text);
      if (one.key != key) continue;
      if (auto tried = tried_value(one.value); tried && tried->prefix == prefix)
        all.push_back(std::move(*tried));
    }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  all.erase(std::unique(all.begin(), all.end(),
                        [](const auto& a, const auto& b) { return a.number == b.number; }),
            all.end());
  return all;
}

bool are_whole(const std::vector<TriedValue>& tried) {
  return std::all_of(tried.begin(), tried.end(),
                     [](const TriedValue& t) { return t.number == std::floor(t.number); });
}

// What might be tried next beyond `edge`, whose neighbour was tried too: as far away as that one,
// by its factor where the values grow by factors, or less far where the key ends before. `whole`:
// for keys that take integers alone, rounded ones follow.
std::vector<double> candidates(double edge, double neighbour, bool whole) {
  constexpr double kFactor = 1.5;  // from here on two values are taken as of a geometric series
  constexpr int kHalvings = 6;
  std::vector<double> all;
  const double larger = std::max(edge, neighbour), smaller = std::min(edge, neighbour);
  if (smaller > 0 && larger >= kFactor * smaller) all.push_back(edge / neighbour * edge);
  double step = edge - neighbour;
  for (int k = 0; k < kHalvings; ++k, step /= 2) all.push_back(edge + step);
  if (whole) {
    const std::vector<double> fractions = all;
    for (const double one : fractions)
      if (std::round(one) != edge) all.push_back(std::round(one));
    all.push_back(edge + (edge > neighbour ? 1 : -1));
  }
  return all;
}

// In digits alone where it is whole, for keys that take integers.
std::string number_text(double number) {
  constexpr double kExact = 1e15;
  if (number == std::floor(number) && std::abs(number) < kExact)
    return fmt::format("{}", static_cast<std::int64_t>(number));
  return fmt::format("{}", number);
}

// A fraction in four digits, or in all of them where four would not lie beyond the edge; "" where
// nothing does.
std::string text_beyond(double number, double edge, double neighbour) {
  const auto is_beyond = [&](double one) {
    return (one < edge) == (edge < neighbour) && one != edge;
  };
  if (!is_beyond(number)) return "";
  double rounded = number;
  if (number != std::floor(number)) read_number(fmt::format("{:.4g}", number), rounded);
  return number_text(is_beyond(rounded) ? rounded : number);
}

std::vector<std::string> replaced(std::vector<std::string> overrides, const std::string& key,
                                  const std::string& value) {
  for (std::string& one : overrides)
    if (assigned(one).key == key) one = cat(key, "=", value);
  return overrides;
}

// None where the number is not the outermost, or nothing beyond it is sound.
std::optional<GridEdge> edge_of(const Comparison& c, const TunedGroup& group,
                                const Assigned& chosen, const IsSound& sound) {
  const std::optional<TriedValue> value = tried_value(chosen.value);
  if (!value) return std::nullopt;
  const std::vector<TriedValue> tried = tried_values(c, group, chosen.key, value->prefix);
  const bool smallest = value->number == tried.front().number;
  if (tried.size() < 2 || (!smallest && value->number != tried.back().number)) return std::nullopt;
  const double neighbour = smallest ? tried[1].number : tried[tried.size() - 2].number;
  for (const double beyond : candidates(value->number, neighbour, are_whole(tried))) {
    const std::string number = text_beyond(beyond, value->number, neighbour);
    if (number.empty()) continue;
    const std::string text = value->prefix + number;
    if (sound(replaced(c.variants[*group.chosen].overrides, chosen.key, text)))
      return GridEdge{without_section(chosen.key), value->text, !smallest, text};
  }
  return std::nullopt;
}

void find_edges(const Comparison& c, TunedGroup& group, const IsSound& sound) {
  for (const std::string& text : c.variants[*group.chosen].overrides) {
    const auto edge = edge_of(c, group, assigned(text), sound);
    if (!edge) continue;
    const bool said = std::any_of(group.edges.begin(), group.edges.end(), [&](const GridEdge& e) {
      return e.key == edge->key && e.value == edge->value;  // of another section
    });
    if (!said) group.edges.push_back(*edge);
  }
}

// A mean mAP@0.5 below this is that of noise: nothing was learned, and no value of a key is an
// optimum.
constexpr double kLeastFound = .001;

// None where a run of the variant diverged.
std::optional<double> mean_of(const Comparison& c, std::size_t variant) {
  double sum = 0;
  for (std::size_t s = 0; s < c.seeds.size(); ++s) {
    const ComparedRun& run = c.run(variant, s);
    if (!run.has_finished()) return std::nullopt;
    sum += run.at50.mean_average_precision;
  }
  return sum / static_cast<double>(c.seeds.size());
}

void choose_in(const Comparison& c, TunedGroup& group) {
  for (const std::size_t v : group.variants) {
    const std::optional<double> mean = mean_of(c, v);
    if (!mean) ++group.diverged;
    if (mean && (!group.chosen || *mean > group.mean)) group.chosen = v, group.mean = *mean;
  }
  group.nothing_found = group.chosen && group.mean < kLeastFound;
  if (group.nothing_found) group.chosen.reset();
}

std::string counted(std::size_t count, std::string_view noun) {
  return plural(static_cast<std::int64_t>(count), noun);
}

std::string group_name(const TuningChoice& t, const TunedGroup& g) {
  return cat(t.key, "=", g.value);
}

std::string group_text(const TuningChoice& t, const TunedGroup& g, const Comparison& c) {
  const std::string tried = counted(g.variants.size(), "variant") + " with " +
                            counted(static_cast<std::size_t>(t.seeds), "seed") + " each";
  if (g.nothing_found) return cat("With ", group_name(t, g), " ", nothing_found_text(g), ".");
  std::string text = group_name(t, g) + ": ";
  if (!g.chosen)
    return text + "none of " + tried + " can be chosen: each of them has a run that diverged.";
  text += fmt::format("{} is chosen of {}, mean mAP@0.5 {:.1f} % on the tuning split",
                      c.variants[*g.chosen].name, tried, 100 * g.mean);
  if (g.diverged > 0)
    text += cat("; ", counted(static_cast<std::size_t>(g.diverged), "variant"),
                " with a run that diverged could not be chosen");
  return text + ".";
}

std::string budgets_text(const TuningChoice& t) {
  if (t.equal_budgets()) return "";
  std::string text = "Budgets differ:";
  for (const TunedGroup& g : t.groups)
    text += cat(&g == t.groups.data() ? " " : ", ", group_name(t, g), " had ",
                counted(g.variants.size(), "variant"));
  return text +
         ". More tries find a better variant by chance alone: a difference may come from the "
         "tuning, not from " +
         t.key + ".";
}

}  // namespace

bool TuningChoice::equal_budgets() const {
  return std::all_of(groups.begin(), groups.end(), [&](const TunedGroup& g) {
    return g.variants.size() == groups.front().variants.size();
  });
}

bool TuningChoice::at_an_edge() const {
  return std::any_of(groups.begin(), groups.end(),
                     [](const TunedGroup& g) { return !g.edges.empty(); });
}

TuningChoice choose_variants(const Comparison& c, const std::string& key,
                             const std::vector<std::string>& groups, const IsSound& sound) {
  TuningChoice t{.key = without_section(key), .seeds = std::ssize(c.seeds)};
  t.missing = missing_runs(c);
  for (std::size_t v = 0; v < c.variants.size(); ++v) {
    auto group = std::find_if(t.groups.begin(), t.groups.end(),
                              [&](const TunedGroup& g) { return g.value == groups[v]; });
    if (group == t.groups.end()) group = t.groups.insert(group, TunedGroup{.value = groups[v]});
    group->variants.push_back(v);
  }
  if (t.missing > 0) return t;
  for (TunedGroup& group : t.groups) {
    choose_in(c, group);
    if (group.chosen) find_edges(c, group, sound);
  }
  return t;
}

std::string edges_text(const TuningChoice& t, const Comparison& c) {
  std::string text;
  for (const TunedGroup& g : t.groups)
    for (const GridEdge& e : g.edges)
      text += fmt::format(
          "{}{}={} of {} is the {} value tried with {}, so the optimum may lie beyond: add {} to "
          "-vary {}.",
          text.empty() ? "" : " ", e.key, e.value, c.variants[*g.chosen].name,
          e.largest ? "largest" : "smallest", group_name(t, g), e.beyond, e.key);
  return text;
}

std::string nothing_found_text(const TunedGroup& g) {
  std::string text = fmt::format(
      "nothing can be chosen, since no variant that finished reaches a mAP@0.5 of {} % on the "
      "tuning split",
      100 * kLeastFound);
  if (g.diverged > 0)
    text += cat(" (", counted(static_cast<std::size_t>(g.diverged), "variant"),
                " with a run that diverged)");
  return text + "; train longer (-max_batches) or check the data (darknet detector check)";
}

std::vector<std::string> choice_texts(const TuningChoice& t, const Comparison& c) {
  std::vector<std::string> texts;
  if (t.missing > 0)
    texts.push_back(cat("Nothing is chosen before all runs have ended: ",
                        counted(static_cast<std::size_t>(t.missing), "run"),
                        t.missing == 1 ? " is" : " are", " missing."));
  else
    for (const TunedGroup& g : t.groups) texts.push_back(group_text(t, g, c));
  for (std::string more : {budgets_text(t), edges_text(t, c)})
    if (!more.empty()) texts.push_back(std::move(more));
  return texts;
}

}  // namespace darknet
