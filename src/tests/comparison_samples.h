// Comparisons for tests of their report: runs that found and learned something, without training.
#pragma once
#include <cstdint>

#include "report/comparison.h"

namespace darknet::test {

// Cross-entropy and a grid of obj_gamma {1, 2} x obj_alpha {.25, .5}, with so many seeds and images
// of 416 x 416 pixels with objects of three classes; 300 logged iterations, every 30th evaluated.
Comparison grid_comparison(std::size_t seeds, std::size_t images);

// Two variants, "ce" and "focal", with no images and these mAP@0.5 of seeds 1, 2 ... (as many of
// each); a value below 0: the run is missing.
Comparison comparison_of(const std::vector<double>& baseline, const std::vector<double>& variant);

}  // namespace darknet::test
