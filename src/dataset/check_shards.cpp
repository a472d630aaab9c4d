// The second half of dataset/pack.h: whether shards are what was packed.
#include <map>
#include <mutex>
#include <sstream>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/start_thread.h"
#include "core/text.h"
#include "core/threads.h"
#include "dataset/pack.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxSumsBytes = 256u << 20;
constexpr std::size_t kHexDigits = 64;

std::string folder_of(const std::string& shard) {  // with the slash behind it
  const auto slash = shard.rfind('/');
  return slash == shard.npos ? "" : shard.substr(0, slash + 1);
}

using Sums = std::map<std::string, std::string>;  // of the whole name of a shard

// Lines of `sha256sum`: the digits, two characters, the name.
void add_sums(Sums& sums, const std::string& folder) {
  std::istringstream in(read_all(folder + kShardSums, kMaxSumsBytes));
  LineReader reader(in, folder + kShardSums);
  for (std::string_view line; reader.next(line);) {
    if (line.empty()) continue;
    if (line.size() < kHexDigits + 3)
      fail_at({folder + kShardSums, reader.number()}, "expected a SHA-256 and the name of a shard");
    sums[folder + std::string(line.substr(kHexDigits + 2))] =
        lower_case(std::string(line.substr(0, kHexDigits)));
  }
}

class Check {
 public:
  Check(const std::vector<std::string>& shards,
        const std::function<void(const std::string&)>& report, const std::function<bool()>& stop)
      : shards_(shards), report_(report), stop_(stop) {
    std::string last = "\n";
    for (const std::string& shard : shards) {
      const std::string folder = folder_of(shard);
      if (folder == last) continue;
      last = folder;
      try {
        add_sums(sums_, folder);
      } catch (const NoSuchSource& e) {
        add(cat(e.what(), "; darknet data pack writes it next to the shards"));
      } catch (const Error& e) {
        add(e.what());
      }
    }
  }
  std::int64_t run() {
    for_each_in_threads(core_count(), std::ssize(shards_),
                        [this](std::int64_t i) { check(shards_[to_size(i)]); });
    return errors_;
  }

 private:
  void check(const std::string& shard) {
    if (stop_()) return;
    std::string wrong;
    try {
      wrong = what_is_wrong(shard);
    } catch (const Error& e) {
      wrong = e.what();
    }
    const std::lock_guard lock(mutex_);
    if (!wrong.empty()) add(wrong);
    progress_.at(++done_);
  }
  void add(const std::string& wrong) {
    report_(wrong);
    ++errors_;
  }
  // "": nothing, as far as it was read before `stop_` ended that.
  std::string what_is_wrong(const std::string& shard) const {
    const auto sum = sums_.find(shard);
    if (sum == sums_.end())
      return cat(shard, ": ", kShardSums, " next to it does not list this shard");
    const auto source = open_source(shard);
    const std::string found = sum_of(*source);
    if (found.empty() || found == sum->second) return "";
    return cat(shard, ": was changed or damaged since it was packed: its SHA-256 is not that of ",
               kShardSums, "; copy it again, or pack again");
  }
  // "" where `stop_` says yes before the end.
  std::string sum_of(const ByteSource& source) const {
    constexpr std::uint64_t kPiece = 4u << 20;
    std::string piece(kPiece, '\0');
    Sha256 sum;
    for (std::uint64_t at = 0; at < source.size(); at += kPiece) {
      if (stop_()) return "";
      const auto n = static_cast<std::size_t>(std::min(kPiece, source.size() - at));
      source.read(at, piece.data(), n);
      sum.add(piece.data(), n);
    }
    return sum.hex();
  }

  const std::vector<std::string>& shards_;
  const std::function<void(const std::string&)>& report_;
  const std::function<bool()>& stop_;
  Sums sums_;
  std::mutex mutex_;
  std::int64_t done_ = 0, errors_ = 0;
  log::Progress progress_{"reading shards", std::ssize(shards_)};
};

}  // namespace

std::int64_t check_shards(const std::vector<std::string>& shards,
                          const std::function<void(const std::string&)>& report,
                          const std::function<bool()>& stop) {
  return Check(shards, report, stop).run();
}

}  // namespace darknet
