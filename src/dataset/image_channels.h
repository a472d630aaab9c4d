// Whether the images of a list have as many channels as a network takes, before a training is under
// way. Everything else that may be wrong with them is dataset/check.h.
#pragma once
#include <cstdint>
#include <string>

#include "dataset/image_paths.h"
#include "image/image.h"

namespace darknet {

struct UnfitImages {
  std::int64_t count = 0;  // with another number of channels
  std::string first;       // what is said of the first one
};
// .npy files and TIFFs, which may have any number of channels, and PNGs where alpha is asked for (2
// or 4) are read for up to so many seconds, spread over the list; others are not opened. What
// cannot be read at all is not counted.
UnfitImages images_of_other_channels(const ImagePaths&, const InputValues&, double seconds);

}  // namespace darknet
