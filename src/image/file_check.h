// What the decoders do not tell: whether a file was cut short, and how the camera was held.
#pragma once
#include <string_view>

namespace darknet {

// Whether a JPEG or PNG has its end marker; true for every other kind.
bool is_complete(std::string_view bytes);

// Whether every Huffman table of a JPEG has at most the 256 codes the format allows; true for every
// other kind. stb_image before 2.28 writes beyond its arrays where one has more.
bool has_sound_tables(std::string_view bytes);

// The EXIF orientation of a JPEG, 1 to 8 (1: as stored); 1 where there is none.
int exif_orientation(std::string_view bytes);

}  // namespace darknet
