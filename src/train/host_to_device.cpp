#include "train/host_to_device.h"

#include <algorithm>
#include <cstring>

#include "core/device_guard.h"
#include "core/index.h"
#include "core/parts.h"
#include "detect/packed_truths.h"
#include "nn/target_loss.h"

namespace darknet {
namespace {

constexpr std::size_t kParallelAbove = 1 << 20;  // bytes that pay for several threads

std::size_t aligned(std::size_t bytes) {
  return to_size(part_bytes(static_cast<std::int64_t>(bytes)));
}

// Where items lie that are packed one after the other; the last: how many bytes all take.
template <class Items>
std::vector<std::size_t> offsets_of(const Items& items) {
  std::vector<std::size_t> all{0};
  for (const auto& i : items) all.push_back(all.back() + aligned(i.bytes));
  return all;
}

bool has_tiles(const StepInput& input, std::int64_t image) {
  return !input.tiles.empty() && !input.tiles[to_size(image)].empty();
}

// Whether none of the images is yet to be put together.
bool all_whole(const StepInput& input, std::int64_t first, std::int64_t count) {
  for (std::int64_t image = first; image < first + count; ++image)
    if (has_tiles(input, image)) return false;
  return true;
}

// A micro-batch of this size at most, next to `truths`: tiles go up only where they have fewer
// bytes than the image that they make. Taken before the first step, which then cannot lack it.
std::int64_t max_bytes(const Network& net, std::int64_t truths) {
  constexpr std::int64_t kTiles = 4, kItems = 6;
  constexpr std::int64_t kTile = kPartAlignment + sizeof(WarpArguments) + sizeof(ArrayRow);
  const Shape in = net.input_shape();
  const std::int64_t rows = in.h * in.w / kArrayRow * std::int64_t{sizeof(ArrayRow)};
  const std::int64_t image = in.features() * std::int64_t{sizeof(float)} + kTiles * kTile + rows;
  return std::int64_t{sizeof(StepParams)} + truths + kItems * kPartAlignment + in.n * image;
}

}  // namespace

HostToDevice::HostToDevice(Network& net)
    : net_(net),
      capacity_(std::max<std::int64_t>(1, net.layer(0).context().truths)),
      copies_({.device = net.options().device}) {
  const Device& device = net.options().device;
  const std::int64_t images = net.input_shape().n;
  params_ = Buffer(device, sizeof(StepParams));
  truths_ = Buffer(device, images * capacity_ * std::int64_t{sizeof(Truth)});
  counts_ = Buffer(device, images * std::int64_t{sizeof(std::int32_t)});
  if (const std::int64_t layer = net.heads().empty() ? target_layer(net) : -1; layer >= 0)
    targets_ = Tensor(device, {images, 1, 1, net.output_shape(layer).features()});
  const std::int64_t labels = truths_.bytes() + counts_.bytes() + targets_.bytes();
  for (StagingBuffer& p : staging_) {
    p.copied = streams(device.type).event(device);
    p.unpacked = streams(device.type).event(device);
    if (!direct()) reserve(p, max_bytes(net, labels));
  }
}

std::int64_t HostToDevice::bytes() const {
  std::int64_t all = params_.bytes() + truths_.bytes() + counts_.bytes() + targets_.bytes();
  for (const StagingBuffer& p : staging_) all += p.there.bytes();
  return all;
}

Truths HostToDevice::truths() const {
  return {static_cast<const Truth*>(truths_.data()),
          static_cast<const std::int32_t*>(counts_.data()), net_.input_shape().n, capacity_};
}

std::vector<HostToDevice::Item> HostToDevice::pixels(const StepInput& input,
                                                     std::int64_t first) const {
  const Shape in = net_.input_shape();
  const auto floats = to_size(in.features());
  std::vector<Item> items;
  for (std::int64_t image = first; image < first + in.n; ++image) {
    if (!has_tiles(input, image)) {
      items.push_back({input.pixels.data() + to_size(image) * floats, floats * sizeof(float)});
      continue;
    }
    for (const PlacedTile& p : input.tiles[to_size(image)])
      items.push_back({p.image->image.pixels.data(), p.image->image.pixels.size(), true});
  }
  return items;
}

void HostToDevice::reserve(StagingBuffer& p, std::int64_t bytes) {
  const Device& device = net_.options().device;
  PinnedBuffer packed(device.type, bytes);
  p.there = Buffer(device, bytes);
  p.packed = std::move(packed);  // last: its size says what both hold
}

// Waits until the staging buffer may be filled, and makes it large enough. The device's part is
// given back in the order of the streams: after all that still reads it.
void HostToDevice::prepare(StagingBuffer& p, std::size_t bytes) {
  p.copied->wait();  // until then its memory is read
  if (static_cast<std::int64_t>(bytes) <= p.packed.bytes()) return;
  reserve(p, static_cast<std::int64_t>(bytes + bytes / 4));  // images differ in size
}

// Packs the items and sends them as soon as the staging buffer's last contents have been unpacked.
void HostToDevice::enqueue(StagingBuffer& p, std::span<const Item> items) {
  const std::vector<std::size_t> at = offsets_of(items);
  char* const to = p.packed.data();
#pragma omp parallel for schedule(dynamic) if (at.back() > kParallelAbove)
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].bytes > 0) std::memcpy(to + at[i], items[i].data, items[i].bytes);
  p.unpacked->make_wait(copies_.get());
  memory(net_.stream().device.type).send(copies_.get(), p.there.data(), to, at.back());
  p.copied->record(copies_.get());
  p.copied->make_wait(net_.stream());
}

