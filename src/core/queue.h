// Hand-over between threads: a bounded queue of everything, and a slot that holds only the newest.
// Not for batches of training, whose parts are made by several threads (dataset/loader.h).
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace darknet {

// First in, first out. Once closed it takes nothing more and gives what is left.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room; false where the queue is closed.
  bool push(T item) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || items_.size() < capacity_; });
    if (closed_) return false;
    items_.push_back(std::move(item));
    changed_.notify_all();
    return true;
  }
  // Never waits: the oldest items make room. How many did; none where the queue is closed.
  std::optional<std::int64_t> push_newest(T item) {
    const std::lock_guard lock(mutex_);
    if (closed_) return std::nullopt;
    std::int64_t dropped = 0;
    for (; items_.size() >= capacity_; ++dropped) items_.pop_front();
    items_.push_back(std::move(item));
    changed_.notify_all();
    return dropped;
  }
  // Waits for an item; none once the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !items_.empty(); });
    return take();
  }
  // The same, waiting no longer than `max`.
  std::optional<T> pop_within(std::chrono::milliseconds max) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, max, [&] { return closed_ || !items_.empty(); });
    return take();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool finished() const {  // closed, and nothing left
    const std::lock_guard lock(mutex_);
    return closed_ && items_.empty();
  }

 private:
  std::optional<T> take() {  // under the lock
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.notify_all();
    return item;
  }
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

// The newest value of something that changes, for any number of readers, each at its own pace: the
// writer never waits for them. Shared, because a reader may still hold what the writer replaced.
template <class T>
class Latest {
 public:
  struct Reading {
    std::shared_ptr<const T> value;  // null: none yet, or closed
    std::uint64_t version = 0;       // counted from 1
  };

  void put(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    reading_.value = std::move(value);
    ++reading_.version;
    changed_.notify_all();
  }
  Reading get() const {
    const std::lock_guard lock(mutex_);
    return reading_;
  }
  // What came after `seen`, waiting no longer than `max`; a null value where nothing did.
  Reading newer_than(std::uint64_t seen, std::chrono::milliseconds max) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, max, [&] { return closed_ || reading_.version > seen; });
    return reading_.version > seen ? reading_ : Reading{nullptr, seen};
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Reading reading_;
  bool closed_ = false;
};

}  // namespace darknet
