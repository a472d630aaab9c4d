// Sums of buckets of gradients, and of other arrays, over devices by a library, in streams of their
// own: next to what the networks' streams do meanwhile.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "core/joined_devices.h"
#include "core/tensor.h"
#include "train/overlapped_sum.h"

namespace darknet {

class DeviceSums final : public BucketSums {
 public:
  // `networks`: each on a device of its own, in the order of the library's devices; with equal
  // buckets.
  DeviceSums(const std::vector<Network*>& networks, AllReduceLibrary&, std::span<const Bucket>);
  // Gradients travel, and are summed, in bf16: needs a buffer on each device.
  void use_bf16(JoinedDevices&);

  std::int64_t bytes(std::size_t place) const { return places_[place].rounded.bytes(); }

  void reached(std::size_t place, std::size_t bucket) override;
  void begin(std::size_t bucket) override;
  void finish() override;
  // Of an array of n elements on each device, after what the networks were asked for so far and
  // before what they are asked for next. In f32.
  void sum(std::span<float* const> arrays, std::int64_t n);

 private:
  struct Place {
    Network* net = nullptr;
    Buffer rounded;                               // bf16
    OwnedStream stream;                           // ends before what its work uses
    std::vector<std::unique_ptr<Event>> reached;  // by bucket
    std::unique_ptr<Event> asked, done;
    Device device() const { return net->options().device; }
  };
  void wait_for(const std::vector<Event*>&);  // in the order of the places
  void round(const Place&, TensorView gradients, bool back) const;

  std::vector<Place> places_;
  std::vector<Stream> streams_;  // of the places
  AllReduceLibrary& library_;
  JoinedDevices* in_bf16_ = nullptr;
  std::vector<Bucket> buckets_;
};

}  // namespace darknet
