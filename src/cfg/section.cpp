#include "cfg/section.h"

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <utility>

#include "cfg/parse.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

template <class T>
std::string show_range(const Range<T>& r) {
  const Range<T> all;
  if (r.lo == all.lo && r.hi == all.hi) return "any";
  if (r.hi == all.hi) return cat(">= ", r.lo);
  if (r.lo == all.lo) return cat("<= ", r.hi);
  return cat("[", r.lo, ", ", r.hi, "]");
}

// Of a number that no T holds: whether it lies near 0, not beyond the range of T. A stream of its
// own locale reads it, which gives 0 or a subnormal where a double has no such number.
bool is_tiny(std::string_view number) {
  std::istringstream in{std::string(number)};
  in.imbue(std::locale::classic());
  double value = 0;
  in >> value;
  return std::abs(value) < 1;
}

// The range that a number outside of it, or of T, violates.
template <class T>
std::string violated_range(const Range<T>& r, bool negative) {
  const Range<T> all;
  const bool limited = negative ? r.lo != all.lo : r.hi != all.hi;
  return limited ? show_range(r) : cat("[", r.lo, ", ", r.hi, "]");
}

template <class T>
T parse_number(const Section& s, std::string_view key, std::string_view value, Range<T> range) {
  T out{};
  if (exceeds_type<T>(value)) {
    if (!is_tiny(value))  // else it counts as 0
      s.fail(key, cat(shown(value), " is outside ", violated_range(range, value.starts_with('-'))));
  } else if (!read_number(value, out)) {
    s.fail(key, cat("expected ", std::is_integral_v<T> ? "an integer" : "a number", ", got '",
                    shown(value), "'"));
  }
  if (!(out >= range.lo && out <= range.hi))  // also refuses nan
    s.fail(key, cat(shown(value), " is outside ", show_range(range)));
  return out;
}

template <class T>
std::vector<T> parse_list(const Section& s, std::string_view key, std::string_view text,
                          Range<T> range) {
  std::vector<T> out;
  text = trim(text);
  if (!text.empty() && text.back() == ',') text.remove_suffix(1);  // stock files end lists so
  while (true) {
    const auto comma = text.find(',');
    std::string_view part = trim(text.substr(0, comma));
    for (auto blank = part.find_first_of(" \t"); blank != part.npos;
         blank = part.find_first_of(" \t")) {  // a comma is missing, as in a stock file
      out.push_back(parse_number<T>(s, key, part.substr(0, blank), range));
      part = trim(part.substr(blank));
      log::warn(cat(to_string(s.where()), ": [", shown(s.type()), "] ", key,
                    ": there is no comma before ", shown(part),
                    "; it counts as the next number, where Darknet joins the two"));
    }
    out.push_back(parse_number<T>(s, key, part, range));
    if (comma == text.npos) return out;
    text.remove_prefix(comma + 1);
  }
}

std::string join(const auto& list, const char* between = ",") {
  std::string all;
  for (const auto& v : list) all += cat(all.empty() ? "" : between, v);
  return all;
}

}  // namespace

const Section::Entry* Section::find(std::string_view key) {
  asked_.emplace_back(key);
  for (Entry& e : entries_) {
    if (e.key != key) continue;
    e.used = true;
    return &e;
  }
  return nullptr;
}

bool Section::has(std::string_view key) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& e) { return e.key == key; });
}

bool Section::equals(std::string_view key, float number) {
  const Entry* e = find(key);
  float value = 0;
  return e && read_number(e->value, value) && value == number;
}

void Section::note_untrained(const Error& e) {
  log::warn(cat(e.what(), "; only training needs it, so the default counts here"));
}

std::int64_t Section::integer(std::string_view key, std::int64_t fallback, Integers range) {
  const Entry* e = find(key);
  return e ? parse_number(*this, key, e->value, range) : fallback;
}

float Section::real(std::string_view key, float fallback, Reals range) {
  const Entry* e = find(key);
  return e ? parse_number(*this, key, e->value, range) : fallback;
}

RealOrAuto Section::real_or_auto(std::string_view key, RealOrAuto fallback,
                                 const NumberOrAuto& allowed) {
  const Entry* e = find(key);
  if (!e) return fallback;
  if (e->value == "auto") return {1, true};
  std::string_view text = e->value;
  const bool scaled = allowed.scaled && text.starts_with("auto*");
  if (scaled) text.remove_prefix(5);
  float value = 0;
  if (!read_number(text, value) && !exceeds_type<float>(text))
    fail(key, cat("expected ", allowed.scaled ? "auto, auto*NUMBER" : "auto", " or a number, got '",
                  shown(e->value), "'"));
  return {parse_number(*this, key, text, allowed.range), scaled};
}

