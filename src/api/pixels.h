// The pixels of a caller's image as the program has them.
#pragma once
#include <cstdint>

#include "darknet/image.h"
#include "image/image.h"

namespace darknet::api {

// `channels`: 3 for RGB or 1 for grey, whatever the view has, by the rules of read_image(). Throws
// Error where the view is not what darknet/image.h asks for or larger than 2^28 pixels.
Image image_of(const ImageView&, std::int64_t channels);

}  // namespace darknet::api
