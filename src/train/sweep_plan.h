// The variants of a sweep: names and cfg keys, from lists of values (-vary), a file (-plan) and
// single ones (-variant). Pure functions of text and the sections of a cfg.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "report/comparison.h"
#include "train/sweep_axes.h"

namespace darknet {

struct SweepRequest {
  std::vector<std::string> variants;  // "NAME: KEY=VALUE ..."
  std::filesystem::path file;         // "": none; a JSON list of {"name", "set": {KEY: VALUE}}
  std::vector<std::string> vary;      // "KEY=V1,V2" or, for a search, "KEY=LOW..HIGH"
  Search search = Search::grid;
  std::int64_t budget = 0;                // variants of a search
  std::string baseline;                   // "": the first variant
  std::vector<ComparedVariant> complete;  // with the keys of their sections, as a folder has them
  bool empty() const {
    return variants.empty() && file.empty() && vary.empty() && complete.empty();
  }
};

// The cfg that is varied, -set applied.
struct SweptCfg {
  std::vector<Section> sections;
  // Of each head: the objectness loss that it takes where no key names one.
  std::vector<std::string> default_objectness;
};

struct PlannedVariant : ComparedVariant {
  bool named = true;  // by the user; else the name was made from the values
};

// The baseline first, then those of -variant, of the file and of -vary. A key that belongs to other
// losses than a variant's is left out of it, and of variants that are the same then one remains.
// Names are made of the values in which the variants of -vary differ: focal-gamma.5. Throws, naming
// the text, where the request is unsound.
std::vector<PlannedVariant> plan_variants(const SweepRequest&, const SweptCfg&);

// "focal: obj_loss=focal obj_gamma=2": a key without a section is one of every head of the cfg.
// Throws where the text, the name or a key is unsound.
ComparedVariant parse_variant(const std::string& text, const std::vector<Section>& cfg);
// The text that parse_variant() reads as this variant.
std::string variant_text(const ComparedVariant&);
// Objectness by ce and by focal, in the heads of this cfg, from the same prior.
std::vector<std::string> default_variants();

// "ce, focal", for messages.
template <class Variant>
std::string names_of(const std::vector<Variant>& variants) {
  std::string names;
  for (const Variant& v : variants) names += (names.empty() ? "" : ", ") + v.name;
  return names;
}

// The value that a variant gives the key, which may be one of every head, or the cfg does, or of
// obj_loss the head itself: "ce"; "ce+focal" where sections differ, kNoValue where none has it.
inline constexpr const char* kNoValue = "none";
std::string value_of_key(const ComparedVariant&, const std::string& key, const SweptCfg&);

// Whether two make the same cfg of every cfg, whatever they are called.
bool same_keys(const ComparedVariant&, const ComparedVariant&);

inline constexpr std::size_t kMaxVariantName = 60;
// `name`, or where it is too long or among `taken` one like it that is not.
std::string free_name(const std::string& name, std::span<const std::string> taken);

}  // namespace darknet
