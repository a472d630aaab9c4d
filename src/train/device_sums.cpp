#include "train/device_sums.h"

#include <algorithm>

#include "core/copy.h"
#include "core/device_guard.h"
#include "core/index.h"

namespace darknet {

DeviceSums::DeviceSums(const std::vector<Network*>& networks, AllReduceLibrary& library,
                       std::span<const Bucket> buckets)
    : library_(library), buckets_(buckets.begin(), buckets.end()) {
  for (Network* const net : networks) {
    Place p{.net = net};
    const Device device = p.device();
    const DeviceGuard guard(device);
    p.stream = OwnedStream({.device = device});
    p.reached.resize(buckets_.size());
    for (auto& event : p.reached) event = streams(device.type).event(device);
    p.asked = streams(device.type).event(device);
    p.done = streams(device.type).event(device);
    streams_.push_back(p.stream.get());
    places_.push_back(std::move(p));
  }
}

void DeviceSums::use_bf16(JoinedDevices& joined) {
  in_bf16_ = &joined;
  std::int64_t largest = 0;
  for (const Bucket& b : buckets_) largest = std::max(largest, b.size());
  for (Place& p : places_) {
    const DeviceGuard guard(p.device());
    p.rounded = Buffer(p.device(), largest * size_of(DType::bf16), MemoryAccess::peer);
  }
}

void DeviceSums::reached(std::size_t place, std::size_t bucket) {
  const Place& p = places_[place];
  const DeviceGuard guard(p.device());
  p.reached[bucket]->record(p.net->stream());
}

void DeviceSums::wait_for(const std::vector<Event*>& events) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const DeviceGuard guard(places_[i].device());
    events[i]->make_wait(streams_[i]);
  }
}

// Into the buffer, or back.
void DeviceSums::round(const Place& p, TensorView gradients, bool back) const {
  const DeviceGuard guard(p.device());
  TensorView rounded = gradients;
  rounded.data = p.rounded.data();
  rounded.dtype = DType::bf16;
  copy_pixels(p.stream.get(), back ? rounded : gradients, back ? gradients : rounded);
}

void DeviceSums::begin(std::size_t bucket) {
  const Bucket& b = buckets_[bucket];
  std::vector<Event*> reached;
  std::vector<float*> arrays;
  std::vector<TensorView> gradients;
  for (const Place& p : places_) {
    reached.push_back(p.reached[bucket].get());
    arrays.push_back(p.net->gradients().as<>().data + b.begin);
    gradients.push_back({arrays.back(), DType::f32, {1, 1, b.size(), 1}, 1});
  }
  wait_for(reached);
  if (!in_bf16_) return library_.run(streams_, arrays, b.size());
  std::vector<BF16*> rounded;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    round(places_[i], gradients[i], false);
    rounded.push_back(static_cast<BF16*>(places_[i].rounded.data()));
  }
  in_bf16_->run_bf16(streams_, rounded, b.size());
  for (std::size_t i = 0; i < places_.size(); ++i) round(places_[i], gradients[i], true);
}

void DeviceSums::finish() {
  for (const Place& p : places_) {
    const DeviceGuard guard(p.device());
    p.done->record(p.stream.get());
    p.done->make_wait(p.net->stream());
  }
}

void DeviceSums::sum(std::span<float* const> arrays, std::int64_t n) {
  std::vector<Event*> asked;
  for (const Place& p : places_) {
    const DeviceGuard guard(p.device());
    p.asked->record(p.net->stream());
    asked.push_back(p.asked.get());
  }
  wait_for(asked);
  library_.run(streams_, arrays, n);
  finish();
}

}  // namespace darknet
