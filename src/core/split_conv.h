// A convolution of more elements than a library counts, computed for a part of the images at a
// time.
#pragma once
#include <functional>
#include <memory>

#include "core/ops.h"

namespace darknet {

// `make` plans the same convolution of fewer images; it is to fuse nothing. No tensor that it gets
// has more than `max_elements` elements; throws Error where one image has more.
std::unique_ptr<ConvPlan> split_along_batch(
    const ConvSpec&, std::int64_t max_elements,
    const std::function<std::unique_ptr<ConvPlan>(const ConvSpec&)>& make);
// Whether a tensor of the convolution has more than `max_elements`.
bool exceeds(const ConvSpec&, std::int64_t max_elements);

}  // namespace darknet
