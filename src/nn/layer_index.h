// Reading references to other layers (`from=-3`, `layers=-1,8`) from a section.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>
#include "nn/layer.h"

namespace darknet {

// The absolute index a cfg means by `value`: negative counts back from this layer. Throws where
// there is no such earlier layer.
std::int64_t layer_index(const Section&, std::string_view key, std::int64_t value,
                         const LayerContext&);
// The same for every entry of a list, which must not be empty.
std::vector<std::int64_t> layer_indices(const Section&, std::string_view key,
                                        const std::vector<std::int64_t>& values,
                                        const LayerContext&);

}  // namespace darknet
