// Makes items 0, 1, 2, ... ahead of their use, by threads, into a bounded queue; the pieces of an
// item are made by several threads at once. A Source defines what the items are.
#pragma once
#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/index.h"
#include "core/start_thread.h"
#include "core/threads.h"

namespace darknet {

// A Source has
//   using Item = ...;                            // its memory is used again for a later item
//   std::int64_t pieces(std::int64_t k) const;   // of item k; 0: the items end before it
//   void prepare(std::int64_t k, Item&) const;   // before the pieces
//   void make_piece(Item&, std::int64_t i) const;
// and calls of the last may come from several threads at once.
template <class Source>
class Prefetcher {
 public:
  using Item = typename Source::Item;

  // `source` outlives this. `first`: the item that next() returns first. `threads`: 0: one per
  // core. `purpose` of the threads completes an error message: "that reads images".
  Prefetcher(const Source& source, std::int64_t first, int threads, const std::string& purpose);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next item, waiting for it; null where the items end. Throws what went wrong while making
  // it, again with each call. The item stays valid until the following call. `look` is given each
  // item once and first, also one that failed, as far as it was made; it may throw as well.
  template <class Look>
  const Item* next(Look look);

 private:
  static constexpr std::int64_t kDepth = 3;  // one item in use, the others in the making
  struct Slot {                              // an item in the making
    Item item;
    std::int64_t index = -1, done = 0;  // pieces
    std::exception_ptr failure;
    std::int64_t failed_at = 0;
    bool looked_at = false;
  };
  Slot& slot(std::int64_t k) { return slots_[to_size(k % kDepth)]; }
  void run();
  bool take(std::int64_t& item, std::int64_t& piece);

  const Source& source_;
  std::array<Slot, kDepth> slots_;
  std::mutex mutex_;
  std::condition_variable work_, ready_;
  bool stop_ = false;
  std::int64_t consumed_;                 // items before this one were given back
  bool lent_ = false;                     // the user holds item `consumed_`
  std::int64_t making_, next_piece_ = 0;  // the item and its piece to be made next
  std::vector<std::thread> threads_;
};

template <class Source>
Prefetcher<Source>::Prefetcher(const Source& source, std::int64_t first, int threads,
                               const std::string& purpose)
    : source_(source), consumed_(first), making_(first) {
  const auto work = [this] { run(); };
  threads_ = start_threads(threads > 0 ? threads : core_count(), work);
  if (threads_.empty()) threads_.push_back(start_thread(purpose, work));
}

template <class Source>
Prefetcher<Source>::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& t : threads_) t.join();
}

// Under the lock: the next piece to make; false where the queue is full or the work is done, or
// where an item cannot even be begun (its sizes, its memory).
template <class Source>
bool Prefetcher<Source>::take(std::int64_t& item, std::int64_t& piece) {
  if (making_ >= consumed_ + kDepth || source_.pieces(making_) == 0) return false;
  Slot& s = slot(making_);
  if (next_piece_ == 0) try {
      s.failure = nullptr, s.looked_at = false, s.done = 0, s.index = making_;
      source_.prepare(making_, s.item);
    } catch (...) {
      s.failure = std::current_exception(), s.done = source_.pieces(making_++);
      ready_.notify_all();
      return false;
    }
  item = making_, piece = next_piece_++;
  if (next_piece_ == source_.pieces(item)) ++making_, next_piece_ = 0;
  return true;
}

template <class Source>
void Prefetcher<Source>::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::int64_t k = 0, i = 0;
    work_.wait(lock, [&] { return stop_ || take(k, i); });
    if (stop_) return;
    Slot& s = slot(k);
    lock.unlock();
    std::exception_ptr failure;
    try {
      source_.make_piece(s.item, i);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && (!s.failure || i < s.failed_at)) s.failure = failure, s.failed_at = i;
    if (++s.done == source_.pieces(k)) ready_.notify_all();
  }
}

template <class Source>
template <class Look>
auto Prefetcher<Source>::next(Look look) -> const Item* {
  std::unique_lock lock(mutex_);
  if (lent_) ++consumed_;
  lent_ = false;
  work_.notify_all();
  const std::int64_t k = consumed_;
  if (source_.pieces(k) == 0) return nullptr;
  Slot& s = slot(k);
  ready_.wait(lock, [&] { return s.index == k && s.done == source_.pieces(k); });
  if (!std::exchange(s.looked_at, true)) try {
      look(static_cast<const Item&>(s.item));
    } catch (...) {
      s.failure = std::current_exception();
    }
  if (s.failure) std::rethrow_exception(s.failure);
  lent_ = true;
  return &s.item;
}

}  // namespace darknet