bool Section::flag(std::string_view key, bool fallback) {
  return integer(key, fallback ? 1 : 0, {0, 1}) != 0;
}

std::string Section::text(std::string_view key, std::string_view fallback) {
  const Entry* e = find(key);
  return e ? e->value : std::string(fallback);
}

std::string Section::word(std::string_view key, std::string_view fallback, const OneOf& allowed) {
  const Entry* e = find(key);
  if (!e) return std::string(fallback);
  const auto& words = allowed.words;
  if (std::find(words.begin(), words.end(), e->value) != words.end()) return e->value;
  for (const std::string& word : words)
    if (!word.empty() && lower_case(word) == lower_case(e->value)) return word;
  const std::string near = nearest(e->value, words);
  fail(key, cat("'", shown(e->value), "' is none of ", join(words),
                near.empty() ? "" : cat("; did you mean '", near, "'?")));
}

std::vector<std::int64_t> Section::integers(std::string_view key, Integers range) {
  const Entry* e = find(key);
  return e ? parse_list(*this, key, e->value, range) : std::vector<std::int64_t>{};
}

std::vector<float> Section::reals(std::string_view key, Reals range) {
  const Entry* e = find(key);
  return e ? parse_list(*this, key, e->value, range) : std::vector<float>{};
}

void Section::ignore(std::string_view key, std::string_view why) {
  const Entry* e = find(key);
  if (e) warnings_.push_back(cat(to_string(e->where), ": [", type_, "] ", key, ": ", why));
}

void Section::add(std::string key, std::string value, int line) {
  for (const Entry& e : entries_) {
    if (e.key != key) continue;
    log::warn(cat(where_.file, ':', line, ": [", type_, "] ", key, " was already set on line ",
                  e.where.line, "; the first one counts"));
    return;
  }
  entries_.push_back({std::move(key), std::move(value), {where_.file, line}});
}

void Section::set(std::string_view key, std::string value, Where where) {
  for (Entry& e : entries_) {
    if (e.key != key) continue;
    e.value = std::move(value);
    e.where = std::move(where);
    return;
  }
  entries_.push_back({std::string(key), std::move(value), std::move(where)});
}

std::vector<Section::Override> Section::overrides() const {
  std::vector<Override> list;
  for (const Entry& e : entries_)
    if (e.where.line == 0) list.push_back({e.key, e.where.file});
  return list;
}

std::string Section::as_text() const {
  std::string text = cat('[', type_, "]\n");
  for (const Entry& e : entries_) text += cat(e.key, '=', e.value, '\n');
  return text;
}

void Section::finish() {
  for (const Entry& e : entries_) {
    if (e.used) continue;
    const std::string near = nearest(e.key, asked_);
    fail(e.key, near.empty() ? std::string("unknown key")
                             : cat("unknown key; did you mean '", near, "'?"));
  }
  for (const std::string& warning : std::exchange(warnings_, {})) log::warn(warning);
}

const Where& Section::where_of(std::string_view key) const {
  for (const Entry& e : entries_)
    if (e.key == key) return e.where;
  return where_;
}

void Section::fail(std::string_view key, std::string_view why) const {
  fail_at(where_of(key), '[', shown(type_), "] ", shown(key), ": ", why);
}

void Section::fail_between(std::initializer_list<std::string_view> keys,
                           std::string_view why) const {
  for (const bool command_line : {true, false})
    for (const std::string_view key : keys)
      for (const Entry& e : entries_)
        if (e.key == key && (e.where.line == 0 || !command_line)) fail(key, why);
  fail(*keys.begin(), why);
}

std::string KeyDocs::show(const std::vector<std::int64_t>& v) { return join(v); }
std::string KeyDocs::show(const std::vector<float>& v) { return join(v); }
std::string KeyDocs::show(const Integers& r) { return show_range(r); }
std::string KeyDocs::show(const Reals& r) { return show_range(r); }
std::string KeyDocs::show(const RealOrAuto& v) {
  if (!v.automatic) return cat(v.value);
  return v.value == 1 ? "auto" : cat("auto*", v.value);
}
std::string KeyDocs::show(const NumberOrAuto& a) {
  return cat(a.scaled ? "auto, auto*NUMBER or " : "auto or ", show_range(a.range));
}
std::string KeyDocs::show(const OneOf& o) { return join(o.words, ", "); }  // lines can break there

}  // namespace darknet
