#include "image/file_check.h"

#include <cstdint>

namespace darknet {
namespace {

constexpr int kHuffmanTables = 0xC4, kStartOfScan = 0xDA, kEndOfImage = 0xD9, kApp1 = 0xE1;

unsigned byte_at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }
unsigned word_at(std::string_view s, std::size_t i) {
  return byte_at(s, i) << 8 | byte_at(s, i + 1);
}

bool is_jpeg(std::string_view s) { return s.starts_with("\xFF\xD8\xFF"); }
bool is_png(std::string_view s) { return s.starts_with("\x89PNG\r\n\x1A\n"); }

// Parameterless markers: TEM and restarts.
bool stands_alone(unsigned marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7); }

struct Segment {
  unsigned marker = 0;
  std::size_t begin = 0, end = 0;  // of its contents
};

// The next segment of a JPEG from `at`, which stands on or before an 0xFF; false at the file's end.
// Entropy-coded data between segments is passed over: in it 0xFF is followed by 0 or a restart.
bool next_segment(std::string_view s, std::size_t at, Segment& to) {
  for (; at + 1 < s.size(); ++at) {
    const unsigned marker = byte_at(s, at + 1);
    if (byte_at(s, at) != 0xFF || marker == 0 || marker == 0xFF || stands_alone(marker)) continue;
    to = {marker, at + 2, at + 2};
    if (marker == kEndOfImage) return true;
    if (at + 4 > s.size()) return false;
    to.begin = at + 4;
    to.end = at + 2 + word_at(s, at + 2);
    return to.end >= to.begin && to.end <= s.size();
  }
  return false;
}

// The tag 0x0112 in the first directory of a TIFF structure (Exif 2.3, 4.6).
int orientation_of_tiff(std::string_view t) {
  if (t.size() < 8) return 1;
  const bool little = t.starts_with("II");
  const auto u16 = [&](std::size_t i) {
    return little ? byte_at(t, i) | byte_at(t, i + 1) << 8 : word_at(t, i);
  };
  const auto u32 = [&](std::size_t i) {
    return little ? u16(i) | u16(i + 2) << 16 : u16(i) << 16 | u16(i + 2);
  };
  const std::size_t directory = u32(4);
  if (directory + 2 > t.size()) return 1;
  const std::size_t entries = u16(directory);
  for (std::size_t k = 0; k < entries; ++k) {
    const std::size_t at = directory + 2 + 12 * k;
    if (at + 12 > t.size()) return 1;
    if (u16(at) != 0x0112) continue;
    const unsigned value = u16(at + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Tables of a DHT segment: a class byte, 16 counts by length, as many values (ITU-T T.81, B.2.4.2).
bool tables_fit(std::string_view s) {
  constexpr std::size_t kHead = 17, kMostCodes = 256;
  while (!s.empty()) {
    if (s.size() < kHead) return false;
    std::size_t codes = 0;
    for (std::size_t i = 1; i < kHead; ++i) codes += byte_at(s, i);
    if (codes > kMostCodes || kHead + codes > s.size()) return false;
    s.remove_prefix(kHead + codes);
  }
  return true;
}

}  // namespace

bool has_sound_tables(std::string_view bytes) {
  if (!is_jpeg(bytes)) return true;
  Segment segment{0, 2, 2};
  while (next_segment(bytes, segment.end, segment) && segment.marker != kEndOfImage)
    if (segment.marker == kHuffmanTables &&
        !tables_fit(bytes.substr(segment.begin, segment.end - segment.begin)))
      return false;
  return true;
}

bool is_complete(std::string_view bytes) {
  if (is_png(bytes)) {
    const auto end = bytes.rfind("IEND");
    return end != bytes.npos && end + 8 <= bytes.size();  // its checksum too
  }
  if (!is_jpeg(bytes)) return true;
  Segment segment{0, 2, 2};
  while (next_segment(bytes, segment.end, segment))
    if (segment.marker == kEndOfImage) return true;
  return false;
}

int exif_orientation(std::string_view bytes) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  if (!is_jpeg(bytes)) return 1;
  Segment segment{0, 2, 2};
  while (next_segment(bytes, segment.end, segment) && segment.marker != kStartOfScan &&
         segment.marker != kEndOfImage) {
    const auto contents = bytes.substr(segment.begin, segment.end - segment.begin);
    if (segment.marker == kApp1 && contents.starts_with(kExif))
      return orientation_of_tiff(contents.substr(kExif.size()));
  }
  return 1;
}

}  // namespace darknet
