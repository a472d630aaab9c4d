// The bare library convolutions of a network, run one after the other.
#pragma once
#include <memory>
#include <vector>

#include "nn/network.h"

namespace darknet {

class BareNetwork {
 public:
  struct LayerTimes {
    std::int64_t layer = 0;
    double forward = 0, backward = 0;  // seconds
  };

  // as_planned: with the network's own choice of algorithms, else direct throughout.
  BareNetwork(const Network&, bool as_planned);
  std::int64_t convolutions() const { return static_cast<std::int64_t>(convolutions_.size()); }
  // Forward of all, then backward from last to first, `parts` times. Adds each layer's times up.
  std::vector<LayerTimes> run(std::int64_t parts);

 private:
  struct Entry {
    std::int64_t layer = 0;
    std::unique_ptr<BareConv> convolution;
  };
  double timed(const Entry&, ConvDirection);

  std::vector<Entry> convolutions_;
  Buffer workspace_;
};

}  // namespace darknet
