// Changes to what the first convolution of a network expects of an image: the order of its
// channels, the range of its values. On the parameters in memory, not in files.
#pragma once
#include "nn/network.h"

namespace darknet {

// Both change the first convolution and others that read the same input. They throw where there is
// none, and where one that reads something else shares its parameters (share_index=).

// Swaps the first and the third channel, so that images in the order BGR give what those in RGB
// gave. Throws where it has not three.
void swap_red_and_blue(Network&);
// The network took scale * x + shift; afterwards it takes x, apart from borders where zeros are
// padded.
void rescale_input(Network&, float scale, float shift);

}  // namespace darknet
