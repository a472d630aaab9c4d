// Convolution by our own launches, in f32: the last resort where a device's library has none for a
// shape and the options asked for. Many times slower than a library.
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

std::shared_ptr<ConvPlan> make_launched_conv(const ConvSpec&);

}  // namespace darknet
