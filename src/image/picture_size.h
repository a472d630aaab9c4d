// A picture's size from its header, before anything is decoded; by no decoder's code.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace darknet {

struct PictureSize {
  std::int64_t width = 0, height = 0;  // 0: a kind that is not known here, or a damaged header
};

// As stored, of every FileKind. `bytes` may be a file's beginning.
PictureSize picture_size(const std::string& bytes);

// Whether a binary PGM or PPM (P5, P6) has as many samples as its header says.
bool has_all_samples(std::string_view pnm);

}  // namespace darknet
