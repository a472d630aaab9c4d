// The element type of a network's activations: what [net] asks for and the device can do.
#pragma once
#include "core/ops.h"
#include "nn/net_settings.h"

namespace darknet {

// Warns where it costs more than it saves; throws, naming [net] at `where`, where `ops` does not
// have it on that device.
DType accepted_precision(const NetSettings&, const Where& where, const Ops&, const Device&);

}  // namespace darknet
