// Pooling by our own launches, with Darknet's geometry: for devices whose library has no pooling
// that pads one side more than the other.
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

// Max: the first of equals in reading order wins, and its place in the window is kept for backward
// (a byte per output element; four where the window has more than 256 pixels). Average: over the
// pixels of the window that lie in the image.
std::shared_ptr<PoolPlan> make_launched_pool(const PoolSpec&, const PlanOptions&);

}  // namespace darknet
