// Launches: the only loops over elements, with those of core/elementwise.h and core/array_table.h.
// On the CPU they are loops that several threads share, on CUDA kernels; the functor is the same.
// Call them from files of layers/ and kernels/ that include one of these headers, and from
// core/copy.cpp: nvcc compiles those in a CUDA build, and elsewhere a call is an error. A functor
// writes its own index's elements and reads nothing that others write.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "core/device.h"
#include "core/error.h"
#include "core/hd.h"
#include "core/tensor.h"

namespace darknet {

inline constexpr std::int64_t kSerialBelow = 8192;  // fewer elements than this do not pay a team
inline constexpr std::int64_t kReduceChunk =
    4096;                           // elements summed by one index of reduce(), at most
inline constexpr int kBlock = 256;  // CUDA: threads of a block
inline constexpr std::int64_t kManyBlocks = 512;  // CUDA: as many keep a large card busy
// Elements of one launch: 32 bits count them. A GPU divides 64-bit numbers many times slower.
inline constexpr std::int64_t kMaxAtOnce = std::int64_t{1} << 31;

inline std::int64_t chunks_of(std::int64_t n, std::int64_t chunk) {
  return (n + chunk - 1) / chunk;
}

// CUDA: what a block of reduce() sums, so that there are many blocks, and work for all its threads.
inline std::int64_t reduce_chunk_cuda(std::int64_t n) {
  return std::clamp(chunks_of(n, kManyBlocks), std::int64_t{kBlock}, kReduceChunk);
}
// Bytes of device memory that reduce<T>() over n elements needs as scratch.
template <class T>
std::int64_t reduce_scratch(std::int64_t n) {
  return chunks_of(n, reduce_chunk_cuda(n)) * static_cast<std::int64_t>(sizeof(T));
}

// Indices [row, row_end) x [column, column_end).
struct IndexBlock {
  std::int64_t row = 0, row_end = 0, column = 0, column_end = 0;
};
// Carries out a functor of a type that it knows for every index of a block.
using HostLoop = void (*)(const void* functor, const IndexBlock&);

struct HostGrid {
  std::int64_t rows = 0, columns = 1;
  std::int64_t grain = 1;  // elements of work behind one index
};
struct HostFunctor {
  const void* data = nullptr;
  std::size_t bytes = 0;  // trivially copyable
  HostLoop loop = nullptr;
};
// What all launches of the host have in common, compiled once: threads take rows, one thread alone
// takes all of them where the work is little, and Order::scattered takes every index by itself.
void run_on_host(const Stream&, const HostGrid&, const HostFunctor&);

inline namespace DN_TU {

#if defined(__CUDACC__)
inline unsigned launch_grid(std::int64_t n, std::int64_t block) {
  const std::int64_t grid = chunks_of(n, block);
  return static_cast<unsigned>(grid < 65535 ? grid : 65535);
}

// n + step fits: a launch has fewer than 2^24 threads.
template <class F>
__global__ void for_each_kernel(std::int64_t begin, std::uint32_t n, F f) {
  const std::uint32_t step = gridDim.x * blockDim.x;
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) f(begin + i);
}

inline void check_launch() {
  if (const cudaError_t e = cudaGetLastError(); e != cudaSuccess)
    fail("launch: ", cudaGetErrorString(e));
}

template <class F>
void for_each_cuda(const Stream& s, std::int64_t n, F f) {
  const auto stream = static_cast<cudaStream_t>(s.native);
  for (std::int64_t begin = 0; begin < n; begin += kMaxAtOnce) {
    const std::int64_t count = std::min(kMaxAtOnce, n - begin);
    for_each_kernel<<<launch_grid(count, kBlock), kBlock, 0, stream>>>(
        begin, static_cast<std::uint32_t>(count), f);
    check_launch();
  }
}

// The sum of what every thread of a block brings, in a fixed order; thread 0 gets it.
template <class T>
__device__ T block_sum(const T& mine) {
  static_assert(sizeof(T) * kBlock <= 48 << 10, "a block has 48 KiB of shared memory");
  __shared__ alignas(T) unsigned char raw[sizeof(T) * kBlock];  // T may have a constructor
  T* const sums = reinterpret_cast<T*>(raw);
  sums[threadIdx.x] = mine;
  for (unsigned half = kBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[threadIdx.x];
}

template <class T, class F>
__global__ void sum_chunk_kernel(std::int64_t n, std::int64_t chunk, F f, T* partial) {
  const std::int64_t begin = blockIdx.x * chunk;  // a block per chunk
  const std::int64_t end = begin + chunk < n ? begin + chunk : n;
  T mine{};
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kBlock) mine += f(i);
  const T sum = block_sum(mine);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class T>
__global__ void fold_kernel(const T* partial, std::int64_t chunks, T* out) {  // one block
  T mine{};
  for (std::int64_t i = threadIdx.x; i < chunks; i += kBlock) mine += partial[i];
  const T sum = block_sum(mine);
  if (threadIdx.x == 0) *out = sum;
}

template <class T, class F>
void reduce_cuda(const Stream& s, std::int64_t n, F f, T* out, T* partial) {
  const auto stream = static_cast<cudaStream_t>(s.native);
  const std::int64_t chunk = reduce_chunk_cuda(n), chunks = chunks_of(n, chunk);
  if (chunks > 0)
    sum_chunk_kernel<<<static_cast<unsigned>(chunks), kBlock, 0, stream>>>(n, chunk, f, partial);
  fold_kernel<<<1, kBlock, 0, stream>>>(partial, chunks, out);
  check_launch();
}

// How the threads of a launch share pixels and groups of channels. A block is `columns` threads
// wide, each with a group of its own, and has as many rows of pixels as that leaves.
struct PixelGrid {
  std::int64_t pixels = 0, groups = 0;
  unsigned log2_columns = 0;
  unsigned column_blocks = 1, row_blocks = 1;  // of the launch

  PixelGrid(std::int64_t pixel_count, std::int64_t group_count)
      : pixels(pixel_count), groups(group_count) {
    // The widest that leaves at most a quarter of the threads without a group.
    std::int64_t columns = kBlock;
    while (columns > 1 && chunks_of(groups, columns) * columns * 3 > groups * 4) columns /= 2;
    while (columns >> log2_columns > 1) ++log2_columns;
    const std::int64_t across = chunks_of(groups, columns);
    const std::int64_t down = chunks_of(pixels, kBlock / columns);
    // Several pixels for each thread, but blocks enough for a large card.
    constexpr std::int64_t kPixelsPerThread = 8, kMinBlocks = 1024, kMaxBlocks = 4096;
    const std::int64_t total = std::clamp(across * down / kPixelsPerThread, kMinBlocks, kMaxBlocks);
    column_blocks = static_cast<unsigned>(across);
    row_blocks = static_cast<unsigned>(std::clamp<std::int64_t>(total / across, 1, down));
  }
  dim3 blocks() const { return {column_blocks, row_blocks}; }

  // Of the calling thread.
  __device__ unsigned rows() const { return static_cast<unsigned>(kBlock) >> log2_columns; }
  __device__ unsigned row() const { return threadIdx.x >> log2_columns; }
  __device__ unsigned column() const { return threadIdx.x & ((1u << log2_columns) - 1); }
  __device__ std::int64_t group() const {
    return (std::int64_t{blockIdx.x} << log2_columns) + column();
  }
  __device__ std::int64_t first_pixel() const { return std::int64_t{blockIdx.y} * rows() + row(); }
  __device__ std::int64_t step() const { return std::int64_t{gridDim.y} * rows(); }
};

// Threads keep their channel and walk the pixels, so that nothing is divided per element.
template <class F>
__global__ void for_each_pixel_kernel(PixelGrid grid, F f) {
  const std::int64_t channel = grid.group(), step = grid.step();
  if (channel >= grid.groups) return;
  for (std::int64_t p = grid.first_pixel(); p < grid.pixels; p += step) f(p, channel);
}

template <class F>
void for_each_pixel_cuda(const Stream& s, const Shape& shape, F f) {
  const PixelGrid grid(shape.pixels(), shape.c);
  for_each_pixel_kernel<<<grid.blocks(), kBlock, 0, static_cast<cudaStream_t>(s.native)>>>(grid, f);
  check_launch();
}
#endif

// The loops of the host. Each copies its functor, so that the compiler knows that nothing else
// changes it.

// f(i) for every row i of the block.
template <class F>
struct IndexLoop {
  static void run(const void* functor, const IndexBlock& b) {
    const F f = *static_cast<const F*>(functor);
    for (std::int64_t i = b.row; i < b.row_end; ++i) f(i);
  }
};

// f(pixel, channel) for every pixel (row) and channel (column) of the block.
template <class F>
struct PixelLoop {
  static void run(const void* functor, const IndexBlock& b) {
    const F f = *static_cast<const F*>(functor);
    for (std::int64_t p = b.row; p < b.row_end; ++p) {
#pragma omp simd
      for (std::int64_t c = b.column; c < b.column_end; ++c) f(p, c);
    }
  }
};

template <class F>
void run_on_host(const Stream& s, const HostGrid& grid, const F& f, HostLoop loop) {
  static_assert(std::is_trivially_copyable_v<F>, "a functor holds PODs and Views");
  run_on_host(s, grid, {&f, sizeof f, loop});
}

// The same for a launch. What nvcc does not compile could not launch on a GPU, which only a run
// there would find.
template <class F>
void launch_on_host(const Stream& s, const HostGrid& grid, const F& f, HostLoop loop) {
#if !defined(DARKNET_LAUNCHES)  // of the targets that CMakeLists.txt lets launch
  static_assert(sizeof(F) == 0,
                "a launch in a file that nvcc does not compile in a CUDA build: move it to one of "
                "src/layers/ or src/kernels/ that includes core/for_each.h, core/elementwise.h or "
                "core/array_table.h itself");
#endif
  run_on_host(s, grid, f, loop);
}

// f(i) for every i in [0, n), in any order, possibly all at once.
template <class F>
void for_each(const Stream& s, std::int64_t n, F f) {
  if (n <= 0) return;
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) return for_each_cuda(s, n, f);
#endif
  launch_on_host(s, {.rows = n}, f, IndexLoop<F>::run);
}

// f(pixel, channel) for every pixel = (n*h + y)*w + x and channel of `shape`. On the CPU channels
// are the innermost, vectorised loop, so f should be free of branches that differ by channel.
template <class F>
void for_each_pixel(const Stream& s, const Shape& shape, F f) {
  const std::int64_t pixels = shape.pixels();
  if (pixels <= 0 || shape.c <= 0) return;
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) return for_each_pixel_cuda(s, shape, f);
#endif
  launch_on_host(s, {.rows = pixels, .columns = shape.c}, f, PixelLoop<F>::run);
}

