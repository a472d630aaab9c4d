// Whether a tuning file fits a network.
#pragma once
#include <string>

#include "core/tuning.h"

namespace darknet {

class Network;

// `measured`: a tuning file's choices for the network's device. Returns a warning where none of
// them is for a convolution of the network, in its mode and at its present size, or where they hold
// no Winograd convolution although one of the network's convolutions could take it; else "".
std::string tuning_warning(const Network&, const Tuning& measured);

}  // namespace darknet
