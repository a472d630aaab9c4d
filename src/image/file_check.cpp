#include "image/file_check.h"

#include "core/index.h"
#include "image/bytes.h"
#include "image/jpeg_segments.h"

namespace darknet {
namespace {
using jpeg::Segment;

constexpr std::string_view kExif("Exif\0\0", 6);

bool is_tiff(std::string_view s) {
  const std::uint64_t version = s.starts_with("II")   ? little_endian(s, 2, 2)
                                : s.starts_with("MM") ? big_endian(s, 2, 2)
                                                      : 0;
  return version == 42 || version == 43;  // 43: BigTIFF
}

bool is_jpeg2000(std::string_view s) {
  return s.starts_with(std::string_view("\0\0\0\x0CjP  \r\n\x87\n", 12)) ||
         s.starts_with("\xFF\x4F\xFF\x51");
}

bool is_pnm(std::string_view s) {
  return s.size() > 2 && s[0] == 'P' && s[1] >= '1' && s[1] <= '6' &&
         std::string_view(" \t\r\n\v\f#").find(s[2]) != std::string_view::npos;
}

// The tag 0x0112 in the first directory of a TIFF structure (Exif 2.3, 4.6).
int orientation_of_tiff(std::string_view t) {
  if (t.size() < 8) return 1;
  const auto number = t.starts_with("II") ? little_endian : big_endian;
  const auto directory = to_size(number(t, 4, 4));
  const auto entries = to_size(number(t, directory, 2));
  for (std::size_t k = 0; k < entries; ++k) {
    const std::size_t at = directory + 2 + 12 * k;
    if (at + 12 > t.size()) return 1;
    if (number(t, at, 2) != 0x0112) continue;
    const auto value = number(t, at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Some programs put the header of a JPEG's segment before it in other files too.
int orientation_of_exif(std::string_view exif) {
  if (exif.starts_with(kExif)) exif.remove_prefix(kExif.size());
  return orientation_of_tiff(exif);
}

int orientation_of_jpeg(std::string_view bytes) {
  Segment segment{0, 0, jpeg::start_of(bytes)};
  while (jpeg::next_segment(bytes, segment.end, segment) && segment.marker != jpeg::kStartOfScan &&
         segment.marker != jpeg::kEndOfImage) {
    const auto contents = bytes.substr(segment.begin, segment.end - segment.begin);
    if (segment.marker == jpeg::kApp1 && contents.starts_with(kExif))
      return orientation_of_exif(contents);
  }
  return 1;
}

int orientation_of_png(std::string_view s) {
  constexpr std::size_t kSignature = 8, kAround = 12;  // length, type and checksum of a chunk
  for (std::size_t at = kSignature; at + kAround <= s.size();) {
    const auto length = to_size(big_endian(s, at, 4));
    if (length > s.size() - at - kAround) return 1;
    if (s.substr(at + 4, 4) == "eXIf") return orientation_of_exif(s.substr(at + 8, length));
    at += kAround + length;
  }
  return 1;
}

int orientation_of_webp(std::string_view s) {
  constexpr std::size_t kHead = 12, kChunkHead = 8;
  for (std::size_t at = kHead; at + kChunkHead <= s.size();) {
    const auto length = to_size(little_endian(s, at + 4, 4));
    if (length > s.size() - at - kChunkHead) return 1;
    if (s.substr(at, 4) == "EXIF") return orientation_of_exif(s.substr(at + kChunkHead, length));
    at += kChunkHead + length + length % 2;
  }
  return 1;
}

// Tables of a DHT segment: a class byte, 16 counts by length, as many values (ITU-T T.81, B.2.4.2).
bool tables_fit(std::string_view s) {
  constexpr std::size_t kHead = 17, kMaxCodes = 256;
  while (!s.empty()) {
    if (s.size() < kHead) return false;
    std::size_t codes = 0;
    for (std::size_t i = 1; i < kHead; ++i) codes += static_cast<unsigned char>(s[i]);
    if (codes > kMaxCodes || kHead + codes > s.size()) return false;
    s.remove_prefix(kHead + codes);
  }
  return true;
}

Soundness soundness_of_jpeg(std::string_view bytes) {
  Soundness found{.complete = false};
  Segment segment{0, 0, jpeg::start_of(bytes)};
  while (!found.complete && jpeg::next_segment(bytes, segment.end, segment)) {
    found.complete = segment.marker == jpeg::kEndOfImage;
    found.scans += segment.marker == jpeg::kStartOfScan ? 1 : 0;
    if (segment.marker == jpeg::kHuffmanTables &&
        !tables_fit(bytes.substr(segment.begin, segment.end - segment.begin)))
      found.sound_tables = false;
  }
  if (segment.marker == jpeg::kHuffmanTables) found.sound_tables = false;  // the file ends in it
  return found;
}

// Bytes of the colour table that a GIF's flags announce.
std::size_t colour_table(std::uint64_t flags) {
  return flags & 0x80 ? std::size_t{3} << ((flags & 7) + 1) : 0;
}

// Moves `at` behind a GIF's blocks of at most 255 bytes; false where the file ends before.
bool pass_blocks(std::string_view s, std::size_t& at) {
  while (at < s.size()) {
    const auto length = to_size(big_endian(s, at, 1));
    at += 1 + length;
    if (length == 0) return true;
  }
  return false;
}

// Whether the first frame ends within the file (GIF89a, 20 to 26).
bool has_first_frame(std::string_view s) {
  constexpr std::uint64_t kExtension = 0x21, kFrame = 0x2C;
  std::size_t at = 13 + colour_table(big_endian(s, 10, 1));
  while (at < s.size()) {
    const std::uint64_t kind = big_endian(s, at, 1);
    if (kind == kFrame) {
      at += 11 + colour_table(big_endian(s, at + 9, 1));
      return pass_blocks(s, at);
    }
    if (kind != kExtension) return true;  // the decoder will say
    at += 2;
    if (!pass_blocks(s, at)) return false;
  }
  return false;
}

}  // namespace

FileKind file_kind(std::string_view s) {
  if (jpeg::start_of(s) > 0) return FileKind::jpeg;
  if (s.starts_with("\x89PNG\r\n\x1A\n")) return FileKind::png;
  if (s.starts_with("BM")) return FileKind::bmp;
  if (s.starts_with("GIF87a") || s.starts_with("GIF89a")) return FileKind::gif;
  if (s.starts_with("RIFF") && s.size() >= 12 && s.substr(8, 4) == "WEBP") return FileKind::webp;
  if (is_tiff(s)) return FileKind::tiff;
  if (is_jpeg2000(s)) return FileKind::jpeg2000;
  if (is_pnm(s)) return FileKind::pnm;
  if (s.starts_with("#?RADIANCE\n") || s.starts_with("#?RGBE\n")) return FileKind::hdr;
  if (s.starts_with("\x93NUMPY")) return FileKind::npy;
  return FileKind::unknown;
}

Soundness soundness(std::string_view bytes) {
  switch (file_kind(bytes)) {
    case FileKind::jpeg:
      return soundness_of_jpeg(bytes);
    case FileKind::png: {
      const auto end = bytes.rfind("IEND");
      return {.complete = end != bytes.npos && end + 8 <= bytes.size()};  // its checksum too
    }
    case FileKind::gif:
      return {.complete = has_first_frame(bytes)};
    default:
      return {};
  }
}

int exif_orientation(std::string_view bytes) {
  switch (file_kind(bytes)) {
    case FileKind::jpeg:
      return orientation_of_jpeg(bytes);
    case FileKind::png:
      return orientation_of_png(bytes);
    case FileKind::webp:
      return orientation_of_webp(bytes);
    default:
      return 1;
  }
}

}  // namespace darknet
