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
std::vector<std::int64_t> sizes_of(std::span<const Entry> entries) {
  std::vector<std::int64_t> sizes;
  for (const Entry& e : entries) sizes.push_back(e.n);
  return sizes;
}

// The entries, and where launches on another device than the CPU find them and the rows of blocks.
template <class Entry>
struct ArrayList {
  std::span<const Entry> entries;    // in host memory
  const Entry* on_device = nullptr;  // the same, in the memory of the stream's device
  const ArrayRow* rows = nullptr;    // likewise
  std::int64_t blocks = 0;           // how many rows
};

// A list that stays as it is, with its copy on the device.
template <class Entry>
class ArrayTable {
 public:
  ArrayTable() = default;
  // Waits for the copy.
  ArrayTable(const Stream& s, std::vector<Entry> entries) : entries_(std::move(entries)) {
    if (s.device.type == DeviceType::cpu || entries_.empty()) return;
    const std::vector<ArrayRow> rows = rows_of(sizes_of(std::span<const Entry>(entries_)));
    blocks_ = std::ssize(rows);
    on_device_ = copied(s, std::span<const Entry>(entries_));
    rows_ = copied(s, std::span<const ArrayRow>(rows));
  }

  std::int64_t size() const { return std::ssize(entries_); }
  ArrayList<Entry> list() const {
    const bool apart = on_device_.data() != nullptr;
    return {.entries = entries_,
            .on_device = apart ? static_cast<const Entry*>(on_device_.data()) : entries_.data(),
            .rows = static_cast<const ArrayRow*>(rows_.data()),
            .blocks = blocks_};
  }

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
  const auto known = f.prepare(entry, at.entry);
  const std::int64_t begin = at.row * kArrayRow;
  const std::int64_t end = begin + kArrayRow < entry.n ? begin + kArrayRow : entry.n;
  std::int64_t i = begin + threadIdx.x;
  if constexpr (requires { f.read(known, i); }) {
    constexpr int kAtOnce = 8;
    for (; i + (kAtOnce - 1) * kBlock < end; i += kAtOnce * kBlock) {
      decltype(f.read(known, i)) elements[kAtOnce];
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) elements[k] = f.read(known, i + k * kBlock);
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) f.write(known, i + k * kBlock, elements[k]);
    }
  }
  for (; i < end; i += kBlock) f(known, i);
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
    const auto known = all.f.prepare(all.entry, all.index);
    for (std::int64_t row = b.row; row < b.row_end; ++row) {
      const std::int64_t first = row * kArrayRow;
      const std::int64_t end = std::min(first + b.column_end, all.entry.n);
      if constexpr (requires { all.f.range(known, first, end); }) {
        if (first + b.column < end) all.f.range(known, first + b.column, end);
      } else {
#pragma omp simd
        for (std::int64_t i = first + b.column; i < end; ++i) all.f(known, i);
      }
    }
  }
};

// f(known, i) for every element i of every entry, with known = f.prepare(entry, its index): what a
// thread needs to know of an entry, which it asks for once. Where f has range(known, begin, end),
// which means the same for each of [begin, end), the host calls that. Where it has read(known, i)
// and write(known, i, what that gave), which mean the same as f(known, i), a GPU's thread reads
// several elements before it writes one: the arrays might overlap for all that the compiler knows.
template <class Entry, class F>
void for_each_array(const Stream& s, const ArrayList<Entry>& list, F f) {
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) {
    if (list.blocks == 0) return;
    arrays_kernel<<<static_cast<unsigned>(list.blocks), kBlock, 0,
                    static_cast<cudaStream_t>(s.native)>>>(list.on_device, list.rows, f);
    return check_launch();
  }
#endif
  for (std::int64_t k = 0; k < std::ssize(list.entries); ++k) {
    const Entry& entry = list.entries[to_size(k)];
    if (entry.n == 0) continue;
    using Loop = ArrayLoop<Entry, F>;
    const HostGrid grid{.rows = chunks_of(entry.n, kArrayRow),
                        .columns = std::min(entry.n, kArrayRow)};
    launch_on_host(s, grid, Loop{f, entry, k}, Loop::run);
  }
}
template <class Entry, class F>
void for_each_array(const Stream& s, const ArrayTable<Entry>& table, F f) {
  for_each_array(s, table.list(), f);
}

}  // namespace DN_TU
}  // namespace darknet
