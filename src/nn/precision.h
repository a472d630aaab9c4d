// The element type of a network's activations: what [net] asks for and the device can do.
#pragma once
#include "core/ops.h"
#include "nn/net_settings.h"

namespace darknet {

// Warns where it costs more than it saves; throws, naming the place of `net` that asks for it,
// where the device does not have it. Returns `asked`.
DType accepted_precision(DType asked, const Section& net, const Ops&, const Device&);

}  // namespace darknet
