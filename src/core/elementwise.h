// Launches over all elements of tensors of one shape, where an element depends on nothing but the
// elements at its place and values of its channel: map_pixels() writes one, reduce_channels() sums
// them. F is a functor over floats,
//   float operator()(float x...) const, or of reduce_channels Sums<K>, and where values of the
//   channel are needed
//   Channel channel(std::int64_t c) const   and   operator()(const Channel&, float x...) const.
// A GPU's thread asks for the values of its channels once and then walks the pixels, 16 bytes at a
// time where the tensors allow it. Call them from where for_each() is called.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include "core/for_each.h"

namespace darknet {

inline constexpr std::int64_t kChannelChunk = 256;    // pixels summed at a time
inline constexpr std::int64_t kMinChannelChunk = 32;  // CUDA: the same, at least

// K sums that travel together, e.g. a gradient and its product with the input.
template <int K>
struct Sums {
  float v[K] = {};
};

// Functors that several launches share.
struct Plus {
  DN_HD float operator()(float a, float b) const { return a + b; }
};
struct SumOfValues {
  DN_HD Sums<1> operator()(float x) const { return {{x}}; }
};
struct AddTo {  // finishes reduce_channels(): to[channel] += its sum
  float* to;
  DN_HD void operator()(std::int64_t channel, const double* sums) const {
    to[channel] += static_cast<float>(sums[0]);
  }
};

// CUDA: pixels that a block of reduce_channels() sums, so that there are many blocks, but no more
// partial sums than are quickly added up.
inline std::int64_t channel_chunk_cuda(std::int64_t pixels) {
  return std::max(kMinChannelChunk, chunks_of(pixels, kManyBlocks));
}
// Bytes of device memory that reduce_channels<K>() needs as scratch.
inline std::int64_t reduce_channels_scratch(const Shape& s, int k) {
  const std::int64_t chunk = std::min(kChannelChunk, channel_chunk_cuda(s.pixels()));
  return chunks_of(s.pixels(), chunk) * s.c * k * std::int64_t{sizeof(float)};
}

// A tensor as an input of the launches below.
template <class T>
View<const T> input(const TensorView& t) {
  return t.as<T>();
}

inline namespace DN_TU {

template <class F>
concept HasChannel = requires(const F& f) {
  f.channel(0);
};

struct NoChannel {};

template <class F>
DN_HD auto channel_of(const F& f, std::int64_t c) {
  if constexpr (HasChannel<F>)
    return f.channel(c);
  else
    return NoChannel{};
}

template <class F, class Channel, class... X>
DN_HD auto value_of(const F& f, const Channel& channel, X... x) {
  if constexpr (HasChannel<F>)
    return f(channel, x...);
  else
    return f(x...);
}

// Consecutive channels of a pixel, which are read and written as one.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vec {
  T v[N];
  DN_HD T& operator[](int k) { return v[k]; }
  DN_HD const T& operator[](int k) const { return v[k]; }
};

template <int N, class T>
DN_HD Vec<std::remove_const_t<T>, N> load_vec(const View<T>& of, std::int64_t pixel,
                                              std::int64_t c) {
  Vec<std::remove_const_t<T>, N> x;
  const T* const from = &of.at(pixel, c);
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof x % sizeof(uint4) == 0) {  // by its type nvcc knows that it is one access
    uint4 words[sizeof x / sizeof(uint4)];
#pragma unroll
    for (int k = 0; k < sizeof x / sizeof(uint4); ++k)
      words[k] = reinterpret_cast<const uint4*>(from)[k];
    memcpy(&x, words, sizeof x);
  } else {
    x = *reinterpret_cast<const decltype(x)*>(from);
  }
#else
  std::memcpy(&x, from, sizeof x);
#endif
  return x;
}

template <int N, class T>
DN_HD void store_vec(const View<T>& to, std::int64_t pixel, std::int64_t c, const Vec<T, N>& x) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<Vec<T, N>*>(&to.at(pixel, c)) = x;
#else
  std::memcpy(&to.at(pixel, c), &x, sizeof x);
