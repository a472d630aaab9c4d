#include "cpu/winograd.h"

#include <unistd.h>

#include <algorithm>

#include "core/for_each.h"
#include "core/index.h"
#include "core/parts.h"
#include "core/threads.h"

namespace darknet {
namespace {

using winograd::kPanel, winograd::Tiles;

// Floats between matrices beyond what they hold, so that one element of all of them does not lie in
// the same set of a cache.
constexpr std::int64_t kMatrixPadding = kPanel;
// Likewise between tiles: a product reads an element of many of them at a time.
constexpr std::int64_t kRowPadding = kPanel;

std::int64_t bytes(std::int64_t floats) { return floats * std::int64_t{sizeof(float)}; }

// Tiles of m x m pixels.
Tiles tiles_of(const Shape& out, int m) {
  return {.image = out, .rows = chunks_of(out.h, m), .columns = chunks_of(out.w, m), .step = m};
}
// The tiles, two pixels wider, that those of `out` are computed from.
Tiles tiles_before(const Shape& in, const Tiles& out, std::int64_t pad_y, std::int64_t pad_x) {
  Tiles t = out;
  t.image = in;
  t.top = -pad_y;
  t.left = -pad_x;
  return t;
}

// Whether reading so many floats again is cheap. Caches below 1 MiB (Zen, Intel before Skylake-X)
// count as if they held them: with larger blocks the tiles would not fit either.
bool second_level_holds(std::int64_t floats) {
  const std::int64_t cache = ::sysconf(_SC_LEVEL2_CACHE_SIZE);  // 0 or -1: unknown
  return cache < (1 << 20) || bytes(floats) <= cache;
}

// The share of `worker` in n equal items.
winograd::Range share(std::int64_t n, std::int64_t worker, std::int64_t workers) {
  return {n * worker / workers, n * (worker + 1) / workers};
}

// f(worker) in as many threads, if there are as many.
template <class F>
void in_parallel(const Stream& s, std::int64_t workers, const F& f) {
  run_on_host(s, {.rows = workers, .grain = kSerialBelow}, f, IndexLoop<F>::run);
}

}  // namespace

bool winograd_fits(const ConvSpec& s) {
  return s.size_y == 3 && s.size_x == 3 && s.stride_y == 1 && s.stride_x == 1 && s.dilation == 1 &&
         s.pad_y <= 2 && s.pad_x <= 2 && s.in.c / s.groups % kPanel == 0 &&
         s.filters / s.groups % kPanel == 0;
}

struct WinogradConv::Job {
  const float* filters;
  const float* in;
  float* out;
  winograd::Finish finish;
  void* workspace;
};

WinogradConv::WinogradConv(const ConvSpec& spec, ConvDirection direction, int m, Filters filters)
    : spec_(spec),
      forward_(direction == ConvDirection::forward),
      kernels_(&winograd::kernels(m)),
      matrices_(std::int64_t{m + 2} * (m + 2)) {
  const Shape source = forward_ ? spec.in : spec.out(), target = forward_ ? spec.out() : spec.in;
  out_ = tiles_of(target, m);
  in_ = forward_ ? tiles_before(source, out_, spec.pad_y, spec.pad_x)
                 : tiles_before(source, out_, 2 - spec.pad_y, 2 - spec.pad_x);
  inputs_ = source.c / spec.groups;
  outputs_ = target.c / spec.groups;
  divide_work();
  const std::int64_t row = inputs_ + kRowPadding;
  in_layout_ = {.matrix = block_ * row + kMatrixPadding, .panel = kPanel, .row = row};
  const std::int64_t slice_channels = slice_ * kPanel;
  out_layout_ = {
      .matrix = block_ * slice_channels + kMatrixPadding, .panel = kPanel, .row = slice_channels};
  worker_bytes_ = part_bytes(bytes(matrices_ * in_layout_.matrix)) +
                  part_bytes(bytes(matrices_ * out_layout_.matrix));
  filter_matrix_ = inputs_ * outputs_ + kMatrixPadding;
  group_filters_ = matrices_ * filter_matrix_;
  if (filters == Filters::kept) filters_ = Buffer({}, bytes(spec.groups * group_filters_));
}

// A block of tiles is transformed, multiplied and transformed back at a time. It has as many tiles
// as make the filters worth reading again, and its matrices stay in a second-level cache where they
// can. Groups of tiles occupy the threads; where there are few tiles, groups of filters do too,
// although each of them transforms the same input.
void WinogradConv::divide_work() {
  constexpr std::int64_t kBlockBytes = 384 << 10, kMaxTiles = 96;
  const std::int64_t min_tiles = second_level_holds(matrices_ * inputs_ * outputs_) ? 24 : 64;
  const std::int64_t panels = outputs_ / kPanel, tiles = out_.count(), threads = launch_threads();
  const std::int64_t most_groups = std::clamp<std::int64_t>(tiles / min_tiles, 1, threads);
  std::int64_t most_used = 0;
  for (std::int64_t groups = most_groups; groups >= 1; --groups) {
    const std::int64_t filter_groups = std::min(panels, threads / groups);
    if (groups * filter_groups <= most_used) continue;
    most_used = groups * filter_groups;
    tile_groups_ = groups, filter_groups_ = filter_groups;
  }
  slice_ = std::min<std::int64_t>(panels, 4);
  const std::int64_t tile_bytes = bytes(matrices_ * (inputs_ + slice_ * kPanel));
  block_ = std::clamp(kBlockBytes / tile_bytes, min_tiles, kMaxTiles);
  const std::int64_t of_group = chunks_of(tiles, tile_groups_);
  block_ = chunks_of(of_group, chunks_of(of_group, block_));
}

std::int64_t WinogradConv::workspace() const {
  return filters_at() + (filters_.bytes() > 0 ? 0 : bytes(spec_.groups * group_filters_));
}

std::int64_t WinogradConv::packed_weights() const { return filters_.bytes(); }

void WinogradConv::set_weights(const Stream& s, const float* weights) {
  weights_ = weights;
  if (filters_.bytes() > 0) transform(s, weights, static_cast<float*>(filters_.data()));
}

void WinogradConv::transform(const Stream& s, const float* weights, float* to) const {
  // Panels of the forward pass's outputs, which are the depth of products of the gradient.
  const winograd::FilterShape shape{spec_.filters / spec_.groups, spec_.in.c / spec_.groups};
  const std::int64_t panels = shape.outputs / kPanel;
  in_parallel(s, spec_.groups * panels, [=, this](std::int64_t i) {
    const std::int64_t group = i / panels, panel = i % panels;
    const float* const from = weights + group * shape.outputs * 9 * shape.inputs;
    float* const filters = to + group * group_filters_;
    if (forward_)
      kernels_->filters(shape, panel, from, filters + panel * shape.inputs * kPanel,
                        filter_matrix_);
    else
      kernels_->turned_filters(shape, panel, from, filters + panel * kPanel * kPanel,
                               filter_matrix_, shape.outputs * kPanel);
  });
}

void WinogradConv::work(const Job& job, std::int64_t worker) const {
  auto* const in = part<float>(job.workspace, worker * worker_bytes_);
  auto* const out = part<float>(
      job.workspace, worker * worker_bytes_ + part_bytes(bytes(matrices_ * in_layout_.matrix)));
  const winograd::Range panels = share(outputs_ / kPanel, worker % filter_groups_, filter_groups_);
  const winograd::Range mine = share(out_.count(), worker / filter_groups_, tile_groups_);
  const std::int64_t blocks = chunks_of(mine.size(), block_);
  for (std::int64_t i = 0; i < blocks * spec_.groups; ++i) {
    const std::int64_t group = i % spec_.groups, first = mine.begin + i / spec_.groups * block_;
    const winograd::Range tiles{first, std::min(mine.end, first + block_)};
    kernels_->input(in_, tiles, job.in + group * inputs_, inputs_, in, in_layout_);
    for (std::int64_t panel = panels.begin; panel < panels.end; panel += slice_) {
      const std::int64_t count = std::min(slice_, panels.end - panel);
      const float* const filters = job.filters + group * group_filters_ + panel * inputs_ * kPanel;
      const float* const next =
          panel + count < panels.end ? filters + count * inputs_ * kPanel : nullptr;
      for (std::int64_t k = 0; k < matrices_; ++k) {
        const float* const b = filters + k * filter_matrix_;
        kernels_->product({.a = in + k * in_layout_.matrix,
                           .b = b,
                           .c = out + k * out_layout_.matrix,
                           .rows = tiles.size(),
                           .depth = inputs_,
                           .panels = count,
                           .a_row = in_layout_.row,
                           .a_column = 1,
                           .b_panel = inputs_ * kPanel,
                           .c_row = out_layout_.row,
                           .next = k + 1 < matrices_ ? b + filter_matrix_ : next});
      }
      const std::int64_t channel = group * outputs_ + panel * kPanel;
      winograd::Finish finish = job.finish;
      if (finish.bias) finish.bias += channel;
      kernels_->output(out_, tiles, out, out_layout_, count * kPanel, job.out + channel, finish);
    }
  }
}

void WinogradConv::run(const Stream& s, const float* in, float* out, const winograd::Finish& finish,
                       void* workspace) {
  const float* filters = static_cast<const float*>(filters_.data());
  if (filters_.bytes() == 0) {
    auto* const transformed = part<float>(workspace, filters_at());
    transform(s, weights_, transformed);
    filters = transformed;
  }
  const Job job{filters, in, out, finish, workspace};
  in_parallel(s, tile_groups_ * filter_groups_,
              [this, job](std::int64_t worker) { work(job, worker); });
}

struct WinogradWeightGradient::Job {
  const float* in;
  const float* out_gradient;
  float* gradient;
  void* workspace;
  std::int64_t group;
  winograd::Range tiles;
  bool add;
};

WinogradWeightGradient::WinogradWeightGradient(const ConvSpec& spec, int m)
    : spec_(spec),
      kernels_(&winograd::kernels(m)),
      out_(tiles_of(spec.out(), m)),
      matrices_(std::int64_t{m + 2} * (m + 2)),
      inputs_(spec.in.c / spec.groups),
      outputs_(spec.filters / spec.groups),
      workers_(launch_threads()) {
  in_ = tiles_before(spec.in, out_, spec.pad_y, spec.pad_x);
  // All threads share a block: its tiles stay in the last-level cache where they can, and are as
  // many as make the sums worth reading and writing again.
  constexpr std::int64_t kBlockBytes = 2 << 20, kMinTiles = 64, kMaxTiles = 512;
  const std::int64_t tile_bytes = bytes(matrices_ * (inputs_ + outputs_));
  block_ = std::clamp(kBlockBytes / tile_bytes, kMinTiles, kMaxTiles);
  block_ = chunks_of(out_.count(), chunks_of(out_.count(), block_));
  in_layout_ = {
      .matrix = block_ * inputs_ + kMatrixPadding, .panel = block_ * kPanel, .row = kPanel};
  out_layout_ = {
      .matrix = block_ * outputs_ + kMatrixPadding, .panel = block_ * kPanel, .row = kPanel};
  sum_matrix_ = inputs_ * outputs_ + kMatrixPadding;
  Parts parts;
  parts.take(bytes(matrices_ * in_layout_.matrix));
  out_at_ = parts.take(bytes(matrices_ * out_layout_.matrix));
  sums_at_ = parts.take(bytes(matrices_ * sum_matrix_));
  bytes_ = parts.total();
}

std::int64_t WinogradWeightGradient::workspace() const { return bytes_; }

void WinogradWeightGradient::transform(const Job& job, std::int64_t worker) const {
  const winograd::Range mine = share(job.tiles.size(), worker, workers_);
  const winograd::Range tiles{job.tiles.begin + mine.begin, job.tiles.begin + mine.end};
  kernels_->input(in_, tiles, job.in + job.group * inputs_, inputs_,
                  part<float>(job.workspace, 0) + mine.begin * kPanel, in_layout_);
  kernels_->output_gradient(out_, tiles, job.out_gradient + job.group * outputs_, outputs_,
                            part<float>(job.workspace, out_at_) + mine.begin * kPanel, out_layout_);
}

void WinogradWeightGradient::multiply(const Job& job, std::int64_t worker) const {
  const std::int64_t panels = outputs_ / kPanel;
  const winograd::Range mine = share(matrices_ * panels, worker, workers_);
  for (std::int64_t i = mine.begin; i < mine.end; ++i) {
    const std::int64_t k = i / panels, panel = i % panels;
    kernels_->product(
        {.a = part<float>(job.workspace, out_at_) + k * out_layout_.matrix +
              panel * out_layout_.panel,
         .b = part<float>(job.workspace, 0) + k * in_layout_.matrix,
         .c = part<float>(job.workspace, sums_at_) + k * sum_matrix_ + panel * kPanel * inputs_,
         .rows = kPanel,
         .depth = job.tiles.size(),
         .panels = inputs_ / kPanel,
         .a_row = 1,
         .a_column = kPanel,
         .b_panel = in_layout_.panel,
         .c_row = inputs_,
         .add = job.add});
  }
}

void WinogradWeightGradient::finish(const Job& job, std::int64_t worker) const {
  const winograd::Range mine = share(outputs_, worker, workers_);
  const auto* const sums = part<float>(job.workspace, sums_at_);
  for (std::int64_t o = mine.begin; o < mine.end; ++o)
    kernels_->filter_gradient(inputs_, sums + o * inputs_, sum_matrix_,
                              job.gradient + (job.group * outputs_ + o) * 9 * inputs_);
}

void WinogradWeightGradient::run(const Stream& s, const float* in, const float* out_gradient,
                                 float* gradient, void* workspace) const {
  Job job{in, out_gradient, gradient, workspace, 0, {}, false};
  for (job.group = 0; job.group < spec_.groups; ++job.group) {
    for (std::int64_t tile = 0; tile < out_.count(); tile += block_) {
      job.tiles = {tile, std::min(out_.count(), tile + block_)};
      job.add = tile > 0;
      in_parallel(s, workers_, [this, job](std::int64_t worker) { transform(job, worker); });
      in_parallel(s, workers_, [this, job](std::int64_t worker) { multiply(job, worker); });
    }
    in_parallel(s, workers_, [this, job](std::int64_t worker) { finish(job, worker); });
  }
}

}  // namespace darknet
