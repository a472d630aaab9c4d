// An image's size from its header, before anything is decoded; by no decoder's code.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace darknet {

struct ImageSize {
  std::int64_t width = 0, height = 0;  // 0: a kind that is not known here, or a damaged header
};

// As stored, of every FileKind. `bytes` may be a file's beginning.
ImageSize image_size(const std::string& bytes);

// The samples of a binary PGM or PPM (P5, P6), those of two bytes with the high one first; no bytes
// where some are missing. Its image_size is known to be moderate.
struct PnmSamples {
  std::size_t channels = 1, bytes_each = 1;
  std::string_view bytes;
};
PnmSamples pnm_samples(std::string_view file);

}  // namespace darknet
