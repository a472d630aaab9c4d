#include "nn/head_inputs.h"

namespace darknet {

HeadInputs::HeadInputs(Network& net) : net_(net), inputs_(net.heads().size()) { net.observe(this); }

HeadInputs::~HeadInputs() { net_.observe(nullptr); }

void HeadInputs::before(std::int64_t layer, bool backward) {
  if (backward) return;
  const auto heads = net_.heads();
  for (std::size_t h = 0; h < heads.size(); ++h)
    if (heads[h].layer == layer)
      inputs_[h] = to_host(net_.stream(), net_.output(net_.layer(layer).sources().front()));
}

}  // namespace darknet
