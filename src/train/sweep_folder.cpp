#include "train/sweep_folder.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxRunBytes = std::uint64_t{1} << 26;

// Throws what LockFile does where it is not free after a minute.
std::unique_ptr<LockFile> wait_for_lock(const fs::path& file, const std::string& held_for) {
  constexpr auto kPoll = std::chrono::milliseconds(20);
  constexpr int kPolls = 3000;
  for (int k = 0; k < kPolls; ++k) {
    if (auto lock = LockFile::try_lock(file, held_for)) return lock;
    std::this_thread::sleep_for(kPoll);
  }
  return std::make_unique<LockFile>(file, held_for);
}

[[noreturn]] void refuse_file(const fs::path& file) {
  fail_at({file.string(), 0},
          "this file is not as this program writes it; restore it, or remove it");
}

json read_json(const fs::path& file) {
  json j = parse_json(read_file(file, kMaxRunBytes), false);
  if (!j.is_object()) refuse_file(file);
  return j;
}

json to_json(const json& settings, const SweepContents& c) {
  json out{{"baseline", c.baseline},
           {"seeds", c.seeds},
           {"settings", settings},
           {"variants", json::array()}};
  for (const ComparedVariant& v : c.variants) {
    json variant{{"name", v.name}, {"set", v.overrides}};
    if (!v.group.empty()) variant["group"] = v.group;
    out["variants"].push_back(std::move(variant));
  }
  return out;
}

SweepContents contents_of(const json& j, const fs::path& file) try {
  SweepContents c{.variants = {},
                  .seeds = j.at("seeds").get<std::vector<std::uint64_t>>(),
                  .baseline = j.at("baseline").get<std::string>()};
  for (const json& v : j.at("variants"))
    c.variants.push_back({v.at("name").get<std::string>(),
                          v.at("set").get<std::vector<std::string>>(), v.value("group", "")});
  return c;
} catch (const json::exception&) {
  refuse_file(file);
}

// "max_batches, set"; of two objects.
std::string differing(const json& a, const json& b) {
  std::string keys;
  json all = a;
  all.update(b);
  for (const auto& [key, value] : all.items())
    if (!a.contains(key) || !b.contains(key) || a[key] != b[key])
      keys += (keys.empty() ? "" : ", ") + key;
  return keys;
}

// "a=1 b=2"; of those in `a` that `b` does not have.
std::string only_in(const json& a, const json& b) {
  std::string text;
  for (const json& one : a)
    if (std::find(b.begin(), b.end(), one) == b.end())
      text +=
          cat(text.empty() ? "" : " ", one.is_string() ? one.get<std::string>() : dump_json(one));
  return text.empty() ? "nothing" : text;
}

// Of a setting that people type, as it was or is; of a list what `other` does not have, or all of
// it where the order alone differs.
std::string value_beside(const json& value, const json& other) {
  if (!value.is_array() || !other.is_array())
    return value.is_null() || value == json(0) ? "not given" : dump_json(value);
  const auto all_in = [](const json& a, const json& b) {
    return std::all_of(a.begin(), a.end(), [&](const json& one) {
      return std::find(b.begin(), b.end(), one) != b.end();
    });
  };
  const bool reordered = all_in(value, other) && all_in(other, value);
  return only_in(value, reordered ? json::array() : other);
}

// Of the settings that people type, those that differ: "; set was net.0.momentum=.8 and is
// nothing".
std::string values_of_differing(const json& theirs, const json& mine) {
  std::string text;
  for (const char* key : {"set", "max_batches"}) {
    const json there = theirs.value(key, json()), now = mine.value(key, json());
    if (there == now) continue;
    text += cat("; ", key, " was ", value_beside(there, now), " and is ", value_beside(now, there));
  }
  return text;
}

void require_no_earlier_version(const fs::path& folder) {
  for (const char* name : {"variants.json", "arms.json"})
    if (is_present(folder / name))
      fail_at({(folder / name).string(), 0},
              "this folder holds a comparison by an earlier version of this program; give another "
              "-out or remove the folder");
}

void add_variant(PlannedVariant& planned, SweepContents& to, const fs::path& file) {
  std::vector<std::string> taken;
  for (const ComparedVariant& v : to.variants) {
    if (same_keys(v, planned)) {
      if (planned.named && planned.name != v.name)
        fail_at({file.string(), 0}, "the keys of variant ", planned.name, " are those of ", v.name,
                " in this folder; call it so, or give another -out");
      planned.name = v.name;
      return;
    }
    taken.push_back(v.name);
  }
  const std::string name = free_name(planned.name, taken);
  if (planned.named && name != planned.name)
    fail_at({file.string(), 0}, "this folder holds a variant ", planned.name,
            " with other keys; give the variant another name, or another -out");
  planned.name = name;
  to.variants.push_back(planned);
}

void merge(std::vector<PlannedVariant>& variants, const std::vector<std::uint64_t>& seeds,
           SweepContents& to, const fs::path& file) {
  for (PlannedVariant& v : variants) add_variant(v, to, file);
  for (const std::uint64_t seed : seeds)
    if (std::find(to.seeds.begin(), to.seeds.end(), seed) == to.seeds.end())
      to.seeds.push_back(seed);
}

