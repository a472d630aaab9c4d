// The second half of dataset/pack.h: whether shards are what was packed.
#include <mutex>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "core/threads.h"
#include "dataset/pack.h"
#include "dataset/shard_sums.h"

namespace darknet {
namespace {

class Check {
 public:
  Check(const std::vector<std::string>& shards,
        const std::function<void(const std::string&)>& report, const std::function<bool()>& stop)
      : shards_(shards), report_(report), stop_(stop) {
    for (const std::string& shard : shards) try {
        sums_.add_next_to(shard);
      } catch (const NoSuchSource& e) {
        add(cat(e.what(), "; darknet data pack writes it next to the shards"));
      } catch (const Error& e) {
        add(e.what());
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
    const ShardSum* const sum = sums_.of(shard);
    if (!sum) return cat(shard, ": ", kShardSums, " next to it does not list this shard");
    const std::string why = why_not_as_packed(*open_source(shard), *sum, stop_);
    return why.empty() ? "" : cat(shard, ": ", why);
  }

  const std::vector<std::string>& shards_;
  const std::function<void(const std::string&)>& report_;
  const std::function<bool()>& stop_;
  ShardSums sums_;
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
