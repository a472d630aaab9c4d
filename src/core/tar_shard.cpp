#include "core/tar_shard.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/input.h"
#include "core/number.h"
#include "core/tar_headers.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::string_view kTar = ".tar";
constexpr std::uint64_t kMaxKept = 64u << 10;  // bytes of a label file that stays in memory
constexpr std::size_t kExtension = 4;          // of a label file

class OpenShards {
 public:
  // `look_again`: opens a shard anew that has changed.
  OpenedShard get(const std::string& name, bool look_again) {
    Slot& slot = slot_of(name);
    const std::lock_guard lock(slot.mutex);
    if (slot.shard && !(look_again && !slot.shard->bytes().is_current()))
      return {slot.shard, false};
    slot.shard = std::make_shared<const TarShard>(name);
    slot.opened = true;
    return {slot.shard, true};
  }
  // Not of one that could not be opened: it may have become a folder since.
  bool has(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto slot = slots_.find(name);
    return slot != slots_.end() && slot->second.opened;
  }

 private:
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<const TarShard> shard;
    std::atomic<bool> opened = false;  // whether there is a shard; read without the mutex
  };
  Slot& slot_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return slots_[name];
  }
  std::mutex mutex_;
  std::map<std::string, Slot> slots_;
};

OpenShards& open_shards() {
  static OpenShards all;
  return all;
}

bool is_shard(const std::string& name) {
  std::error_code ignored;
  return open_shards().has(name) || is_url(name) || std::filesystem::is_regular_file(name, ignored);
}

}  // namespace

TarShard::TarShard(std::string name) : name_(std::move(name)), source_(open_source(name_)) {
  std::string kept;
  const auto wanted = [this](const TarMember& m) {
    const std::string end =
        lower_case(m.name.substr(m.name.size() - std::min(m.name.size(), kExtension)));
    return source_->is_remote() && m.bytes <= kMaxKept && (end == ".txt" || end == ".cls");
  };
  const auto take = [&](const TarMember& m, const std::string& contents) {
    constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
    if (m.bytes > kMax) fail(name_, ": ", m.name, ": this member is larger than 4 GiB");
    names_ += m.name;
    if (names_.size() > kMax) fail(name_, ": the names of its members exceed 4 GiB");
    members_.push_back({.offset = wanted(m) ? kInMemory + kept.size() : m.offset,
                        .bytes = static_cast<std::uint32_t>(m.bytes),
                        .name_end = static_cast<std::uint32_t>(names_.size())});
    kept += contents;
  };
  for_each_tar_member(*source_, name_, wanted, take);
  kept.shrink_to_fit();
  kept_ = source_of(name_, std::move(kept));
  names_.shrink_to_fit(), members_.shrink_to_fit();
  sort_by_name();
}

void TarShard::sort_by_name() {
  by_name_.resize(members_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  const auto name = [this](std::uint32_t i) { return member(i); };
  std::ranges::sort(by_name_, {}, name);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name);
  if (twice != by_name_.end())
    fail(name_, ": ", member(*twice),
         ": the tar has this member twice; give each image a key of its "
         "own (darknet data pack does)");
}

std::string_view TarShard::member(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : members_[i - 1].name_end;
  return std::string_view(names_).substr(begin, members_[i].name_end - begin);
}

std::optional<TarShard::Place> TarShard::find(std::string_view wanted) const {
  const auto name = [this](std::uint32_t i) { return member(i); };
  const auto at = std::ranges::lower_bound(by_name_, wanted, {}, name);
  if (at == by_name_.end() || name(*at) != wanted) return std::nullopt;
  const Member& m = members_[*at];
  if ((m.offset & kInMemory) != 0) return Place{kept_, m.offset - kInMemory, m.bytes};
  return Place{source_, m.offset, m.bytes};
}

bool is_shard_name(std::string_view name) { return name.ends_with(kTar); }

OpenedShard open_shard(const std::string& name) { return open_shards().get(name, true); }

std::optional<ShardPath> through_shard(const std::filesystem::path& path) {
  const std::string& text = path.native();
  for (std::size_t at = text.find(".tar/"); at != text.npos; at = text.find(".tar/", at + 1)) {
    const std::string name = text.substr(0, at + kTar.size());
    if (!is_shard(name)) continue;
    ShardPath found{open_shards().get(name, false).shard, text.substr(name.size() + 1), {}};
    found.place = found.shard->find(found.member);
    return found;
  }
  return std::nullopt;
}

namespace {

constexpr std::size_t kMaxShards = 1'000'000;
constexpr int kMaxBraces = 16;  // pairs in one name

// A comma outside of braces is part of a name, unless it stands behind another tar.
void require_sound_braces(const std::string& text) {
  bool open = false;
  for (const char c : text) {
    if (c == '{' && open)
      fail(shown(text), ": braces within braces are not read; name each range alone");
    if (c == '{' || c == '}') open = c == '{';
  }
  if (open) fail(shown(text), ": the last { has no }; a range is written as {000000..000012}");
  if (text.find(".tar,") != text.npos && text.find('{') == text.npos)
    fail(shown(text),
         ": several shards are not named with commas; write {a,b}.tar, or a list with a "
         "shard a line");
}

// What one pair of braces stands for: "000000..000012" or "a,b".
std::vector<std::string> alternatives(const std::string& text, const std::string& body) {
  std::vector<std::string> all;
  if (const auto dots = body.find(".."); dots != body.npos) {
    const std::string first = body.substr(0, dots), last = body.substr(dots + 2);
    std::int64_t from = 0, to = 0;
    if (!read_number(first, from) || !read_number(last, to) || from < 0)
      fail(shown(text), ": {", shown(body), "} is no range of numbers, such as {000000..000012}");
    if (to < from || to - from >= static_cast<std::int64_t>(kMaxShards))
      fail(shown(text), ": the range {", shown(body), "} is ", to < from ? "empty" : "too long");
    for (std::int64_t i = from; i <= to; ++i)
      all.push_back(zero_padded(static_cast<std::uint64_t>(i), first.size()));
    return all;
  }
  for (std::size_t begin = 0; begin <= body.size();) {
    const auto end = std::min(body.find(',', begin), body.size());
    all.push_back(body.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

}  // namespace

std::vector<std::string> shard_names(const std::string& text) {
  if (!is_shard_name(text)) return {};
  require_sound_braces(text);
  std::vector<std::string> names{""};
  std::size_t at = 0;
  for (int pairs = 0;; ++pairs) {
    const auto open = text.find('{', at);
    const auto close = text.find('}', open == text.npos ? at : open);
    const bool last = open == text.npos || close == text.npos;
    const std::string plain = text.substr(at, last ? text.npos : open - at);
    for (std::string& name : names) name += plain;
    if (last) return names;
    if (pairs == kMaxBraces) fail(shown(text), ": has more than ", kMaxBraces, " pairs of braces");
    const auto ends = alternatives(text, text.substr(open + 1, close - open - 1));
    if (ends.size() > kMaxShards / names.size())
      fail(shown(text), ": stands for more than ", kMaxShards, " names");
    std::vector<std::string> longer;
    for (const std::string& name : names)
      for (const std::string& end : ends) longer.push_back(name + end);
    names = std::move(longer);
    at = close + 1;
  }
}

}  // namespace darknet
