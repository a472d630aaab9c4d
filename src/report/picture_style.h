// What the pictures of this module look like: confusion matrices, error sheets, side by side.
#pragma once
#include <cstdint>

#include "image/draw.h"

namespace darknet {

inline constexpr Colour kPaper{255, 255, 255}, kInk{30, 30, 34}, kSoft{100, 106, 118};
inline constexpr std::int64_t kLetters = 8;  // pixels, the height of capital letters

}  // namespace darknet
