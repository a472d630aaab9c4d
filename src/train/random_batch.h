// Images of noise and truths at random places, for measuring and checking networks.
#pragma once
#include <cstdint>
#include <vector>

#include "detect/box.h"

namespace darknet {

std::vector<float> random_pixels(std::int64_t n, std::uint64_t seed);  // in [0, 1)
// Eight truths of each of `images` images, .02 to .4 of its size.
std::vector<std::vector<Truth>> random_truths(std::int64_t images, std::int64_t classes,
                                              std::uint64_t seed);

}  // namespace darknet
