#include "dataset/shard_verifier.h"

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/start_thread.h"
#include "core/tar_shard.h"
#include "dataset/shard_list.h"

namespace darknet {
namespace {

constexpr const char* kAll = "; darknet data check names all shards that are not what was packed";

}  // namespace

ShardVerifier::ShardVerifier(const ImagePaths& images, std::int64_t process,
                             std::int64_t processes) {
  ShardOfPath shard_of;
  std::string last;
  std::int64_t number = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const bool may_be_in_one = images.text(i).find(".tar/") != std::string_view::npos;
    const std::string shard = may_be_in_one ? shard_of(images[i]) : "";
    if (i > 0 && shard == last) continue;
    last = shard;
    add(shard, static_cast<std::int64_t>(i), !shard.empty() && number++ % processes == process);
  }
  used_ = std::vector<std::atomic<bool>>(shards_.size());
  if (std::ranges::any_of(shards_, [](const Shard& s) { return s.source != nullptr; }))
    thread_ = start_thread("that compares shards with their checksums", [this] { work(); });
}

// Images that lie in no shard are one without a name.
void ShardVerifier::add(const std::string& name, std::int64_t first, bool mine) {
  Shard shard{.first = first, .source = nullptr, .name = name, .sum = {}};
  if (const ShardSum* const sum = name.empty() ? nullptr : sum_next_to(name)) {
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
  } catch (const NoSuchSource&) {
    return nullptr;
  } catch (const SourceFailure&) {
    if (!is_url(shard)) throw;
    return nullptr;  // object stores refuse what they do not have
  }
  return sums_.of(shard);
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

void ShardVerifier::uses(std::int64_t image) {
  if (is_found_) {
    const std::lock_guard lock(mutex_);
    throw_found();
  }
  const auto behind = std::ranges::upper_bound(shards_, image, {}, &Shard::first);
  const auto shard = std::prev(behind);  // the first begins with image 0
  if (!shard->source || used_[to_size(shard - shards_.begin())].exchange(true)) return;
  const std::lock_guard lock(mutex_);
  waiting_.push_back(&*shard);
  changed_.notify_all();
}

void ShardVerifier::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return found_ || (waiting_.empty() && !reading_); });
  throw_found();
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
