// A picture's size from its header, before anything is decoded.
#pragma once
#include <cstdint>
#include <string>

namespace darknet {

struct PictureSize {
  std::int64_t width = 0, height = 0;  // 0: a kind that is not known here
};

PictureSize picture_size(const std::string& bytes);

}  // namespace darknet