#endif
}

template <class To, class From, int N>
DN_HD Vec<To, N> convert_each(const Vec<From, N>& from) {
  Vec<To, N> to;
  for (int k = 0; k < N; ++k)
    if constexpr (std::is_integral_v<To>)
      to[k] = static_cast<To>(from[k]);
    else
      to[k] = from[k];
  return to;
}

// A GPU handles 16-bit elements two at a time, where it has fewer instructions for it.
template <class To, int N>
DN_HD Vec<To, N> round_in_pairs(const Vec<float, N>& from) {
  std::uint32_t words[N / 2];
  for (int k = 0; k < N / 2; ++k) words[k] = To::pair(from[2 * k], from[2 * k + 1]);
  Vec<To, N> to;
  memcpy(&to, words, sizeof to);
  return to;
}
template <int N>
DN_HD Vec<float, N> widen_in_pairs(const Vec<BF16, N>& from) {
  std::uint32_t words[N / 2];
  memcpy(words, &from, sizeof from);
  Vec<float, N> to;
  for (int k = 0; k < N / 2; ++k) {
    to[2 * k] = half_bits::as_float(words[k] << 16);
    to[2 * k + 1] = half_bits::as_float(words[k] & 0xFFFF0000u);
  }
  return to;
}

template <class To, class From, int N>
DN_HD Vec<To, N> convert(const Vec<From, N>& from) {
#if defined(__CUDA_ARCH__)
  constexpr bool kPairs = N % 2 == 0;
#else
  constexpr bool kPairs = false;  // would keep GCC from vectorising
#endif
  constexpr bool kRounds = std::is_same_v<To, F16> || std::is_same_v<To, BF16>;
  if constexpr (std::is_same_v<To, From>)
    return from;
  else if constexpr (kPairs && kRounds && std::is_same_v<From, float>)
    return round_in_pairs<To>(from);
  else if constexpr (kPairs && std::is_same_v<To, float> && std::is_same_v<From, BF16>)
    return widen_in_pairs(from);
  else
    return convert_each<To>(from);
}

// Channels of one thread of a GPU: 16 bytes of the narrowest type.
template <class... T>
constexpr int kVecWidth = 16 / std::min({sizeof(T)...});

#if defined(__CUDACC__)
// Whether N channels of every pixel may be read as one.
template <int N, class T>
bool vectorizes(const View<T>& v) {
  return v.shape.c % N == 0 && v.pixel_stride % N == 0 &&
         reinterpret_cast<std::uintptr_t>(v.data) % alignof(Vec<std::remove_const_t<T>, N>) == 0;
}

// launch(std::integral_constant<int, N>), or with 1 where a tensor does not allow N.
template <int N, class Launch, class... T>
void with_width(Launch launch, const View<T>&... views) {
  if ((vectorizes<N>(views) && ...))
    launch(std::integral_constant<int, N>{});
  else
    launch(std::integral_constant<int, 1>{});
}

template <int N, class F>
__global__ void for_each_vec_kernel(PixelGrid grid, F f) {
  const std::int64_t group = grid.group(), step = grid.step();
  if (group >= grid.groups) return;
  for (std::int64_t p = grid.first_pixel(); p < grid.pixels; p += step)
    f.template run<N>(p, group * N);
}

template <int N, class F>
struct Channels {  // what a thread knows of its channels
  decltype(channel_of(std::declval<F>(), 0)) v[N];
  __device__ Channels(const F& f, std::int64_t first) : Channels(f, first, Indices{}) {}

 private:
  using Indices = std::make_integer_sequence<int, N>;
  template <int... k>
  __device__ Channels(const F& f, std::int64_t first, std::integer_sequence<int, k...>)
      : v{channel_of(f, first + k)...} {}
};

