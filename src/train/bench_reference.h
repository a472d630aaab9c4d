// The convolutions of a network alone, run one after the other.
#pragma once
#include <memory>
#include <vector>

#include "nn/network.h"

namespace darknet {

class BaselineNetwork {
 public:
  struct LayerTimes {
    std::int64_t layer = 0;
    double forward = 0, backward = 0;  // seconds
  };

  // as_planned: with the network's own choice of algorithms, else direct throughout.
  BaselineNetwork(const Network&, bool as_planned);
  std::int64_t convolutions() const { return std::ssize(convolutions_); }
  // Forward of all, then backward from last to first, once per micro-batch. Adds each layer's times
  // up.
  std::vector<LayerTimes> run(std::int64_t micro_batches);

 private:
  struct Entry {
    std::int64_t layer = 0;
    std::unique_ptr<BaselineConv> convolution;
  };
  double timed(const Entry&, ConvDirection);

  std::vector<Entry> convolutions_;
  Buffer workspace_;
};

}  // namespace darknet
