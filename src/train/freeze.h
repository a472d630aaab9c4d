// -freeze N: the first N layers of a cfg keep their values.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cfg/section.h"

namespace darknet {

// The -set assignment that freezes the first `layers` layers for good: stopbackward=1 of the last
// of them. Throws where the cfg has no layer behind them, which could be trained.
std::string freezing_override(const std::vector<Section>& cfg, std::int64_t layers);

}  // namespace darknet
