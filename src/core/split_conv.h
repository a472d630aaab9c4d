// A convolution of more elements than a library counts, computed for a part of the images at a
// time.
#pragma once
#include <functional>
#include <memory>

#include "core/ops.h"

namespace darknet {

// Plans the convolution of as many images as it is given, with this epilogue.
using MakeConv = std::function<std::shared_ptr<ConvPlan>(const ConvSpec&, const Epilogue&)>;

// What `make` plans where no tensor has more than `max_elements` elements; else parts of the batch
// that have no more, with nothing fused. Throws Error where one image has more.
std::shared_ptr<ConvPlan> split_along_batch(const ConvSpec&, const Epilogue&,
                                            std::int64_t max_elements, const MakeConv& make);

}  // namespace darknet
