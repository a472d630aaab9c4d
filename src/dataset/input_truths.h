// Ground truths as a network's input shows them: stretched, or with grey bars (letter_box).
// Whatever asks how large an object is for a network, or which anchors it meets, takes it from
// here.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "dataset/labels.h"
#include "image/image_size.h"

namespace darknet {

struct InputView {
  std::int64_t width = 0, height = 0;  // pixels of the network's input
  bool letter_box = false;
};

// `truths` in fractions of an image of that size; the result in fractions of the input.
std::vector<Truth> truths_at_input(std::span<const Truth> truths, const ImageSize& image,
                                   const InputView&);

// Of every image. With letter_box it reads the images' sizes; those that have none are left out,
// with one warning.
GroundTruths truths_at_input(const LabelledImages&, const InputView&);

}  // namespace darknet
