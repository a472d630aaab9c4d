#include "train/host_to_device.h"

#include <algorithm>
#include <cstring>

#include "core/device_guard.h"
#include "core/index.h"
#include "core/parts.h"
#include "detect/packed_truths.h"

namespace darknet {
namespace {

std::size_t aligned(std::size_t bytes) {
  return to_size(part_bytes(static_cast<std::int64_t>(bytes)));
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
  constexpr std::int64_t kTiles = 4, kAlignment = 64;
  const Shape in = net.input_shape();
  const std::int64_t image = in.features() * std::int64_t{sizeof(float)} + kTiles * kAlignment;
  return part_bytes(sizeof(StepParams)) + truths + 2 * kAlignment + in.n * image;
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
  for (StagingBuffer& p : staging_) {
    p.copied = streams(device.type).event(device);
    p.unpacked = streams(device.type).event(device);
    if (!direct()) reserve(p, max_bytes(net, truths_.bytes() + counts_.bytes()));
  }
}

std::int64_t HostToDevice::bytes() const {
  std::int64_t all = params_.bytes() + truths_.bytes() + counts_.bytes();
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
      items.push_back({p.image->image.pixels.data(), p.image->image.pixels.size()});
  }
  return items;
}

void HostToDevice::reserve(StagingBuffer& p, std::int64_t bytes) {
  const Device& device = net_.options().device;
  PinnedBuffer packed(device.type, bytes);
  p.there = Buffer(device, bytes);
  p.packed = std::move(packed);  // last: its size says what both hold
}

// Packs the items and sends them as soon as the staging buffer's last contents have been unpacked.
void HostToDevice::enqueue(StagingBuffer& p, std::span<const Item> items) {
  const Device& device = net_.stream().device;
  std::size_t bytes = 0;
  for (const Item& i : items) bytes += aligned(i.bytes);
  p.copied->wait();  // until then its memory is read
  if (static_cast<std::int64_t>(bytes) > p.packed.bytes()) {
    p.unpacked->wait();
    reserve(p, static_cast<std::int64_t>(bytes + bytes / 4));  // images differ in size
  }
  char* to = p.packed.data();
  for (const Item& i : items) {
    if (i.bytes > 0) std::memcpy(to, i.data, i.bytes);
    to += aligned(i.bytes);
  }
  p.unpacked->make_wait(copies_.get());
  memory(device.type).send(copies_.get(), p.there.data(), p.packed.data(), bytes);
  p.copied->record(copies_.get());
  p.copied->make_wait(net_.stream());
}

// `at`: where the items lie on the device; null: they are read where they are.
void HostToDevice::place_pixels(const StepInput& input, std::int64_t first,
                                std::span<const Item> items, const char* at) {
  const Stream& stream = net_.stream();
  Memory& device = memory(stream.device.type);
  auto item = items.begin();
  const auto next = [&] {
    const void* const found = at ? at : item->data;
    if (at) at += aligned(item->bytes);
    ++item;
    return found;
  };
  for (std::int64_t i = 0; i < net_.input_shape().n; ++i) {
    const TensorView to = net_.input().images(i, 1);
    if (!has_tiles(input, first + i)) {
      const std::size_t bytes = item->bytes;
      device.copy(stream, to.data, next(), bytes);
      continue;
    }
    for (const PlacedTile& p : input.tiles[to_size(first + i)])
      place_on_device(stream, static_cast<const std::uint8_t*>(next()), *p.image, p.placement,
                      to.as<>());
  }
}

std::int64_t HostToDevice::send(const StepInput& input, std::int64_t first,
                                const StepParams& params) {
  const Stream& stream = net_.stream();
  const DeviceGuard guard(stream.device);
  const PackedTruths truths =
      pack_truths(input.truths.subspan(to_size(first), to_size(net_.input_shape().n)), capacity_);
  const Shape in = net_.input_shape();
  const bool in_place = direct() && all_whole(input, first, in.n);
  in_place_ = in_place ? input.pixels.data() + first * in.features() : nullptr;
  const std::vector<Item> images = in_place ? std::vector<Item>{} : pixels(input, first);
  std::vector<Item> items{{&params, sizeof params},
                          {truths.truths.data(), truths.truths.size() * sizeof(Truth)},
                          {truths.counts.data(), truths.counts.size() * sizeof(std::int32_t)}};
  const std::size_t few = items.size();
  if (!direct()) items.insert(items.end(), images.begin(), images.end());
  StagingBuffer& staging = staging_[next_++ % staging_.size()];
  enqueue(staging, items);
  const char* at = static_cast<const char*>(staging.there.data());
  void* const to[] = {params_.data(), truths_.data(), counts_.data()};
  for (std::size_t i = 0; i < few; ++i) {
    memory(stream.device.type).copy(stream, to[i], at, items[i].bytes);
    at += aligned(items[i].bytes);
  }
  if (!in_place) place_pixels(input, first, images, direct() ? nullptr : at);
  staging.unpacked->record(stream);
  return truths.left_out;
}

}  // namespace darknet