// From where the tiles lie in host memory.
std::vector<WarpArguments> HostToDevice::warps(const StepInput& input, std::int64_t first) const {
  std::vector<WarpArguments> all;
  for (std::int64_t i = 0; i < net_.input_shape().n; ++i) {
    if (!has_tiles(input, first + i)) continue;
    const View<float> to = net_.input().images(i, 1).as<>();
    for (const PlacedTile& p : input.tiles[to_size(first + i)])
      all.push_back(warp_of(p.image->image.pixels.data(), *p.image, p.placement, to));
  }
  return all;
}

void HostToDevice::copy_whole_images(const StepInput& input, std::int64_t first,
                                     std::span<const Item> items, const char* at) {
  const std::vector<std::size_t> offsets = offsets_of(items);
  std::size_t k = 0;
  for (std::int64_t i = 0; i < net_.input_shape().n; ++i) {
    if (has_tiles(input, first + i)) {
      k += input.tiles[to_size(first + i)].size();
      continue;
    }
    const void* const from = at ? at + offsets[k] : items[k].data;
    memory(net_.stream().device.type)
        .copy(net_.stream(), net_.input().images(i, 1).data, from, items[k].bytes);
    ++k;
  }
}

std::int64_t HostToDevice::send(const StepInput& input, std::int64_t first,
                                const StepParams& params) {
  const Stream& stream = net_.stream();
  const DeviceGuard guard(stream.device);
  const Shape in = net_.input_shape();
  const PackedTruths truths =
      pack_truths(input.truths.subspan(to_size(first), to_size(in.n)), capacity_);
  const bool in_place = direct() && all_whole(input, first, in.n);
  in_place_ = in_place ? input.pixels.data() + first * in.features() : nullptr;
  const std::vector<Item> images = in_place ? std::vector<Item>{} : pixels(input, first);
  std::vector<WarpArguments> tiles = in_place ? std::vector<WarpArguments>{} : warps(input, first);
  const std::vector<ArrayRow> rows = rows_of(sizes_of(std::span<const WarpArguments>(tiles)));
  std::vector<Item> items{{&params, sizeof params},
                          {truths.truths.data(), truths.truths.size() * sizeof(Truth)},
                          {truths.counts.data(), truths.counts.size() * sizeof(std::int32_t)}};
  std::vector<void*> to{params_.data(), truths_.data(), counts_.data()};
  has_targets_ = !targets_.empty() && !input.targets.empty();
  if (has_targets_) {
    const auto floats = to_size(targets_.size());
    items.push_back({input.targets.subspan(to_size(first) * floats / to_size(in.n), floats).data(),
                     floats * sizeof(float)});
    to.push_back(targets_.data());
  }
  const std::size_t few = items.size();
  if (!direct()) {
    items.push_back({tiles.data(), tiles.size() * sizeof(WarpArguments)});
    items.push_back({rows.data(), rows.size() * sizeof(ArrayRow)});
    items.insert(items.end(), images.begin(), images.end());
  }
  const std::vector<std::size_t> offsets = offsets_of(items);
  StagingBuffer& staging = staging_[next_++ % staging_.size()];
  prepare(staging, offsets.back());
  const char* const at = static_cast<const char*>(staging.there.data());
  const char* const images_at = direct() ? nullptr : at + offsets[few + 2];
  // The list goes up with the tiles, so that it names where they will lie.
  std::size_t tile = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].tile)
      tiles[tile++].pixels = reinterpret_cast<const std::uint8_t*>(at + offsets[i]);
  enqueue(staging, items);
  for (std::size_t i = 0; i < few; ++i)
    memory(stream.device.type).copy(stream, to[i], at + offsets[i], items[i].bytes);
  if (!in_place) copy_whole_images(input, first, images, images_at);
  ArrayList<WarpArguments> list{.entries = tiles, .blocks = std::ssize(rows)};
  if (!direct()) {
    list.on_device = reinterpret_cast<const WarpArguments*>(at + offsets[few]);
    list.rows = reinterpret_cast<const ArrayRow*>(at + offsets[few + 1]);
  }
  warp(stream, list);
  staging.unpacked->record(stream);
  return truths.left_out;
}

}  // namespace darknet
