// stb: sizes from headers in every build; decoding, encoding and no windows in one without OpenCV.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb_image.h>

#include <algorithm>
#include <memory>

#include "image/codec.h"
#include "image/draw.h"
#include "image/picture_size.h"

#if !defined(DARKNET_OPENCV)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_easy_font.h>
#include <stb_image_write.h>
#endif

namespace darknet {
namespace {

const stbi_uc* data_of(const std::string& bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

std::int64_t big_endian(const std::string& bytes, std::size_t at) {
  std::int64_t v = 0;
  for (std::size_t i = at; i < at + 4; ++i) v = v << 8 | static_cast<unsigned char>(bytes[i]);
  return v;
}

}  // namespace

PictureSize picture_size(const std::string& bytes) {
  if (bytes.starts_with("\x89PNG") && bytes.size() >= 24)  // stb refuses to tell large sizes
    return {big_endian(bytes, 16), big_endian(bytes, 20)};
  int w = 0, h = 0, c = 0;
  if (!stbi_info_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &w, &h, &c)) return {};
  return {w, h};
}

#if !defined(DARKNET_OPENCV)
namespace {

constexpr int kJpegQuality = 95;

void append(void* to, void* data, int size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data),
                                        static_cast<std::size_t>(size));
}

}  // namespace

Image decode_rgb(const std::string& bytes) {
  int w = 0, h = 0, c = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> rgb(
      stbi_load_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &w, &h, &c, 3),
      stbi_image_free);
  if (!rgb) return {};
  Image image(w, h, 3);
  image.pixels.assign(rgb.get(), rgb.get() + image.pixels.size());
  return image;
}

std::string encode(const Image& image, const std::string& ending) {
  const int w = static_cast<int>(image.width), h = static_cast<int>(image.height),
            c = static_cast<int>(image.channels);
  constexpr int kMostJpeg = 65535;  // the library would write the sides modulo 65536
  if (image.pixels.empty() || (ending == ".jpg" && std::max(w, h) > kMostJpeg)) return {};
  std::string out;
  if (ending == ".png")
    stbi_write_png_to_func(append, &out, w, h, c, image.pixels.data(), w * c);
  else if (ending == ".bmp")
    stbi_write_bmp_to_func(append, &out, w, h, c, image.pixels.data());
  else
    stbi_write_jpg_to_func(append, &out, w, h, c, image.pixels.data(), kJpegQuality);
  return out;
}

bool show_image(const std::string&, const Image&) { return false; }

namespace {

constexpr std::int64_t kCapitalHeight = 7;  // pixels of stb_easy_font's letters

std::int64_t zoom(std::int64_t height) {
  return std::max<std::int64_t>(1, height / kCapitalHeight);
}

// One '?' for every character that the font does not have; it looks letters up unchecked.
std::string in_the_font(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) out += byte >= ' ' && byte <= '~' ? c : '?';  // 10......: UTF-8 tail
  }
  return out;
}

struct Corner {  // the layout that stb_easy_font_print writes
  float x, y, z;
  std::uint8_t colour[4];
};

}  // namespace

TextSize text_size(const std::string& text, std::int64_t height) {
  std::string s = in_the_font(text);  // the library takes a mutable pointer
  return {stb_easy_font_width(s.data()) * zoom(height), kCapitalHeight * zoom(height)};
}

void draw_text(Image& image, const std::string& text, std::int64_t x, std::int64_t y,
               std::int64_t height, const Colour& colour) {
  std::string s = in_the_font(text);
  std::vector<Corner> corners(s.size() * 4 * 70);  // the library's bound: 270 bytes a letter
  const int quads = stb_easy_font_print(0, 0, s.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(Corner)));
  const auto z = static_cast<float>(zoom(height));
  for (int q = 0; q < quads; ++q) {
    const Corner &a = corners[static_cast<std::size_t>(4 * q)],
                 &b = corners[static_cast<std::size_t>(4 * q + 2)];
    for (auto py = static_cast<std::int64_t>(a.y * z); py < static_cast<std::int64_t>(b.y * z);
         ++py)
      for (auto px = static_cast<std::int64_t>(a.x * z); px < static_cast<std::int64_t>(b.x * z);
           ++px)
        if (x + px >= 0 && x + px < image.width && y + py >= 0 && y + py < image.height)
          std::copy_n(colour.begin(), image.channels, image.at(x + px, y + py));
  }
}
#endif

}  // namespace darknet
