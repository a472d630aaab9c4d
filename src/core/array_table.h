// One launch over many arrays, as over all parameters of a network: on a GPU a single kernel walks
// them, whatever their number. An entry is a POD with the arrays' length `n`. Call it from where
// for_each() is called.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>
#include "core/for_each.h"
#include "core/index.h"

namespace darknet {

inline constexpr std::int64_t kArrayRow = 4096;  // elements of one entry that a block takes

// Which part of which entry a block of threads takes.
struct ArrayRow {
  std::int32_t entry = 0, row = 0;
};
std::vector<ArrayRow> rows_of(std::span<const std::int64_t> sizes);

template <class Entry>
class ArrayTable {
 public:
  ArrayTable() = default;
  // Copies the list to the device, if that is not the CPU, and waits for the copy.
  ArrayTable(const Stream& s, std::vector<Entry> entries) : entries_(std::move(entries)) {
    if (s.device.type == DeviceType::cpu || entries_.empty()) return;
    std::vector<std::int64_t> sizes;
    for (const Entry& e : entries_) sizes.push_back(e.n);
    const std::vector<ArrayRow> rows = rows_of(sizes);
    blocks_ = std::ssize(rows);
    on_device_ = copied(s, std::span<const Entry>(entries_));
    rows_ = copied(s, std::span<const ArrayRow>(rows));
  }

  std::int64_t size() const { return std::ssize(entries_); }
  std::span<const Entry> entries() const { return entries_; }
  std::int64_t bytes() const { return on_device_.bytes() + rows_.bytes(); }

  // Where launches read the entries, and the rows of blocks.
  const Entry* list() const {
    return on_device_.data() ? static_cast<const Entry*>(on_device_.data()) : entries_.data();
  }
  const ArrayRow* rows() const { return static_cast<const ArrayRow*>(rows_.data()); }
  std::int64_t blocks() const { return blocks_; }

 private:
  template <class T>
  static Buffer copied(const Stream& s, std::span<const T> list) {
    Buffer buffer(s.device, static_cast<std::int64_t>(list.size_bytes()));
    Memory& device = memory(s.device.type);
    device.copy_in(s, buffer.data(), list.data(), list.size_bytes());
    device.synchronize(s);
    return buffer;
  }

  std::vector<Entry> entries_;
  Buffer on_device_, rows_;
  std::int64_t blocks_ = 0;
};

inline namespace DN_TU {

#if defined(__CUDACC__)
template <class Entry, class F>
__global__ void arrays_kernel(const Entry* entries, const ArrayRow* rows, F f) {
  const ArrayRow at = rows[blockIdx.x];
  const Entry entry = entries[at.entry];
  const auto known = f.begin(entry, at.entry);
  const std::int64_t begin = at.row * kArrayRow;
  const std::int64_t end = begin + kArrayRow < entry.n ? begin + kArrayRow : entry.n;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kBlock) f(known, i);
}
#endif

// The elements of one entry on the host.
template <class Entry, class F>
struct ArrayLoop {
  F f;
  Entry entry;
  std::int64_t index;
  static void run(const void* functor, const IndexBlock& b) {
    const ArrayLoop all = *static_cast<const ArrayLoop*>(functor);
    const auto known = all.f.begin(all.entry, all.index);
    for (std::int64_t row = b.row; row < b.row_end; ++row) {
      const std::int64_t first = row * kArrayRow;
      const std::int64_t end = std::min(first + b.column_end, all.entry.n);
#pragma omp simd
      for (std::int64_t i = first + b.column; i < end; ++i) all.f(known, i);
    }
  }
};

// f(known, i) for every element i of every entry, with known = f.begin(entry, its index): what a
// thread needs to know of an entry, which it asks for once.
template <class Entry, class F>
void for_each_array(const Stream& s, const ArrayTable<Entry>& table, F f) {
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) {
    if (table.blocks() == 0) return;
    arrays_kernel<<<static_cast<unsigned>(table.blocks()), kBlock, 0,
                    static_cast<cudaStream_t>(s.native)>>>(table.list(), table.rows(), f);
    return check_launch();
  }
#endif
  for (std::int64_t k = 0; k < table.size(); ++k) {
    const Entry& entry = table.entries()[to_size(k)];
    if (entry.n == 0) continue;
    using Loop = ArrayLoop<Entry, F>;
    const HostGrid grid{.rows = chunks_of(entry.n, kArrayRow),
                        .columns = std::min(entry.n, kArrayRow)};
    run_on_host(s, grid, Loop{f, entry, k}, Loop::run);
  }
}

}  // namespace DN_TU
}  // namespace darknet