template <int N, class F, class To, class... From>
__global__ void map_kernel(PixelGrid grid, F f, View<To> out, View<const From>... in) {
  const std::int64_t c = grid.group() * N, step = grid.step();
  if (c >= out.shape.c) return;
  const Channels<N, F> channels(f, c);
  const auto map = [&](const auto... x) {
    Vec<float, N> y;
#pragma unroll
    for (int k = 0; k < N; ++k) y[k] = value_of(f, channels.v[k], x[k]...);
    return convert<To>(y);
  };
  for (std::int64_t p = grid.first_pixel(); p < grid.pixels; p += step)
    store_vec<N>(out, p, c, map(convert<float>(load_vec<N>(in, p, c))...));
}

// The elements of a dense tensor, N to a pixel.
template <int N, class T>
View<T> in_groups(const View<T>& v) {
  return {v.data, {1, 1, v.shape.size() / N, N}, N};
}

template <class F, class To, class... From>
void map_pixels_cuda(const Stream& s, F f, const View<To>& out, const View<const From>&... in) {
  // Where F does not use the channel, a dense tensor is read as groups of N elements, even if its
  // channels are no multiple of N.
  if constexpr (constexpr int kN = kVecWidth<To, From...>; !HasChannel<F>) {
    const auto dense = [](const auto& v) { return v.pixel_stride == v.shape.c; };
    if (out.shape.c % kN != 0 && out.shape.size() % kN == 0 && dense(out) && (dense(in) && ...))
      return map_pixels_cuda(s, f, in_groups<kN>(out), in_groups<kN>(in)...);
  }
  const auto launch = [&](auto n) {
    constexpr int kN = decltype(n)::value;
    const PixelGrid grid(out.shape.pixels(), out.shape.c / kN);
    map_kernel<kN>
        <<<grid.blocks(), kBlock, 0, static_cast<cudaStream_t>(s.native)>>>(grid, f, out, in...);
    check_launch();
  };
  with_width<kVecWidth<To, From...>>(launch, out, in...);
}

// A row block is a chunk of pixels. Threads sum their rows of it, then as many of them as there are
// channels in the block add up what the rows have.
template <int K, int N, class F, class... From>
__global__ void sum_chunks_kernel(PixelGrid grid, std::int64_t chunk, F f, float* partial,
                                  std::int64_t channels, View<const From>... in) {
  __shared__ float sums[K * N][kBlock];
  const std::int64_t c = grid.group() * N;
  float mine[K * N] = {};
  if (c < channels) {
    const Channels<N, F> known(f, c);
    const auto add = [&](const auto... x) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const Sums<K> v = value_of(f, known.v[j], x[j]...);
#pragma unroll
        for (int k = 0; k < K; ++k) mine[k * N + j] += v.v[k];
      }
    };
    const std::int64_t begin = blockIdx.y * chunk;
    const std::int64_t end = begin + chunk < grid.pixels ? begin + chunk : grid.pixels;
    for (std::int64_t p = begin + grid.row(); p < end; p += grid.rows())
      add(convert<float>(load_vec<N>(in, p, c))...);
  }
#pragma unroll
  for (int i = 0; i < K * N; ++i) sums[i][threadIdx.x] = mine[i];
  __syncthreads();
  const unsigned columns = 1u << grid.log2_columns;
  for (unsigned t = threadIdx.x; t < columns * K * N; t += kBlock) {
    const unsigned column = t & (columns - 1), i = t >> grid.log2_columns;
    float sum = 0;
    for (unsigned r = 0; r < grid.rows(); ++r) sum += sums[i][(r << grid.log2_columns) + column];
    const std::int64_t channel = (grid.group() - grid.column() + column) * N + i % N;
    if (channel < channels)
      partial[(std::int64_t{blockIdx.y} * K + i / N) * channels + channel] = sum;
  }
}

