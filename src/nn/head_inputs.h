// The logits that the heads of a network read in a forward pass. Their outputs would not do:
// probabilities round to 1.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "nn/network.h"

namespace darknet {

class HeadInputs final : public LayerObserver {
 public:
  // Observes the network as long as it lives; there is one observer at a time.
  explicit HeadInputs(Network&);
  ~HeadInputs() override;
  HeadInputs(const HeadInputs&) = delete;
  HeadInputs& operator=(const HeadInputs&) = delete;

  // Of the last pass, what the head at this place of Network::heads() read, in host memory, of the
  // shape of the layer below; empty before the first pass.
  std::span<const float> of(std::size_t head) const { return inputs_[head]; }

  void before(std::int64_t layer, bool backward) override;
  void after(std::int64_t, bool) override {}

 private:
  Network& net_;
  std::vector<std::vector<float>> inputs_;
};

}  // namespace darknet
