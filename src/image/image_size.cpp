#include "image/image_size.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "core/index.h"
#include "image/bytes.h"
#include "image/codec.h"
#include "image/file_check.h"
#include "image/jpeg_segments.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxSide = 0xFFFFFFFF;  // of any kind: their product fits 64 bits

// Products of sides must not overflow: of what no file has, 0.
ImageSize size_of(std::uint64_t width, std::uint64_t height) {
  constexpr std::uint64_t kMax = kMaxSide >> 1;
  if (width == 0 || height == 0) return {};
  return {static_cast<std::int64_t>(std::min(width, kMax)),
          static_cast<std::int64_t>(std::min(height, kMax))};
}

ImageSize of_jpeg(std::string_view s) {
  jpeg::Segment segment{0, 0, jpeg::start_of(s)};
  while (jpeg::next_segment(s, segment.end, segment) && segment.marker != jpeg::kEndOfImage)
    if (jpeg::is_frame(segment.marker))
      return size_of(big_endian(s, segment.begin + 3, 2), big_endian(s, segment.begin + 1, 2));
  return {};
}

ImageSize of_png(std::string_view s) {
  if (s.size() < 24 || s.substr(12, 4) != "IHDR") return {};
  return size_of(big_endian(s, 16, 4), big_endian(s, 20, 4));
}

std::uint64_t magnitude(std::uint64_t two_complement) {
  return static_cast<std::uint64_t>(
      std::abs(std::int64_t{static_cast<std::int32_t>(two_complement)}));
}

ImageSize of_bmp(std::string_view s) {
  constexpr std::uint64_t kOs2 = 12;  // bytes of the old header
  if (little_endian(s, 14, 4) == kOs2)
    return size_of(little_endian(s, 18, 2), little_endian(s, 20, 2));
  return size_of(magnitude(little_endian(s, 18, 4)),
                 magnitude(little_endian(s, 22, 4)));  // a negative height: rows from the top
}

ImageSize of_webp(std::string_view s) {
  if (s.size() < 30) return {};
  const std::string_view chunk = s.substr(12, 4);
  constexpr std::uint64_t kFourteenBits = 0x3FFF;
  if (chunk == "VP8X") return size_of(1 + little_endian(s, 24, 3), 1 + little_endian(s, 27, 3));
  if (chunk == "VP8 " && s.substr(23, 3) == "\x9D\x01\x2A")
    return size_of(little_endian(s, 26, 2) & kFourteenBits,
                   little_endian(s, 28, 2) & kFourteenBits);
  if (chunk == "VP8L" && s[20] == '\x2F')
    return size_of(1 + (little_endian(s, 21, 4) & kFourteenBits),
                   1 + (little_endian(s, 21, 4) >> 14 & kFourteenBits));
  return {};
}

// The two layouts of a directory: TIFF 6.0 and BigTIFF.
struct TiffLayout {
  std::size_t count_bytes, entry_bytes, value_at;
};

// The largest value of a tag in the first directory: what a repeated one means differs by decoder.
std::uint64_t tiff_value(std::string_view s, std::uint64_t wanted, const TiffLayout& layout,
                         std::size_t directory) {
  const auto number = s.starts_with("II") ? little_endian : big_endian;
  std::uint64_t max = 0;
  std::size_t at = directory + layout.count_bytes;
  for (auto left = number(s, directory, layout.count_bytes);
       left > 0 && at <= s.size() && s.size() - at >= layout.entry_bytes;
       --left, at += layout.entry_bytes) {
    if (number(s, at, 2) != wanted) continue;
    const std::uint64_t type = number(s, at + 2, 2);
    const std::size_t bytes = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : type == 16 ? 8 : 0;
    if (bytes == 0) return 0;  // signed ones and fractions measure nothing
    max = std::max(max, number(s, at + layout.value_at, bytes));
  }
  return max;
}

ImageSize of_tiff(std::string_view s) {
  constexpr std::uint64_t kWidth = 256, kHeight = 257;
  const auto number = s.starts_with("II") ? little_endian : big_endian;
  const bool big = number(s, 2, 2) == 43;
  const TiffLayout layout = big ? TiffLayout{8, 20, 12} : TiffLayout{2, 12, 8};
  const auto directory = to_size(big ? number(s, 8, 8) : number(s, 4, 4));
  if (directory > s.size()) return {};
  return size_of(tiff_value(s, kWidth, layout, directory),
                 tiff_value(s, kHeight, layout, directory));
}

