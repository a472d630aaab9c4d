// A long list of short lists, such as the ground truths of every image of a data set, in two blocks
// of memory: a vector of vectors takes several times as much.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace darknet {

// Copies share their memory, because a trainer, its loader and an evaluation hold the same lists; a
// copy that is added to gets its own, and so does a list of which copies were made: whether another
// thread still reads one of them cannot be asked. As safe between threads as a vector.
template <class T>
class PackedLists {
 public:
  PackedLists() = default;
  PackedLists(const PackedLists& other) : data_(other.shared()) {}
  PackedLists& operator=(const PackedLists& other) {
    if (this != &other) data_ = other.shared();
    return *this;
  }
  PackedLists(PackedLists&&) noexcept = default;
  PackedLists& operator=(PackedLists&&) noexcept = default;
  ~PackedLists() = default;

  std::size_t size() const { return data_ ? data_->ends.size() : 0; }
  bool empty() const { return size() == 0; }
  // Valid until the next push_back.
  std::span<const T> operator[](std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : data_->ends[i - 1];
    return {data_->elements.data() + begin, data_->ends[i] - begin};
  }
  void push_back(std::span<const T> list) {
    Data& mine = own();
    mine.elements.insert(mine.elements.end(), list.begin(), list.end());
    mine.ends.push_back(mine.elements.size());
  }
  // Room for so many lists, with so many elements in all of them.
  void reserve(std::size_t lists, std::size_t elements) {
    own().ends.reserve(lists), own().elements.reserve(elements);
  }
  void shrink_to_fit() { own().ends.shrink_to_fit(), own().elements.shrink_to_fit(); }

  class Iterator {
   public:
    using value_type = std::span<const T>;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const PackedLists* lists, std::size_t i) : lists_(lists), i_(i) {}
    std::span<const T> operator*() const { return (*lists_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    Iterator operator++(int) { return {lists_, i_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const PackedLists* lists_ = nullptr;
    std::size_t i_ = 0;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  struct Data {
    std::vector<T> elements;
    std::vector<std::size_t> ends;     // of each list, in `elements`
    std::atomic<bool> shared = false;  // by now or once; several threads may copy one list
  };
  std::shared_ptr<Data> shared() const {
    if (data_) data_->shared.store(true, std::memory_order_relaxed);
    return data_;
  }
  Data& own() {
    if (data_ && !data_->shared.load(std::memory_order_relaxed)) return *data_;
    const std::shared_ptr<Data> before = std::exchange(data_, std::make_shared<Data>());
    if (before) data_->elements = before->elements, data_->ends = before->ends;
    return *data_;
  }
  std::shared_ptr<Data> data_;
};

}  // namespace darknet
