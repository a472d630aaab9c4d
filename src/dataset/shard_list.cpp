#include "dataset/shard_list.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/file_format.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "core/threads.h"

namespace darknet {
namespace {

// The shards, opened by several threads: of many small reads each waits for the disk or a server.
class Opening {
 public:
  explicit Opening(const std::vector<std::string>& names) : names_(names), opened_(names.size()) {}
  std::vector<OpenedShard> run() {
    constexpr int kThreadsPerCore = 4;
    const auto wanted = std::min<std::int64_t>(kThreadsPerCore * core_count(), std::ssize(names_));
    std::vector<std::thread> threads;
    if (wanted > 1) threads = start_threads(static_cast<int>(wanted), [this] { work(); });
    if (threads.empty()) work();
    for (std::thread& t : threads) t.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(opened_);
  }

 private:
  void work() {
    for (std::size_t i = next_++; i < names_.size(); i = next_++) {
      try {
        opened_[i] = open_shard(names_[i]);
        const std::lock_guard lock(mutex_);
        progress_.at(++done_);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_ || i < failed_at_) failure_ = std::current_exception(), failed_at_ = i;
        next_ = names_.size();
      }
    }
  }
  const std::vector<std::string>& names_;
  std::vector<OpenedShard> opened_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::int64_t done_ = 0;
  log::Progress progress_{"reading the headers of shards", std::ssize(names_)};
  std::exception_ptr failure_;
  std::size_t failed_at_ = 0;
};

std::string_view key_of(std::string_view member) { return member.substr(0, member.rfind('.')); }

struct StrayLabels {
  std::int64_t count = 0;
  std::string first;
};

void check_keys(const TarShard& shard, StrayLabels& stray) {
  std::vector<std::pair<std::string_view, std::string_view>> images;  // key and name
  for (const std::uint32_t i : shard.by_name())
    if (const auto name = shard.member(i); is_image_name(name))
      images.emplace_back(key_of(name), name);
  std::ranges::sort(images);
  const auto twice =
      std::ranges::adjacent_find(images, {}, &std::pair<std::string_view, std::string_view>::first);
  if (twice != images.end())
    fail(shard.name(), ": ", std::next(twice)->second, ": has the key of ", twice->second,
         ", and one label file cannot be that of two images; give each a key of its own");
  for (const std::uint32_t i : shard.by_name()) {
    const auto name = shard.member(i);
    const auto at = std::ranges::lower_bound(images, key_of(name), {},
                                             &std::pair<std::string_view, std::string_view>::first);
    if (!name.ends_with(".txt") || (at != images.end() && at->first == key_of(name))) continue;
    if (stray.count++ == 0) stray.first = cat(shard.name(), ": ", name);
  }
}

}  // namespace

void add_shard_images(ImagePaths& to, const std::vector<std::string>& shards) {
  if (shards.empty()) return;
  StrayLabels stray;
  for (const auto& [shard, is_new] : Opening(shards).run()) {
    StrayLabels found;
    check_keys(*shard, found);
    if (is_new && stray.count == 0) stray.first = found.first;
    if (is_new) stray.count += found.count;
    const std::size_t before = to.size();
    for (std::size_t i = 0; i < shard->size(); ++i)
      if (is_image_name(shard->member(i))) to.push_back(cat(shard->name(), '/', shard->member(i)));
    if (to.size() == before)
      fail(shard->name(), ": holds ", plural(static_cast<std::int64_t>(shard->size()), "file"),
           " and no image among them");
  }
  if (stray.count > 0)
    log::warn(cat(stray.first, ": no image has this key, the label file is not used",
                  stray.count > 1 ? cat("; so are ", stray.count - 1, " more") : ""));
}

void require_unpacked(const std::filesystem::path& name) {
  for (const char* const end : {".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.lz4"})
    if (name.native().ends_with(end))
      fail(name.string(),
           ": compressed shards are not read, since images are taken from any place; "
           "unpack them to .tar (images are compressed already)");
}

}  // namespace darknet