// 32 channels side by side, so that neighbours read neighbouring partial sums, and many rows: a
// thread waits for every few that it reads.
inline constexpr int kFoldColumns = 32, kFoldRows = 32;
template <int K, class Finish>
__global__ void __launch_bounds__(kFoldColumns* kFoldRows)
    fold_channels_kernel(Finish finish, const float* partial, std::int64_t chunks,
                         std::int64_t channels) {
  __shared__ double sums[K][kFoldRows][kFoldColumns];
  const int column = threadIdx.x % kFoldColumns, row = threadIdx.x / kFoldColumns;
  const std::int64_t channel = std::int64_t{blockIdx.x} * kFoldColumns + column;
  double mine[K] = {};
  if (channel < channels)
    for (std::int64_t chunk = row; chunk < chunks; chunk += kFoldRows)
      for (int k = 0; k < K; ++k) mine[k] += partial[(chunk * K + k) * channels + channel];
  for (int k = 0; k < K; ++k) sums[k][row][column] = mine[k];
  __syncthreads();
  if (row > 0 || channel >= channels) return;
  for (int r = 1; r < kFoldRows; ++r)
    for (int k = 0; k < K; ++k) mine[k] += sums[k][r][column];
  finish(channel, static_cast<const double*>(mine));
}

template <int K, class F, class Finish, class... From>
void reduce_channels_cuda(const Stream& s, const Shape& shape, F f, Finish finish, float* partial,
                          const View<const From>&... in) {
  const auto stream = static_cast<cudaStream_t>(s.native);
  const std::int64_t pixels = shape.pixels();
  const std::int64_t chunk = channel_chunk_cuda(pixels), chunks = chunks_of(pixels, chunk);
  const auto launch = [&](auto n) {
    constexpr int kN = decltype(n)::value;
    PixelGrid grid(pixels, shape.c / kN);
    grid.row_blocks = static_cast<unsigned>(chunks);
    sum_chunks_kernel<K, kN>
        <<<grid.blocks(), kBlock, 0, stream>>>(grid, chunk, f, partial, shape.c, in...);
  };
  with_width<kVecWidth<From...>>(launch, in...);
  fold_channels_kernel<K>
      <<<static_cast<unsigned>(chunks_of(shape.c, kFoldColumns)), kFoldColumns * kFoldRows, 0,
         stream>>>(finish, static_cast<const float*>(partial), chunks, shape.c);
  check_launch();
}
#endif

// Groups of channels on the host, and those that are left over one by one.
template <class F>
struct VecLoop {
  static constexpr int kWide = 16;  // two registers of AVX2, one of AVX-512
  static void run(const void* functor, const IndexBlock& b) {
    const F f = *static_cast<const F*>(functor);
    for (std::int64_t p = b.row; p < b.row_end; ++p) {
      std::int64_t c = b.column;
      for (; c + kWide <= b.column_end; c += kWide) f.template run<kWide>(p, c);
      for (; c < b.column_end; ++c) f.template run<1>(p, c);
    }
  }
};

// For launches whose elements need more than those at their place: f.run<N>(pixel, c) computes the
// N channels from c on. N is `wide` on a GPU, where all `tensors` allow it, or 1; the host chooses
// by itself.
template <int wide, class F, class... T>
void for_each_vec(const Stream& s, const Shape& shape, F f,
                  [[maybe_unused]] const View<T>&... tensors) {
  if (shape.size() <= 0) return;
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) {
    const auto launch = [&](auto n) {
      constexpr int kN = decltype(n)::value;
      const PixelGrid grid(shape.pixels(), shape.c / kN);
      for_each_vec_kernel<kN>
          <<<grid.blocks(), kBlock, 0, static_cast<cudaStream_t>(s.native)>>>(grid, f);
      check_launch();
    };
    return with_width<wide>(launch, tensors...);
  }
#endif
  launch_on_host(s, {.rows = shape.pixels(), .columns = shape.c}, f, VecLoop<F>::run);
}