// Where the codestream begins: at once, or in the box "jp2c" (ISO 15444-1, annex I).
std::size_t codestream_of(std::string_view s) {
  if (s.starts_with("\xFF\x4F")) return 0;
  for (std::size_t at = 0; at + 8 <= s.size();) {
    std::uint64_t length = big_endian(s, at, 4), head = 8;
    if (length == 1) length = big_endian(s, at + 8, 8), head = 16;
    if (s.substr(at + 4, 4) == "jp2c") return at + head;
    if (length < head || length > s.size() - at) break;
    at += to_size(length);
  }
  return s.size();
}

ImageSize of_jpeg2000(std::string_view s) {
  constexpr std::uint64_t kStartAndSize = 0xFF4FFF51, kMaxComponents = 4;
  const std::size_t at = codestream_of(s);
  if (big_endian(s, at, 4) != kStartAndSize) return {};
  const auto field = [&](std::size_t i) { return big_endian(s, at + 8 + 4 * i, 4); };
  if (field(0) <= field(2) || field(1) <= field(3)) return {};  // the offsets
  if (big_endian(s, at + 40, 2) > kMaxComponents) return {};    // each as large as the image
  return size_of(field(0) - field(2), field(1) - field(3));
}

// Numbers as text, with comments from # to the line's end between them.
std::uint64_t number_in_text(std::string_view s, std::size_t& at) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  while (at < s.size() && (s[at] == '#' || kBlank.find(s[at]) != kBlank.npos)) {
    if (s[at] == '#') at = std::min(s.find_first_of("\r\n", at), s.size());
    at += at < s.size();
  }
  std::uint64_t value = 0;
  const auto read = std::from_chars(s.data() + std::min(at, s.size()), s.data() + s.size(), value);
  if (read.ec != std::errc{}) return 0;
  at = to_size(read.ptr - s.data());
  return value;
}

struct PnmHeader {
  std::uint64_t width = 0, height = 0;
  std::uint64_t largest = 1;  // value of a sample; those of P1 and P4 are bits
  std::size_t end = 0;
};

PnmHeader pnm_header(std::string_view s) {
  PnmHeader h{.end = 2};
  h.width = number_in_text(s, h.end), h.height = number_in_text(s, h.end);
  if (s[1] != '1' && s[1] != '4') h.largest = number_in_text(s, h.end);
  return h;
}

ImageSize of_pnm(std::string_view s) {
  constexpr std::uint64_t kMaxValue = 65535;  // stb would count beyond its integers
  const PnmHeader h = pnm_header(s);
  return h.largest > 0 && h.largest <= kMaxValue ? size_of(h.width, h.height) : ImageSize{};
}

// Lines, a blank one, and "-Y height +X width".
ImageSize of_hdr(std::string_view s) {
  const auto blank = s.find("\n\n");
  if (blank == s.npos || s.substr(blank + 2, 3) != "-Y ") return {};
  std::size_t at = blank + 5;
  const std::uint64_t height = number_in_text(s, at);
  if (s.substr(std::min(at, s.size()), 4) != " +X ") return {};
  at += 4;
  return size_of(number_in_text(s, at), height);
}

}  // namespace

PnmSamples pnm_samples(std::string_view file) {
  const PnmHeader h = pnm_header(file);
  PnmSamples p{.channels = file[1] == '6' ? 3u : 1u, .bytes_each = h.largest > 255 ? 2u : 1u};
  const std::uint64_t row = h.width * p.channels * p.bytes_each;
  if (row > 0 && file.size() > h.end && (file.size() - h.end - 1) / row >= h.height)
    p.bytes = file.substr(h.end + 1, to_size(row * h.height));
  return p;
}

ImageSize image_size(const std::string& bytes) {
  switch (file_kind(bytes)) {
    case FileKind::jpeg:
      return of_jpeg(bytes);
    case FileKind::png:
      return of_png(bytes);
    case FileKind::bmp:
      return of_bmp(bytes);
    case FileKind::gif:
      return size_of(little_endian(bytes, 6, 2), little_endian(bytes, 8, 2));
    case FileKind::webp:
      return of_webp(bytes);
    case FileKind::tiff:
      return of_tiff(bytes);
    case FileKind::jpeg2000:
      return of_jpeg2000(bytes);
    case FileKind::pnm:
      return of_pnm(bytes);
    case FileKind::hdr:
      return of_hdr(bytes);
    case FileKind::npy:
      return npy_size(bytes);
    case FileKind::unknown:
      break;
  }
  return {};
}

}  // namespace darknet