[[noreturn]] void refuse_additions(const fs::path& folder, const SweepContents& begun) {
  fail_at({folder.string(), 0}, "this was begun with ", names_of(begun.variants), ", baseline ",
          begun.baseline, ", and ", plural(std::ssize(begun.seeds), "seed"),
          ", to which nothing is added; ask for the same, or give another -out");
}

}  // namespace

json SweepFolder::settings() const {
  if (!is_present(file())) fail_at({folder_.string(), 0}, "there is no sweep in this folder yet");
  const json now = read_json(file());
  if (!now.contains("settings") || !now["settings"].is_object()) refuse_file(file());
  return now["settings"];
}

SweepContents SweepFolder::contents(const json& mine) const {
  if (const json theirs = settings(); theirs != mine)
    fail_at({file().string(), 0}, "this folder holds a comparison of other data or settings (",
            differing(theirs, mine), ")", values_of_differing(theirs, mine),
            "; give another -out or remove the folder");
  return contents_of(read_json(file()), file());
}

void SweepFolder::add(const json& settings, std::vector<PlannedVariant>& variants,
                      const std::vector<std::uint64_t>& seeds, const std::string& baseline,
                      Additions additions) {
  require_writable_folder(folder_);
  require_no_earlier_version(folder_);
  const auto lock = wait_for_lock(folder_ / "sweep.lock", "a change of sweep.json");
  const bool there = is_present(file());
  SweepContents c = there ? contents(settings) : SweepContents{};
  const SweepContents begun = c;
  merge(variants, seeds, c, file());
  if (!baseline.empty() || c.baseline.empty())
    c.baseline = variants.empty() ? c.baseline : variants.front().name;
  const json now = to_json(settings, c);
  const bool changed = now != to_json(settings, begun);
  if (there && additions == Additions::refused &&
      (changed || variants.size() != begun.variants.size() || seeds.size() != begun.seeds.size()))
    refuse_additions(folder_, begun);
  if (!there || changed) write_file_atomically(file(), dump_json(now, 2) + "\n");
}

std::string SweepFolder::additions(const json& settings, std::vector<PlannedVariant> variants,
                                   const std::vector<std::uint64_t>& seeds) const {
  if (!is_there()) return "";
  SweepContents c = contents(settings);
  const std::size_t variants_before = c.variants.size(), seeds_before = c.seeds.size();
  merge(variants, seeds, c, file());
  std::string text;
  for (std::size_t v = variants_before; v < c.variants.size(); ++v)
    text += (text.empty() ? "variant " : ", variant ") + c.variants[v].name;
  for (std::size_t s = seeds_before; s < c.seeds.size(); ++s)
    text += cat(text.empty() ? "seed " : ", seed ", c.seeds[s]);
  return text;
}

void SweepFolder::require_settings(const json& settings) const {
  require_no_earlier_version(folder_);
  if (is_there()) contents(settings);
}

bool SweepFolder::is_there() const { return is_present(file()); }

fs::path SweepFolder::keep(const std::string& name, const std::string& contents) const {
  require_writable_folder(folder_);
  const auto lock = wait_for_lock(folder_ / "sweep.lock", "a new file of a sweep");
  fs::path path = folder_ / name;
  if (!is_present(path)) write_file_atomically(path, contents);
  return path;
}

fs::path SweepFolder::of_run(const std::string& variant, std::uint64_t seed) const {
  return folder_ / cat(variant, "-seed", seed);
}

std::unique_ptr<LockFile> SweepFolder::lock_page() const {
  return wait_for_lock(folder_ / "page.lock", "writing the page of a sweep");
}

std::unique_ptr<LockFile> SweepFolder::try_lock_page() const {
  return LockFile::try_lock(folder_ / "page.lock", "writing the page of a sweep");
}

std::optional<RunRecord> read_record(const fs::path& run) {
  const fs::path file = run / "result.json";
  if (!is_present(file)) return std::nullopt;
  const json j = read_json(file);
  try {
    RunRecord r{.state = j.at("state").get<std::string>() == name_of(RunState::finished)
                             ? RunState::finished
                             : RunState::diverged,
                .reason = {},
                .command = j.at("command").get<std::string>()};
    if (r.state == RunState::finished)
      r.weights = j.at("weights_checksum").get<std::uint64_t>();
    else
      r.reason = j.at("reason").get<std::string>(),
      r.diverged_at = j.at("iteration").get<std::int64_t>();
    return r;
  } catch (const json::exception&) {
    refuse_file(file);
  }
}

void write_record(const fs::path& run, const RunRecord& r, json more) {
  more["state"] = name_of(r.state);
  more["command"] = r.command;
  if (r.state == RunState::finished)
    more["weights_checksum"] = r.weights;
  else
    more["reason"] = r.reason, more["iteration"] = r.diverged_at;
  write_file_atomically(run / "result.json", dump_json(more, 2, InvalidUtf8::replace) + "\n");
}

std::unique_ptr<LockFile> try_lock_run(const fs::path& run) {
  make_folder(run);
  return LockFile::try_lock(run / "run.lock", "this run of a sweep");
}

}  // namespace darknet
