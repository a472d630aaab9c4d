#include "core/tuning.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "core/device_guard.h"
#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {
namespace {

using nlohmann::ordered_json;

constexpr std::uint64_t kMaxTuningBytes = 64u << 20;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;
constexpr std::size_t kMaxWord = 200;

constexpr std::pair<const char*, ConvDirection> kDirections[] = {
    {"forward", ConvDirection::forward},
    {"backward_data", ConvDirection::backward_data},
    {"backward_weights", ConvDirection::backward_weights}};
constexpr std::pair<const char*, Mode> kModes[] = {{"inference", Mode::inference},
                                                   {"training", Mode::training}};

template <class T, std::size_t n>
const char* word_of(const std::pair<const char*, T> (&words)[n], T value) {
  for (const auto& [word, v] : words)
    if (v == value) return word;
  fail("a value without a word");
}

ordered_json json_of(const ConvUse& u) {
  const ConvSpec& s = u.spec;
  return {{"direction", name_of(u.direction)},
          {"input", {s.in.n, s.in.h, s.in.w, s.in.c}},
          {"filters", s.filters},
          {"groups", s.groups},
          {"size", {s.size_y, s.size_x}},
          {"stride", {s.stride_y, s.stride_x}},
          {"dilation", s.dilation},
          {"pad", {s.pad_y, s.pad_x}},
          {"mode", word_of(kModes, u.mode)},
          {"precision", std::string(name_of(u.precision))},
          {"f32_output", u.f32_output},
          {"exact", u.exact},
          {"deterministic", u.deterministic}};
}

// The fields of one line, each asked for once.
class TuningFields {
 public:
  TuningFields(const ordered_json& object, Where where)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) error("expected a JSON object");
  }
  [[noreturn]] void error(const std::string& what) const { fail_at(where_, what); }
  std::string text(const char* key) {
    const ordered_json& v = value(key);
    if (!v.is_string() || v.get<std::string>().size() > kMaxWord) error(cat(key, ": not a word"));
    return v;
  }
  bool flag(const char* key) {
    const ordered_json& v = value(key);
    if (!v.is_boolean()) error(cat(key, ": not true or false"));
    return v;
  }
  std::int64_t whole(const char* key) { return whole(key, value(key), 1); }
  std::vector<std::int64_t> list(const char* key, std::size_t size, std::int64_t min) {
    const ordered_json& v = value(key);
    if (!v.is_array() || v.size() != size) error(cat(key, ": not a list of ", size, " numbers"));
    std::vector<std::int64_t> all;
    for (const ordered_json& one : v) all.push_back(whole(key, one, min));
    return all;
  }
  double milliseconds(const char* key) {
    const ordered_json& v = value(key);
    if (!v.is_number() || !(v.get<double>() >= 0 && v.get<double>() < 1e9))
      error(cat(key, ": not a time"));
    return v;
  }
  template <class T, std::size_t n>
  T one_of(const char* key, const std::pair<const char*, T> (&words)[n]) {
    const std::string word = text(key);
    for (const auto& [name, v] : words)
      if (word == name) return v;
    error(cat(key, ": '", shown(word), "' is unknown"));
  }
  void end() const {
    if (object_.size() != asked_) error("has a key that is not one of a choice's");
  }

 private:
  const ordered_json& value(const char* key) {
    ++asked_;
    const auto found = object_.find(key);
    if (found == object_.end()) error(cat(key, " is missing"));
    return *found;
  }
  std::int64_t whole(const char* key, const ordered_json& v, std::int64_t min) const {
    if (!v.is_number_integer() || v.get<std::int64_t>() < min || v.get<std::int64_t>() > kMaxSize)
      error(cat(key, ": not an integer from ", min, " to 2^31"));
    return v;
  }

  const ordered_json& object_;
  Where where_;
  std::size_t asked_ = 0;
};

ConvUse use_of(TuningFields& f) {
  ConvUse u{.direction = f.one_of("direction", kDirections)};
  const auto in = f.list("input", 4, 1), size = f.list("size", 2, 1),
             stride = f.list("stride", 2, 1), pad = f.list("pad", 2, 0);
  u.spec = {.in = {in[0], in[1], in[2], in[3]},
            .filters = f.whole("filters"),
            .groups = f.whole("groups"),
            .size_y = size[0],
            .size_x = size[1],
            .stride_y = stride[0],
            .stride_x = stride[1],
            .dilation = f.whole("dilation"),
            .pad_y = pad[0],
            .pad_x = pad[1]};
  u.mode = f.one_of("mode", kModes);
  const auto precision = value_of<DType>(f.text("precision"));
  if (!precision) f.error("precision: not f32, bf16 or f16");
  u.precision = *precision;
  u.f32_output = f.flag("f32_output"), u.exact = f.flag("exact");
  u.deterministic = f.flag("deterministic");
  return u;
}

