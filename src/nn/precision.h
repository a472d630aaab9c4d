// The element type of a network's activations: what [net] asks for and the device can do.
#pragma once
#include "core/device.h"
#include "core/tensor.h"
#include "nn/net_settings.h"

namespace darknet {

// Warns where it costs more than it saves; throws, naming [net] at `where`, where it cannot be had.
DType accepted_precision(const NetSettings&, const Where& where, DeviceType);

}  // namespace darknet
