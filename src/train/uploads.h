// The way of a batch to a network's device, part by part: everything of a part in one copy from
// page-locked memory, beside the work on the part before it.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/step.h"
#include "dataset/augment.h"
#include "detect/box.h"
#include "nn/network.h"

namespace darknet {

// A whole batch in host memory: images one after the other, NHWC, values 0..1. An image that has
// parts is put together on the network's device instead.
struct StepInput {
  std::span<const float> pixels;
  std::span<const std::vector<Truth>> truths;           // one entry per image
  std::span<const std::vector<PlacedPart>> parts = {};  // one entry per image, or none at all
};

class Uploads {
 public:
  explicit Uploads(Network&);

  // Sends as many images of the batch as the network takes, from `first` on, into its input and
  // truths(), and `order` into order(). The batch may be gone when it returns. Returns how many
  // ground truths were beyond what the heads take of an image.
  std::int64_t send(const StepInput&, std::int64_t first, const StepOrder& order);

  Truths truths() const;
  const StepOrder* order() const { return static_cast<const StepOrder*>(order_.data()); }

 private:
  // What goes into a parcel, one after the other; each lies at a multiple of 64 bytes.
  struct Item {
    const void* data = nullptr;
    std::size_t bytes = 0;
  };
  struct Parcel {
    HostBuffer packed;
    Buffer there;
    std::unique_ptr<Event> copied, unpacked;
  };
  // Where the pixels are can be read at once, they are taken from where they lie.
  bool direct() const { return net_.stream().device.type == DeviceType::cpu; }
  std::vector<Item> pixels(const StepInput&, std::int64_t first) const;
  void dispatch(Parcel&, std::span<const Item>);
  void place_pixels(const StepInput&, std::int64_t first, std::span<const Item>, const char* at);

  Network& net_;
  std::int64_t capacity_;  // ground truths of an image: what the network told its layers
  std::array<Parcel, 2> parcels_;
  std::size_t next_ = 0;
  Buffer order_, truths_, counts_;
  OwnedStream copies_;  // closed, and waited for, before the parcels go
};

}  // namespace darknet
