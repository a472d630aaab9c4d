#include "train/other_device.h"

namespace darknet {

OtherDevice::OtherDevice(const std::vector<Section>& cfg, const NetworkOptions& options,
                         const Replica& first)
    : net_(cfg, options), optimizer_(net_, net_.settings()) {
  copy_training(first, replica());
  const std::vector<HeadAt> from = first.net->heads(), to = net_.heads();
  for (std::size_t h = 0; h < to.size(); ++h)
    to[h].head->set_objectness_factor(from[h].head->objectness_factor());
}

}  // namespace darknet
