#include "dataset/shard_verifier.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "dataset/shard_list.h"

namespace darknet {
namespace {

const std::string kNoName;
constexpr const char* kAll = "; darknet data check names all shards that are not what was packed";

}  // namespace

ShardVerifier::ShardVerifier(const ImagePaths& images, std::int64_t process,
                             std::int64_t processes) {
  ShardOfPath shard_of;
  std::unordered_map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const bool may_be_in_one = images.text(i).find(".tar/") != std::string_view::npos;
    const std::string& name = may_be_in_one ? shard_of(images[i]) : kNoName;
    std::size_t shard = kNone;
    if (!name.empty()) {
      const auto [at, is_new] = numbers.try_emplace(name, shards_.size());
      shard = at->second;
      if (is_new) add(name, static_cast<std::int64_t>(shard) % processes == process);
    }
    if (runs_.empty() || runs_.back().shard != shard)
      runs_.push_back({static_cast<std::int64_t>(i), shard});
  }
  used_ = std::vector<std::atomic<bool>>(shards_.size());
  if (std::ranges::any_of(shards_, [](const Shard& s) { return s.source != nullptr; }))
    thread_ = start_thread("that compares shards with their checksums", [this] { work(); });
}

void ShardVerifier::add(const std::string& name, bool mine) {
  Shard shard{.source = nullptr, .name = name, .sum = {}};
  if (const ShardSum* const sum = sum_next_to(name)) {
    const OpenedShard opened = open_shard(name);
    if (const std::string why = why_not_of_size(opened.shard->bytes(), *sum); !why.empty())
      throw SourceFailure(name, why + kAll);
    if (mine && !opened.shard->bytes().is_remote()) {
      shard.source = std::shared_ptr<const ByteSource>(opened.shard, &opened.shard->bytes());
      shard.sum = *sum;
    }
  }
  shards_.push_back(std::move(shard));
}

const ShardSum* ShardVerifier::sum_next_to(const std::string& shard) {
  try {
    sums_.add_next_to(shard);
  } catch (
      const NoSuchSource&) {  // asked for once: of() cannot tell it from one that lists nothing
    warned_ = true;
    return nullptr;
  }
  const ShardSum* const sum = sums_.of(shard);
  if (!sum && !std::exchange(warned_, true))
    log::warn(cat(shard, ": ", kShardSums,
                  " next to it does not list this shard: whether it is what was packed is not "
                  "known; of others like it nothing is said"));
  return sum;
}

ShardVerifier::~ShardVerifier() {
  ends_ = true;
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void ShardVerifier::throw_found() const {
  if (found_) throw SourceFailure(*found_);
}

void ShardVerifier::note_use(std::int64_t image) {
  if (is_found_) {
    const std::lock_guard lock(mutex_);
    throw_found();
  }
  if (!thread_.joinable()) return;
  const auto behind = std::ranges::upper_bound(runs_, image, {}, &Run::first);
  const std::size_t shard = std::prev(behind)->shard;
  if (shard == kNone || !shards_[shard].source || used_[shard].exchange(true)) return;
  const std::lock_guard lock(mutex_);
  waiting_.push_back(&shards_[shard]);
  changed_.notify_all();
}

std::int64_t ShardVerifier::unread() {
  const std::lock_guard lock(mutex_);
  throw_found();
  return left();
}

std::int64_t ShardVerifier::finish(const std::function<bool()>& stop) {
  constexpr std::chrono::milliseconds kLook(100);
  const auto is_done = [this] { return found_ || left() == 0; };
  std::unique_lock lock(mutex_);
  if (!is_done() && !std::exchange(announced_, true))
    log::info(cat("comparing ", plural(left(), "shard"), " with ", left() == 1 ? "its" : "their",
                  left() == 1 ? " checksum" : " checksums"));
  while (!changed_.wait_for(lock, kLook, is_done) && !(stop && stop())) continue;
  throw_found();
  return left();
}

void ShardVerifier::work() {
  std::unique_lock lock(mutex_);
  while (!ends_ && !found_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Shard& shard = *waiting_.front();
    waiting_.pop_front();
    reading_ = true;
    lock.unlock();
    verify(shard);
    lock.lock();
    reading_ = false;
    changed_.notify_all();
  }
}

void ShardVerifier::verify(const Shard& shard) {
  std::optional<SourceFailure> failure;
  try {
    const std::string why =
        why_not_as_packed(*shard.source, shard.sum, [this] { return ends_.load(); });
    if (!why.empty()) failure.emplace(shard.name, why + kAll);
  } catch (const SourceFailure& e) {
    failure = e;
  } catch (const std::exception& e) {
    failure.emplace(shard.name, e.what());
  }
  if (!failure) return;
  const std::lock_guard lock(mutex_);
  found_ = failure, is_found_ = true;
}

}  // namespace darknet