template <class T, class F>
struct ReduceChunk {
  F f;
  std::int64_t n;
  T* partial;
  DN_HD void operator()(std::int64_t chunk) const {
    const std::int64_t begin = chunk * kReduceChunk;
    const std::int64_t end = begin + kReduceChunk < n ? begin + kReduceChunk : n;
    T sum{};
    for (std::int64_t i = begin; i < end; ++i) sum += f(i);
    partial[chunk] = sum;
  }
};

template <class T>
struct ReduceFold {
  const T* partial;
  std::int64_t chunks;
  T* out;
  DN_HD void operator()(std::int64_t) const {
    T sum{};
    for (std::int64_t k = 0; k < chunks; ++k) sum += partial[k];
    *out = sum;
  }
};

// *out = f(0) + f(1) + ... + f(n - 1), added in an order that depends on n and the device type
// alone. T is a POD with operator+= that value-initialises to zero; `out` and `scratch` are device
// memory.
template <class T, class F>
void reduce(const Stream& s, std::int64_t n, F f, T* out, void* scratch) {
  T* const partial = static_cast<T*>(scratch);
  const std::int64_t chunks = chunks_of(n, kReduceChunk);
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) return reduce_cuda(s, n, f, out, partial);
#endif
  const ReduceChunk<T, F> chunk{f, n, partial};
  if (chunks > 0)
    launch_on_host(s, {.rows = chunks, .grain = kReduceChunk}, chunk,
                   IndexLoop<ReduceChunk<T, F>>::run);
  for_each(s, 1, ReduceFold<T>{partial, chunks, out});
}

}  // namespace DN_TU
}  // namespace darknet
