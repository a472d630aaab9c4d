// What tuning chose: for each value of one key (each loss), the variant with the best mean on the
// tuning split; whether every value had as many tries; and whether the optimum lies at the edge of
// what was tried. What the choice is worth is another matter: fresh seeds and other images say it.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace darknet {

struct Comparison;
struct ComparedVariant;

// A number of a chosen variant that is the smallest or the largest of those tried.
struct GridEdge {
  std::string key;    // without its section
  std::string value;  // as it was given: "2", "auto*2"
  bool largest = false;
  std::string beyond;  // a value to try next
};

struct TunedGroup {
  std::string value;                  // of the key, or of several: "focal,2"
  std::vector<std::size_t> variants;  // their places
  std::int64_t diverged = 0;          // variants with a run that did: they cannot be chosen
  bool nothing_found = false;         // by those that did not diverge: their mAP is about 0
  std::optional<std::size_t> chosen;  // none before all runs have ended, or where none can be
  double mean = 0;                    // mAP@0.5 of the chosen one over the seeds, a fraction
  std::vector<GridEdge> edges;        // of the chosen one
};

// Of a group in which nothing was found, behind "with obj_loss=focal ".
std::string nothing_found_text(const TunedGroup&);

struct TuningChoice {
  std::string key;  // without its section
  std::int64_t seeds = 0;
  std::int64_t missing = 0;        // runs that have not ended: nothing is chosen before
  std::vector<TunedGroup> groups;  // in the order of the variants
  // As many variants in every group; seeds are the same for all.
  bool equal_budgets() const;
  bool at_an_edge() const;
};

// Whether a cfg with these keys is sound.
using IsSound = std::function<bool(const std::vector<std::string>& overrides)>;

// `groups`: the value of the key for each variant. Of equal means the first variant is chosen. A
// value at which a key ends (obj_gamma=0) is no edge: `sound` says that nothing lies beyond.
TuningChoice choose_variants(const Comparison&, const std::string& key,
                             const std::vector<std::string>& groups, const IsSound& sound);

// Sentences: what was chosen in each group, whether budgets differ, and what lies at an edge.
std::vector<std::string> choice_texts(const TuningChoice&, const Comparison&);
// The last of them: the edges, and what to add to -vary; "" where there is none.
std::string edges_text(const TuningChoice&, const Comparison&);

}  // namespace darknet
