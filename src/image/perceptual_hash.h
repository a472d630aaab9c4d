// Fingerprints of what an image shows, to find the same image in another size, format or
// compression: a difference hash (dHash), checked by a small grey copy.
#pragma once
#include <array>
#include <cstdint>

#include "image/image.h"

namespace darknet {

struct ImagePrint {
  std::uint64_t hash = 0;                // bit: a cell of a 9x8 grid is darker than its right one
  std::array<std::uint8_t, 256> grey{};  // 16x16 means
};

ImagePrint print_of(const Image&);

// At most 6 of the 64 bits differ, and the grey copies by at most 4 of 255 on average: without the
// second, all images of little contrast would be alike.
bool nearly_same(const ImagePrint&, const ImagePrint&);

}  // namespace darknet
