#include "train/sweep_plan.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/file.h"
#include "core/json.h"
#include "core/number.h"
#include "core/text.h"
#include "losses/key_use.h"
#include "nn/head_types.h"

namespace darknet {
namespace {

using nlohmann::json;

bool is_plain(unsigned char c) {
  return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
}

void require_sound_name(const std::string& name, const char* from) {
  if (name.empty() || name.size() > kMaxVariantName || name.front() == '.' ||
      !std::all_of(name.begin(), name.end(), is_plain))
    throw Error(cat(from, " '", shown(name), "': expected a name of 1 to ", kMaxVariantName,
                    " letters, digits, - _ . +"),
                2);
}

std::vector<std::string> types_of(const std::vector<Section>& cfg) {
  std::vector<std::string> types;
  for (const Section& s : cfg) types.push_back(s.type());
  return types;
}

std::vector<std::string> head_types_of(const std::vector<Section>& cfg) {
  std::vector<std::string> types;
  for (const Section& s : cfg)
    if (is_head_type(s.type()) && std::find(types.begin(), types.end(), s.type()) == types.end())
      types.push_back(s.type());
  if (types.empty())
    fail_at(cfg.front().where(), "there is no detection head (", head_names("or"),
            ") whose losses could be compared");
  return types;
}

// -set assignments that give the key its value; without a section, in every head.
std::vector<std::string> assignments(const std::string& key, const std::string& value,
                                     const std::vector<Section>& cfg) {
  if (key.find('.') != key.npos) return {cat(key, "=", value)};
  std::vector<std::string> all;
  for (const std::string& type : head_types_of(cfg))
    all.push_back(cat(type, ".*.", key, "=", value));
  return all;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<std::string> sorted(std::vector<std::string> list) {
  std::sort(list.begin(), list.end());
  return list;
}

// By section: the loss that a head takes where no key names one; "" for other sections.
std::vector<std::string> default_losses(const SweptCfg& cfg) {
  std::vector<std::string> all;
  std::size_t heads = 0;
  for (const Section& section : cfg.sections)
    all.push_back(is_head_type(section.type()) && heads < cfg.default_objectness.size()
                      ? cfg.default_objectness[heads++]
                      : "");
  return all;
}

// A point of the -vary space, with the keys that its losses do not use left out.
using Chosen = std::vector<std::optional<std::string>>;

class Varied {
 public:
  Varied(const std::vector<Axis>& axes, const SweptCfg& cfg)
      : axes_(axes), cfg_(cfg), default_of_(default_losses(cfg)) {}

  Chosen used(const Point& point) const {
    std::vector<Section> sections = cfg_.sections;
    for (std::size_t a = 0; a < axes_.size(); ++a)
      apply_overrides(sections, assignments(axes_[a].key, point[a], cfg_.sections));
    Chosen kept;
    for (std::size_t a = 0; a < axes_.size(); ++a)
      kept.push_back(is_used(axes_[a].key, sections) ? std::optional(point[a]) : std::nullopt);
    return kept;
  }

  std::vector<std::string> overrides(const Chosen& choice) const {
    std::vector<std::string> all;
    for (std::size_t a = 0; a < axes_.size(); ++a)
      if (choice[a]) append(all, assignments(axes_[a].key, *choice[a], cfg_.sections));
    return all;
  }

 private:
  bool is_used(const std::string& key, const std::vector<Section>& sections) const {
    const std::vector<std::string> types = types_of(sections);
    for (const std::string& a : assignments(key, "", sections)) {
      const Override o = parse_override(a);
      for (const std::size_t place : places_of(o, types))
        if (use_of(sections[place], o.key, default_of_[place]) != KeyUse::unused) return true;
    }
    return false;
  }

  const std::vector<Axis>& axes_;
  const SweptCfg& cfg_;
  std::vector<std::string> default_of_;  // by section
};

// "obj_gamma" of "yolo.*.obj_gamma".
std::string bare(const std::string& key) {
  const auto dot = key.rfind('.');
  return dot == key.npos ? key : key.substr(dot + 1);
}

std::string plain(std::string text) {
  for (char& c : text)
    if (!is_plain(static_cast<unsigned char>(c))) c = '_';
  return text;
}

// Names from the values of those axes in which the variants differ.
class Names {
 public:
  Names(const std::vector<Axis>& axes, const std::vector<Chosen>& choices) : axes_(axes) {
    for (std::size_t a = 0; a < axes.size(); ++a) {
      std::set<std::string> values;
      for (const Chosen& c : choices)
        if (c[a]) values.insert(*c[a]);
      differs_.push_back(values.size() > 1);
    }
    if (std::find(differs_.begin(), differs_.end(), true) == differs_.end())
      differs_.assign(axes.size(), true);
  }

  std::string name(const Chosen& choice) const {
    std::string text;
    for (std::size_t a = 0; a < axes_.size(); ++a) {
      if (!differs_[a] || !choice[a]) continue;
      if (!text.empty()) text += '-';
      text += part(a, *choice[a]);
    }
    return text.empty() ? "plain" : text;
  }

 private:
  // "focal" of a loss, "gamma.5" of a number, "target_one" of a word.
  std::string part(std::size_t axis, const std::string& value) const {
    const std::string key = short_key(axis);
    if (key == "loss") return plain(value);
    double number = 0;
    const bool joined =
        read_number(value, number) && !std::isdigit(static_cast<unsigned char>(key.back()));
    return key + (joined ? "" : "_") + plain(value);
  }

  std::string short_key(std::size_t axis) const {
    const std::string key = bare(axes_[axis].key);
    const auto shared = std::count_if(axes_.begin(), axes_.end(),
                                      [&](const Axis& a) { return bare(a.key) == key; });
    if (shared > 1) return plain(axes_[axis].key);
    return key.starts_with("obj_") ? key.substr(4) : key;
  }

  const std::vector<Axis>& axes_;
  std::vector<bool> differs_;
};

std::vector<Point> points_of(const SweepRequest& r, const std::vector<Axis>& axes,
                             const std::function<bool(const Point&)>& is_new) {
  std::vector<Point> points;
  if (r.search == Search::grid) {
    for (Point& point : grid_points(axes))
      if (is_new(point)) points.push_back(std::move(point));
    return points;
  }
  constexpr std::uint64_t kTries = 100;  // of lists there may be fewer than the budget
  const auto budget = static_cast<std::uint64_t>(r.budget);
  for (std::uint64_t k = 0; k < kTries * budget && points.size() < budget; ++k)
    if (Point point = search_point(axes, r.search, k); is_new(point))
      points.push_back(std::move(point));
  return points;
}

void add_varied(const SweepRequest& r, const SweptCfg& cfg, std::vector<PlannedVariant>& to) {
  if (r.vary.empty()) return;
  std::vector<Axis> axes;
  for (const std::string& text : r.vary) {
    axes.push_back(parse_axis(text));
    for (std::size_t a = 0; a + 1 < axes.size(); ++a)
      if (axes[a].key == axes.back().key)
        throw Error(cat("-vary '", shown(text), "': this key is varied twice"), 2);
  }
  const Varied varied(axes, cfg);
  std::vector<Chosen> choices;
  std::set<std::vector<std::string>> seen;
  for (const PlannedVariant& v : to) seen.insert(sorted(v.overrides));
  points_of(r, axes, [&](const Point& point) {
    const Chosen choice = varied.used(point);
    if (!seen.insert(sorted(varied.overrides(choice))).second) return false;
    choices.push_back(choice);
    return true;
  });
  const Names names(axes, choices);
  std::vector<std::string> taken;
  for (const PlannedVariant& v : to) taken.push_back(v.name);
  for (const Chosen& choice : choices) {
    taken.push_back(free_name(names.name(choice), taken));
    to.push_back({{taken.back(), varied.overrides(choice)}, false});
  }
}

[[noreturn]] void refuse_file(const std::filesystem::path& file, const std::string& why) {
  fail_at({file.string(), 0}, why,
          R"(; expected a list such as [{"name": "a", "set": {"obj_loss": "focal"}}])");
}

// A text, a number or true and false as 1 and 0.
std::string value_text(const json& value, const std::filesystem::path& file,
                       const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (value.is_number()) return dump_json(value);
  refuse_file(file, cat("'", shown(key), "': its value is neither a text nor a number"));
}

PlannedVariant filed_variant(const json& entry, const std::filesystem::path& file,
                             const std::vector<Section>& cfg) {
  if (!entry.is_object())
    refuse_file(file, cat("'", shown(dump_json(entry)), "' is not an object"));
  for (const auto& [key, value] : entry.items())
    if (key != "name" && key != "set") refuse_file(file, cat("'", shown(key), "': unknown field"));
  if (!entry.contains("name") || !entry["name"].is_string())
    refuse_file(file, cat("'", shown(dump_json(entry)), "' has no name"));
  PlannedVariant variant{{entry["name"].get<std::string>(), {}}, true};
  require_sound_name(variant.name, "-plan: variant");
  if (!entry.contains("set")) return variant;
  if (!entry["set"].is_object())
    refuse_file(file, cat("'", shown(variant.name), "': its \"set\" is not an object"));
  for (const auto& [key, value] : entry["set"].items())
    append(variant.overrides, assignments(key, value_text(value, file, key), cfg));
  return variant;
}

void add_filed(const SweepRequest& r, const std::vector<Section>& cfg,
               std::vector<PlannedVariant>& to) {
  if (r.file.empty()) return;
  constexpr std::uint64_t kMaxBytes = 16u << 20;
  const json list = parse_json(read_file(r.file, kMaxBytes), false);
  if (!list.is_array()) refuse_file(r.file, "this is not a JSON list");
  if (list.empty()) refuse_file(r.file, "this file holds no variants");
  for (const json& entry : list) to.push_back(filed_variant(entry, r.file, cfg));
}

// Each variant has a folder of its own, called like it.
void require_distinct(const std::vector<PlannedVariant>& variants) {
  for (auto variant = variants.begin(); variant != variants.end(); ++variant)
    for (auto earlier = variants.begin(); earlier != variant; ++earlier) {
      if (earlier->name == variant->name)
        throw Error(cat("variant ", variant->name, ": two variants have this name"), 2);
      if (same_keys(*earlier, *variant))
        throw Error(cat("variant ", variant->name, ": has the same keys as ", earlier->name), 2);
    }
}

void put_baseline_first(const std::string& name, std::vector<PlannedVariant>& variants) {
  if (name.empty()) return;
  const auto at = std::find_if(variants.begin(), variants.end(),
                               [&](const PlannedVariant& v) { return v.name == name; });
  if (at != variants.end()) {
    std::rotate(variants.begin(), at, at + 1);
    return;
  }
  throw Error(cat("-baseline '", shown(name), "': no variant has this name; there are ",
                  names_of(variants)),
              2);
}

void require_sound(const SweepRequest& r) {
  if (r.search != Search::grid && (r.vary.empty() || r.budget < 1))
    throw Error("-search needs -vary and a -budget, the number of variants", 2);
  if (r.search == Search::grid && r.budget > 0)
    throw Error("-budget is for -search random or halton; a grid has all its variants", 2);
}

}  // namespace

ComparedVariant parse_variant(const std::string& text, const std::vector<Section>& cfg) {
  const auto colon = text.find(':');
  ComparedVariant variant{std::string(trim(text.substr(0, colon))), {}};
  require_sound_name(variant.name, "-variant");
  std::istringstream words(colon == std::string::npos ? "" : text.substr(colon + 1));
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(cat("-variant ", variant.name, ": '", shown(word), "': expected KEY=VALUE"), 2);
    append(variant.overrides, assignments(word.substr(0, equals), word.substr(equals + 1), cfg));
  }
  return variant;
}

std::string variant_text(const ComparedVariant& variant) {
  std::string text = variant.name + ":";
  for (const std::string& key : variant.overrides) text += " " + key;
  return text;
}

std::vector<std::string> default_variants() {
  // The same start, strength and targets for both: without its prior, cross-entropy spends its
  // first steps on unlearning p = .5 everywhere; without equal strength, the weight of the
  // objectness relative to boxes and classes would be the difference that is measured.
  const std::string both = " obj_prior=auto obj_init=auto obj_normalizer=auto obj_target=one";
  return {"ce: obj_loss=ce" + both, "focal: obj_loss=focal obj_gamma=2 obj_alpha=.25" + both};
}

std::string value_of_key(const ComparedVariant& variant, const std::string& key,
                         const SweptCfg& cfg) {
  std::vector<Section> sections = cfg.sections;
  apply_overrides(sections, variant.overrides);
  const std::vector<std::string> types = types_of(sections);
  const std::vector<std::string> defaults = default_losses(cfg);
  std::vector<std::string> values;
  for (const std::string& a : assignments(key, "", sections)) {
    const Override o = parse_override(a);
    for (const std::size_t place : places_of(o, types)) {
      const std::string own = o.key == "obj_loss" ? defaults[place] : kNoValue;
      const std::string value = sections[place].text(o.key, own);
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
  }
  return joined(values, "+");
}

bool same_keys(const ComparedVariant& a, const ComparedVariant& b) {
  return sorted(a.overrides) == sorted(b.overrides);
}

std::string free_name(const std::string& name, std::span<const std::string> taken) {
  constexpr std::size_t kNumber = 5;  // "-1000"
  const auto is_free = [&](const std::string& one) {
    return std::find(taken.begin(), taken.end(), one) == taken.end();
  };
  if (name.size() <= kMaxVariantName && is_free(name)) return name;
  for (int k = 2;; ++k)
    if (std::string other = cat(name.substr(0, kMaxVariantName - kNumber), "-", k); is_free(other))
      return other;
}

std::vector<PlannedVariant> plan_variants(const SweepRequest& request, const SweptCfg& cfg) {
  require_sound(request);
  std::vector<PlannedVariant> variants;
  for (const std::string& text : request.variants)
    variants.push_back({parse_variant(text, cfg.sections), true});
  for (const ComparedVariant& v : request.complete) variants.push_back({v, true});
  add_filed(request, cfg.sections, variants);
  require_distinct(variants);
  add_varied(request, cfg, variants);
  put_baseline_first(request.baseline, variants);
  return variants;
}

}  // namespace darknet
