// Copies a batch to a network's device, micro-batch by micro-batch: everything of a micro-batch in
// one copy from page-locked memory, next to the work on the micro-batch before it.
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
// tiles is put together on the network's device instead.
struct StepInput {
  std::span<const float> pixels;
  std::span<const std::vector<Truth>> truths;           // one entry per image
  std::span<const std::vector<PlacedTile>> tiles = {};  // one entry per image, or none at all
  std::span<const float> targets = {};  // of all images, where the network learns from targets
};

class HostToDevice {
 public:
  explicit HostToDevice(Network&);

  // Sends as many images of the batch as the network takes, from `first` on, into its input and
  // truths(), and `params` into params(). On the CPU the pixels are not copied: they stay until the
  // passes that read input() are done; on other devices the batch may be gone when it returns.
  // Returns how many ground truths were beyond what the heads take of an image.
  std::int64_t send(const StepInput&, std::int64_t first, const StepParams& params);

  Truths truths() const;
  // Pass::targets; null where the network has heads, and where the batch has no targets.
  TensorView targets() const { return has_targets_ ? targets_.view() : TensorView{}; }
  // Of the device, where images of another size have not made it grow yet.
  std::int64_t bytes() const;
  const float* input() const { return in_place_; }  // Pass::input
  const StepParams* params() const { return static_cast<const StepParams*>(params_.data()); }

 private:
  // What goes into a staging buffer, one after the other; each lies at a multiple of kPartAlignment
  // bytes.
  struct Item {
    const void* data = nullptr;
    std::size_t bytes = 0;
    bool tile = false;  // of an image that is put together on the device
  };
  struct StagingBuffer {
    PinnedBuffer packed;
    Buffer there;
    std::unique_ptr<Event> copied, unpacked;
  };
  // Where the pixels are can be read at once, they are taken from where they lie.
  bool direct() const { return net_.stream().device.type == DeviceType::cpu; }
  std::vector<Item> pixels(const StepInput&, std::int64_t first) const;
  void reserve(StagingBuffer&, std::int64_t bytes);
  void prepare(StagingBuffer&, std::size_t bytes);
  void enqueue(StagingBuffer&, std::span<const Item>);
  std::vector<WarpArguments> warps(const StepInput&, std::int64_t first) const;
  void copy_whole_images(const StepInput&, std::int64_t first, std::span<const Item>,
                         const char* at);

  Network& net_;
  const float* in_place_ = nullptr;
  std::int64_t capacity_;  // ground truths of an image: what the network gave its layers
  std::array<StagingBuffer, 2> staging_;
  std::size_t next_ = 0;
  Buffer params_, truths_, counts_;
  Tensor targets_;  // {n, 1, 1, features}; empty where the network has heads
  bool has_targets_ = false;
  OwnedStream copies_;  // closed, and waited for, before the staging buffers go
};

}  // namespace darknet
