// What the decoders do not report: which kind of image a file is, whether it was cut short, and how
// the camera was held.
#pragma once
#include <cstdint>
#include <string_view>

namespace darknet {

// The kinds whose size can be reported before they are decoded; nothing else is handed to a
// decoder.
enum class FileKind : std::uint8_t {
  unknown,
  jpeg,
  png,
  bmp,
  gif,
  webp,
  tiff,
  jpeg2000,
  pnm,
  hdr,
  npy
};
FileKind file_kind(std::string_view bytes);

struct Soundness {
  // Whether a JPEG or PNG has its end marker, and a GIF all of its first frame; true for every
  // other kind.
  bool complete = true;
  // Whether every Huffman table of a JPEG has at most the 256 codes the format allows and lies
  // within the file; true for every other kind. stb_image before 2.28 writes beyond its arrays
  // where one has more.
  bool sound_tables = true;
  std::int64_t scans = 0;  // of a JPEG
};
Soundness soundness(std::string_view bytes);  // in one pass over the file

// The EXIF orientation of a JPEG, PNG or WebP, 1 to 8 (1: as stored); 1 where there is none.
int exif_orientation(std::string_view bytes);

}  // namespace darknet