// out(pixel, c) = f(in(pixel, c)...) for every pixel and channel of `out`, whose memory an input
// may share. On the CPU channels are the innermost, vectorised loop.
template <class F, class To, class... From>
void map_pixels(const Stream& s, F f, const View<To>& out, const View<const From>&... in) {
  if (out.shape.size() <= 0) return;
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda) return map_pixels_cuda(s, f, out, in...);
#endif
  const auto each = [=](std::int64_t p, std::int64_t c) {
    out.at(p, c) = value_of(f, channel_of(f, c), static_cast<float>(in.at(p, c))...);
  };
  launch_on_host(s, {.rows = out.shape.pixels(), .columns = out.shape.c}, each,
                 PixelLoop<decltype(each)>::run);
}

// The sums over chunks of pixels on the host, with channels innermost.
template <int K, class F>
struct ChannelChunks {
  F f;  // (pixel, channel) -> Sums<K>
  Shape shape;
  float* partial;  // [chunk][k][channel]

  static void run(const void* functor, const IndexBlock& b) {
    const ChannelChunks all = *static_cast<const ChannelChunks*>(functor);
    for (std::int64_t chunk = b.row; chunk < b.row_end; ++chunk) {
      const std::int64_t begin = chunk * kChannelChunk;
      const std::int64_t end = std::min(begin + kChannelChunk, all.shape.pixels());
      float* const sum = all.partial + chunk * K * all.shape.c;
      for (int k = 0; k < K; ++k)
        for (std::int64_t c = b.column; c < b.column_end; ++c) sum[k * all.shape.c + c] = 0;
      for (std::int64_t p = begin; p < end; ++p) {
#pragma omp simd
        for (std::int64_t c = b.column; c < b.column_end; ++c)
          add(all, p, c, sum, std::make_index_sequence<K>{});
      }
    }
  }
  // A function of its own: GCC does not vectorise a loop that declares an array.
  template <std::size_t... k>
  [[gnu::always_inline]] static void add(const ChannelChunks& all, std::int64_t p, std::int64_t c,
                                         float* sum, std::index_sequence<k...>) {
    const Sums<K> v = all.f(p, c);
    ((sum[static_cast<std::int64_t>(k) * all.shape.c + c] += v.v[k]), ...);
  }
};

template <int K, class Finish>
struct ChannelFold {
  Finish finish;
  const float* partial;
  std::int64_t chunks, channels;
  DN_HD void operator()(std::int64_t channel) const {
    double sum[K] = {};
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      for (int k = 0; k < K; ++k) sum[k] += partial[(chunk * K + k) * channels + channel];
    finish(channel, sum);
  }
};

// For every channel of `shape`: the K sums over all pixels of f(in(pixel, c)...) -> Sums<K>, in
// float within a chunk of pixels and in double across chunks, in an order that depends on the
// shape, the alignment of the tensors and the device type alone; then
// finish(channel, const double* sums). `scratch`: reduce_channels_scratch(shape, K) device bytes.
template <int K, class F, class Finish, class... From>
void reduce_channels(const Stream& s, const Shape& shape, F f, Finish finish, void* scratch,
                     const View<const From>&... in) {
  float* const partial = static_cast<float*>(scratch);
  if (shape.size() <= 0) return;
#if defined(__CUDACC__)
  if (s.device.type == DeviceType::cuda)
    return reduce_channels_cuda<K>(s, shape, f, finish, partial, in...);
#endif
  const std::int64_t chunks = chunks_of(shape.pixels(), kChannelChunk);
  const auto each = [=](std::int64_t p, std::int64_t c) {
    return value_of(f, channel_of(f, c), static_cast<float>(in.at(p, c))...);
  };
  // For clang no class with a const member is trivially copyable.
  using Chunks = ChannelChunks<K, std::remove_const_t<decltype(each)>>;
  launch_on_host(s, {.rows = chunks, .columns = shape.c, .grain = kChannelChunk},
                 Chunks{each, shape, partial}, Chunks::run);
  for_each(s, shape.c, ChannelFold<K, Finish>{finish, partial, chunks, shape.c});
}

}  // namespace DN_TU
}  // namespace darknet
