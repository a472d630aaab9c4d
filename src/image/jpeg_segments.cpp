#include "image/jpeg_segments.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "image/bytes.h"

namespace darknet::jpeg {
namespace {

constexpr int kCoefficients = 64;
constexpr std::uint8_t kNotSent = 255;

// Parameterless markers: TEM and restarts.
bool stands_alone(unsigned marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7); }

bool is_progressive(unsigned frame) { return frame % 4 == 2; }

struct Component {
  std::uint64_t id = 0;
  std::array<std::uint8_t, kCoefficients> lowest_bit{};
  explicit Component(std::uint64_t i) : id(i) { lowest_bit.fill(kNotSent); }
};

std::vector<Component> components_of(std::string_view frame) {
  std::vector<Component> components;
  const std::uint64_t count = big_endian(frame, 5, 1);
  for (std::size_t k = 0; k < count; ++k) components.emplace_back(big_endian(frame, 6 + 3 * k, 1));
  return components;
}

void note_scan(std::string_view scan, bool progressive, std::vector<Component>& to) {
  const auto count = to_size(big_endian(scan, 0, 1));
  std::uint64_t first = 0, last = kCoefficients - 1, low = 0;
  if (progressive) {
    first = big_endian(scan, 1 + 2 * count, 1), last = big_endian(scan, 2 + 2 * count, 1);
    low = big_endian(scan, 3 + 2 * count, 1) & 15;
  }
  last = std::min<std::uint64_t>(last, kCoefficients - 1);
  for (std::size_t k = 0; k < count; ++k)
    for (Component& c : to) {
      if (c.id != big_endian(scan, 1 + 2 * k, 1)) continue;
      for (std::uint64_t i = first; i <= last; ++i)
        c.lowest_bit[i] = static_cast<std::uint8_t>(low);
    }
}

// Which Huffman tables there are: bit 4 * class + number, class 0 for DC and 1 for AC.
struct Tables {
  std::uint32_t defined = 0;
  bool has(std::uint64_t of_class, std::uint64_t number) const {
    return number < 4 && (defined >> (4 * of_class + number) & 1) != 0;
  }
  void define(std::string_view segment) {
    constexpr std::size_t kHead = 17;
    while (segment.size() >= kHead) {
      std::size_t codes = 0;
      for (std::size_t i = 1; i < kHead; ++i) codes += to_size(big_endian(segment, i, 1));
      const std::uint64_t name = big_endian(segment, 0, 1);
      if (name / 16 < 2 && name % 16 < 4) defined |= 1U << (name / 16 * 4 + name % 16);
      segment.remove_prefix(std::min(segment.size(), kHead + codes));
    }
  }
  bool serve(std::string_view scan, bool progressive) const {
    const auto count = to_size(big_endian(scan, 0, 1));
    const bool first_is_dc = big_endian(scan, 1 + 2 * count, 1) == 0;
    const bool refines = big_endian(scan, 3 + 2 * count, 1) / 16 > 0;
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint64_t selected = big_endian(scan, 2 + 2 * k, 1);
      const bool needs_dc = !progressive || (first_is_dc && !refines);
      const bool needs_ac = !progressive || !first_is_dc;
      if (needs_dc && !has(0, selected / 16)) return false;
      if (needs_ac && !has(1, selected % 16)) return false;
    }
    return true;
  }
};

}  // namespace

std::size_t start_of(std::string_view s) {
  const auto at = s.find_first_not_of('\xFF');
  return at != s.npos && at > 0 && s[at] == '\xD8' ? at + 1 : 0;
}

bool next_segment(std::string_view s, std::size_t at, Segment& to) {
  for (at = s.find('\xFF', at); at != s.npos && at + 1 < s.size(); at = s.find('\xFF', at + 1)) {
    const auto marker = static_cast<unsigned>(big_endian(s, at + 1, 1));
    if (marker == 0 || marker == 0xFF || stands_alone(marker)) continue;
    to = {marker, at + 2, at + 2};
    if (marker == kEndOfImage) return true;
    if (at + 4 > s.size()) return false;
    to.begin = at + 4;
    to.end = at + 2 + to_size(big_endian(s, at + 2, 2));
    return to.end >= to.begin && to.end <= s.size();
  }
  to = {};
  return false;
}

bool is_frame(unsigned marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != kHuffmanTables && marker != 0xC8 &&
         marker != 0xCC;
}

bool scans_are_all_there(std::string_view s) {
  Segment segment{0, 0, start_of(s)};
  std::vector<Component> components;
  bool progressive = false;
  while (next_segment(s, segment.end, segment) && segment.marker != kEndOfImage) {
    const std::string_view contents = s.substr(segment.begin, segment.end - segment.begin);
    if (is_frame(segment.marker))
      components = components_of(contents), progressive = is_progressive(segment.marker);
    if (segment.marker == kStartOfScan) note_scan(contents, progressive, components);
  }
  return !components.empty() &&
         std::all_of(components.begin(), components.end(), [](const Component& c) {
           return std::all_of(c.lowest_bit.begin(), c.lowest_bit.end(),
                              [](std::uint8_t bit) { return bit == 0; });
         });
}

bool scans_have_tables(std::string_view s) {
  Segment segment{0, 0, start_of(s)};
  Tables tables;
  bool progressive = false;
  while (next_segment(s, segment.end, segment) && segment.marker != kEndOfImage) {
    const std::string_view contents = s.substr(segment.begin, segment.end - segment.begin);
    if (is_frame(segment.marker)) progressive = is_progressive(segment.marker);
    if (segment.marker == kHuffmanTables) tables.define(contents);
    if (segment.marker == kStartOfScan && !tables.serve(contents, progressive)) return false;
  }
  return true;
}

std::string why_refused(const Soundness& sound) {
  // Each takes as long as its part of the image, however few bytes it has; encoders write ten.
  constexpr std::int64_t kMaxScans = 100;
  if (!sound.sound_tables) return "damaged image: invalid Huffman tables";
  if (sound.scans <= kMaxScans) return "";
  return cat("this JPEG has ", sound.scans, " scans, more than ", kMaxScans,
             "; write it again as a baseline JPEG (jpegtran without -progressive)");
}

}  // namespace darknet::jpeg
