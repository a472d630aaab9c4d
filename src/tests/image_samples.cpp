#include "tests/image_samples.h"

#include <cstdlib>

#include "core/index.h"
#include "core/rng.h"

namespace darknet::testing_images {
namespace {

std::string big(std::uint32_t v, int bytes) {
  std::string s;
  for (int i = bytes; i-- > 0;) s += static_cast<char>(v >> 8 * i);
  return s;
}

std::string ordered(std::uint32_t v, int bytes, bool little) {
  const std::string s = big(v, bytes);
  return little ? std::string(s.rbegin(), s.rend()) : s;
}

std::uint32_t crc32(const std::string& s) {
  std::uint32_t crc = ~0u;
  for (const char c : s) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

std::uint32_t adler32(const std::string& s) {
  std::uint32_t a = 1, b = 0;
  for (const char c : s) a = (a + static_cast<unsigned char>(c)) % 65521, b = (b + a) % 65521;
  return b << 16 | a;
}

std::string chunk(const std::string& type, const std::string& data) {
  return big(static_cast<std::uint32_t>(data.size()), 4) + type + data + big(crc32(type + data), 4);
}

}  // namespace

Image noise(std::int64_t w, std::int64_t h, std::int64_t channels) {
  Image image(w, h, channels);
  Rng rng(static_cast<std::uint64_t>(w * 7919 + h), static_cast<std::uint64_t>(channels));
  for (auto& v : image.pixels) v = static_cast<std::uint8_t>(rng.below(256));
  return image;
}

Image ramp(std::int64_t w, std::int64_t h) {
  Image image(w, h, 3);
  for (std::int64_t y = 0; y < h; ++y)
    for (std::int64_t x = 0; x < w; ++x) {
      image.at(x, y)[0] = static_cast<std::uint8_t>(20 + 200 * x / w);
      image.at(x, y)[1] = static_cast<std::uint8_t>(30 + 180 * y / h);
      image.at(x, y)[2] = static_cast<std::uint8_t>(120 + 100 * (x + y) / (w + h));
    }
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  if (a.pixels.size() != b.pixels.size()) return 256;
  int max = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    max = std::max(max, std::abs(int{a.pixels[i]} - b.pixels[i]));
  return max;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

namespace {

// `raw`: each row behind the byte of its filter.
std::string png_of(std::uint32_t w, std::uint32_t h, const std::string& kind,
                   const std::string& raw) {
  const auto n = static_cast<std::uint32_t>(raw.size());  // one stored block: below 65536
  const std::string zlib = std::string("\x78\x01\x01", 3) + ordered(n, 2, true) +
                           ordered(~n & 0xFFFF, 2, true) + raw + big(adler32(raw), 4);
  return "\x89PNG\r\n\x1A\n" + chunk("IHDR", big(w, 4) + big(h, 4) + kind) + chunk("IDAT", zlib) +
         chunk("IEND", "");
}

}  // namespace

std::string png(std::uint32_t w, std::uint32_t h, int bits, int colour_type,
                const std::string& rows) {
  const std::size_t row = rows.size() / h;
  std::string raw;
  if (!rows.empty())
    for (std::size_t y = 0; y < h; ++y) raw += '\0' + rows.substr(y * row, row);  // no filter
  return png_of(w, h, {static_cast<char>(bits), static_cast<char>(colour_type), '\0', '\0', '\0'},
                raw);
}

std::string interlaced_png() {
  std::string raw;
  for (const auto& [width, height] :
       {std::pair{1, 1}, {1, 1}, {2, 1}, {2, 2}, {4, 2}, {4, 4}, {8, 4}})
    for (int y = 0; y < height; ++y) {
      raw += '\0';  // no filter
      for (int x = 0; x < width; ++x) raw += static_cast<char>(5 * raw.size());
    }
  return png_of(8, 8, {8, 0, 0, 0, 1}, raw);
}

std::string png_with_chunk(const std::string& png, const std::string& type, const std::string& data,
                           bool at_the_end) {
  constexpr std::size_t kHeader = 8 + 25, kEnd = 12;  // signature and IHDR; IEND
  const std::size_t at = at_the_end ? png.size() - kEnd : kHeader;
  return png.substr(0, at) + chunk(type, data) + png.substr(at);
}

std::string number(std::uint32_t v, int bytes, bool little_endian) {
  return ordered(v, bytes, little_endian);
}

// Codes of 8 bits are bytes: 128 clears the table often enough that they grow no longer.
std::string gif(std::uint32_t w, std::uint32_t h, const std::vector<std::string>& frames) {
  const std::string size = ordered(w, 2, true) + ordered(h, 2, true);
  std::string bytes = "GIF89a" + size + std::string("\xF6\0\0", 3);  // a table of 128 colours
  for (int i = 0; i < 128; ++i) bytes += std::string(3, static_cast<char>(2 * i));
  for (const std::string& frame : frames) {
    bytes += "," + std::string(4, '\0') + size + std::string("\0\7", 2);
    std::string codes;
    for (std::size_t i = 0; i < frame.size(); ++i) {
      if (i % 100 == 0) codes += '\x80';
      codes += frame[i];
    }
    codes += '\x81';
    for (std::size_t at = 0; at < codes.size(); at += 255) {
      const std::string block = codes.substr(at, 255);
      bytes += static_cast<char>(block.size()) + block;
    }
    bytes += '\0';
  }
  return bytes + ";";
}

std::string webp_with_exif(const std::string& webp, std::uint32_t w, std::uint32_t h,
                           const std::string& exif) {
  const auto chunk_of = [](const std::string& name, const std::string& data) {
    return name + ordered(static_cast<std::uint32_t>(data.size()), 4, true) + data +
           std::string(data.size() % 2, '\0');
  };
  const std::string flags("\x08\0\0\0", 4);
  const std::string body =
      "WEBP" + chunk_of("VP8X", flags + ordered(w - 1, 3, true) + ordered(h - 1, 3, true)) +
      webp.substr(12) + chunk_of("EXIF", exif);
  return "RIFF" + ordered(static_cast<std::uint32_t>(body.size()), 4, true) + body;
}

std::string tiff(std::uint32_t w, std::uint32_t h, const std::string& rows, bool little) {
  const auto n = [&](std::uint32_t v, int bytes) { return ordered(v, bytes, little); };
  constexpr std::uint32_t kShort = 3, kLong = 4, kEntries = 9, kAfter = 8 + 2 + 12 * kEntries + 4;
  std::string bytes = (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(kEntries, 2);
  const auto entry = [&](std::uint32_t tag, std::uint32_t type, std::uint32_t count,
                         std::uint32_t value) {
    const bool small = type == kShort && count == 1;
    bytes += n(tag, 2) + n(type, 2) + n(count, 4) + (small ? n(value, 2) + n(0, 2) : n(value, 4));
  };
  entry(256, kLong, 1, w), entry(257, kLong, 1, h);
  entry(258, kShort, 3, kAfter);                       // bits of a sample
  entry(259, kShort, 1, 1), entry(262, kShort, 1, 2);  // no compression, RGB
  entry(273, kLong, 1, kAfter + 6), entry(277, kShort, 1, 3);
  entry(278, kLong, 1, h), entry(279, kLong, 1, static_cast<std::uint32_t>(rows.size()));
  return bytes + n(0, 4) + n(8, 2) + n(8, 2) + n(8, 2) + rows;
}

std::string tiff_of_samples(std::uint32_t w, std::uint32_t h, int samples, int bits,
                            const std::vector<std::string>& pages) {
  const auto n = [](std::size_t v, int bytes) {
    return ordered(static_cast<std::uint32_t>(v), bytes, true);
  };
  constexpr std::size_t kEntries = 10, kShort = 3, kLong = 4;
  std::string bytes = "II" + n(42, 2) + n(8, 4);
  for (std::size_t page = 0; page < pages.size(); ++page) {
    const std::size_t lists = bytes.size() + 2 + 12 * kEntries + 4, count = to_size(samples),
                      rows = lists + 4 * count, end = rows + pages[page].size();
    const auto entry = [&](std::size_t tag, std::size_t type, std::size_t value) {
      return n(tag, 2) + n(type, 2) + n(1, 4) +
             (type == kShort ? n(value, 2) + n(0, 2) : n(value, 4));
    };
    const auto list = [&](std::size_t tag, std::size_t value, std::size_t at) {
      if (count > 2) return n(tag, 2) + n(kShort, 2) + n(count, 4) + n(at, 4);
      const std::string pair = n(value, 2) + n(count == 2 ? value : 0, 2);
      return n(tag, 2) + n(kShort, 2) + n(count, 4) + pair;
    };
    const std::size_t format = bits == 32 ? 3 : 1;  // floats, unsigned
    bytes += n(kEntries, 2) + entry(256, kLong, w) + entry(257, kLong, h) +
             list(258, to_size(bits), lists) + entry(259, kShort, 1) + entry(262, kShort, 1) +
             entry(273, kLong, rows) + entry(277, kShort, count) + entry(278, kLong, h) +
             entry(279, kLong, pages[page].size()) + list(339, format, lists + 2 * count);
    bytes += page + 1 < pages.size() ? n(end, 4) : n(0, 4);
    for (const std::size_t value : {to_size(bits), format})
      for (std::size_t k = 0; k < count; ++k) bytes += n(value, 2);
    bytes += pages[page];
  }
  return bytes;
}

std::string npy(const std::string& type, const std::string& shape, const std::string& values) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  return std::string("\x93NUMPY\1\0", 8) +
         ordered(static_cast<std::uint32_t>(header.size()), 2, true) + header + values;
}

std::string bytes_of_values(const std::vector<std::uint16_t>& values) {
  std::string bytes;
  for (const std::uint16_t v : values) bytes += ordered(v, 2, true);
  return bytes;
}

std::string exif(int orientation, bool little) {
  const auto n = [&](std::uint32_t v, int bytes) { return ordered(v, bytes, little); };
  return std::string("Exif\0\0", 6) + (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(1, 2) +
         n(0x0112, 2) + n(3, 2) + n(1, 4) + n(static_cast<std::uint32_t>(orientation), 2) +
         n(0, 2) + n(0, 4);
}

std::string with_segment(const std::string& jpeg, int marker, const std::string& contents) {
  return jpeg.substr(0, 2) + '\xFF' + static_cast<char>(marker) +
         big(static_cast<std::uint32_t>(contents.size() + 2), 2) + contents + jpeg.substr(2);
}

std::string with_exif(const std::string& jpeg, int orientation, bool little) {
  return with_segment(jpeg, 0xE1, exif(orientation, little));
}

}  // namespace darknet::testing_images
