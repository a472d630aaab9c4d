#include "core/for_each.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <cstring>
#include <vector>

#include "core/array_table.h"

namespace darknet {
namespace {

// Every index once, in bit-reversed order, downwards: upwards the last of 2k and 2k + 1 would stay
// the last, and who writes both go unnoticed.
void run_scattered(const HostGrid& grid, const HostFunctor& f) {
  const std::int64_t n = grid.rows * grid.columns;
  int bits = 0;
  while ((std::int64_t{1} << bits) < n) ++bits;
  for (std::int64_t k = (std::int64_t{1} << bits) - 1; k >= 0; --k) {
    std::int64_t i = 0;
    for (int b = 0; b < bits; ++b) i |= (k >> b & 1) << (bits - 1 - b);
    const std::int64_t row = i / grid.columns, column = i % grid.columns;
    if (i < n) f.loop(f.data, {row, row + 1, column, column + 1});
  }
}

void run_rows(const HostGrid& grid, const HostFunctor& f, std::int64_t begin, std::int64_t end) {
  if (begin < end) f.loop(f.data, {begin, end, 0, grid.columns});
}

void run_here(const Stream& s, const HostGrid& grid, const HostFunctor& f) {
  if (s.order == Order::scattered) return run_scattered(grid, f);
  const std::int64_t work = grid.rows * grid.columns * grid.grain;
  if (s.threads == 1 || work < kSerialBelow) return run_rows(grid, f, 0, grid.rows);
#if defined(_OPENMP)
  const int threads = s.threads > 1 ? s.threads : omp_get_max_threads();
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t team = omp_get_num_threads(), self = omp_get_thread_num();
    run_rows(grid, f, grid.rows * self / team, grid.rows * (self + 1) / team);
  }
#else
  run_rows(grid, f, 0, grid.rows);
#endif
}

}  // namespace

void run_on_host(const Stream& s, const HostGrid& grid, const HostFunctor& f) {
  if (s.device.type == DeviceType::cpu) return run_here(s, grid, f);
  std::vector<std::byte> functor(f.bytes);
  std::memcpy(functor.data(), f.data, f.bytes);
  launch_elsewhere(s, [order = s.order, grid, loop = f.loop, functor = std::move(functor)] {
    run_here({.order = order}, grid, {functor.data(), functor.size(), loop});
  });
}

std::vector<ArrayRow> rows_of(std::span<const std::int64_t> sizes) {
  std::vector<ArrayRow> rows;
  for (std::size_t entry = 0; entry < sizes.size(); ++entry)
    for (std::int64_t row = 0; row < chunks_of(sizes[entry], kArrayRow); ++row)
      rows.push_back({static_cast<std::int32_t>(entry), static_cast<std::int32_t>(row)});
  return rows;
}

}  // namespace darknet