struct Line {
  std::string library;
  ConvUse use;
  ConvChoice choice;
};

Line line_of(std::string_view text, const Where& where) {
  const ordered_json object = parse_ordered_json(text, false);
  if (object.is_discarded()) fail_at(where, "this is not JSON: ", shown(text));
  TuningFields f(object, where);
  Line line{
      .library = f.text("library"), .use = use_of(f), .choice = {.algorithm = f.text("algorithm")}};
  line.choice.milliseconds = f.milliseconds("milliseconds");
  if (line.library.empty() || line.choice.algorithm.empty())
    f.error("library and algorithm must not be empty");
  f.end();
  return line;
}

Tuning& table_of(std::vector<Tuning>& all, const std::string& library) {
  for (Tuning& t : all)
    if (t.library() == library) return t;
  return all.emplace_back(library);
}

}  // namespace

const char* name_of(ConvDirection direction) { return word_of(kDirections, direction); }

ConvUse conv_use(ConvDirection direction, const ConvSpec& spec, const PlanOptions& o) {
  return {.direction = direction,
          .spec = spec,
          .mode = o.mode,
          .precision = o.precision,
          .f32_output = o.output() != o.precision,
          .exact = o.exact,
          .deterministic = o.deterministic};
}

const ConvChoice* Tuning::find(const ConvUse& use) const {
  if (choices_.empty()) return nullptr;
  const auto found = choices_.find(dump_json(json_of(use)));
  return found == choices_.end() ? nullptr : &found->second;
}

void Tuning::put(const ConvUse& use, ConvChoice choice) {
  choices_.insert_or_assign(dump_json(json_of(use)), std::move(choice));
}

void Tuning::add(const Tuning& other) {
  if (other.library_ != library_)
    fail("choices for ", other.library_, " put among those for ", library_);
  for (const auto& [use, choice] : other.choices_) choices_.insert_or_assign(use, choice);
}

std::string Tuning::lines() const {
  std::string text;
  for (const auto& [use, choice] : choices_) {
    ordered_json line{{"library", library_}};
    line.update(parse_ordered_json(use));
    line["algorithm"] = choice.algorithm;
    line["milliseconds"] = choice.milliseconds;
    text += dump_json(line) + "\n";
  }
  return text;
}

std::vector<Tuning> parse_tunings(const std::string& text, const std::string& file) {
  std::vector<Tuning> all;
  std::istringstream in(text);
  LineReader reader(in, file);
  for (std::string_view line; reader.next(line);) {
    if (line.empty()) continue;
    const Where where{file, reader.number()};
    Line read = line_of(line, where);
    Tuning& table = table_of(all, read.library);
    if (table.find(read.use)) fail_at(where, "a second choice for the same convolution");
    table.put(read.use, std::move(read.choice));
  }
  return all;
}

std::vector<Tuning> read_tunings(const std::filesystem::path& path) {
  return parse_tunings(read_file(path, kMaxTuningBytes), path.string());
}

void merge_into_file(const std::filesystem::path& path, const Tuning& tuning) {
  std::vector<Tuning> all;
  if (is_present(path)) all = read_tunings(path);
  table_of(all, tuning.library()).add(tuning);
  std::string text;
  for (const Tuning& t : all) text += t.lines();
  write_file_atomically(path, text);
}

Tuning tuning_for(const std::filesystem::path& path, const Device& device) {
  if (path.empty()) return {};
  const DeviceGuard guard(device);
  const std::string library = ops(device.type).name(device);
  std::int64_t others = 0;
  for (Tuning& t : read_tunings(path)) {
    if (t.library() == library) return std::move(t);
    others += t.size();
  }
  log::warn(others == 0
                ? cat(path.string(), ": holds no choices; darknet bench -tune puts some there")
                : cat(path.string(), ": none of its ", others, " choices are for ", library,
                      "; they are not used"));
  return Tuning(library);
}

}  // namespace darknet
