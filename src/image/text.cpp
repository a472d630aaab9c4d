// Text for captions and charts: glyphs of a TrueType font by stb_truetype, or the letters of
// stb_easy_font where no font is installed.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "image/canvas.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#define STBTT_STATIC
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_easy_font.h>
#include <stb_truetype.h>
#pragma GCC diagnostic pop

namespace darknet {
namespace {

constexpr std::array<const char*, 4> kFonts{
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf"};
constexpr std::uint64_t kMostFontBytes = 16 << 20;
constexpr std::size_t kMostLetters = 1000;
constexpr std::int64_t kEasyHeight = 7;  // pixels of stb_easy_font's letters

// A text as coverage, 0..255.
struct Mask {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> cover;
  Mask(std::int64_t w, std::int64_t h)
      : width(w), height(h), cover(static_cast<std::size_t>(w * h)) {}
  std::uint8_t& at(std::int64_t x, std::int64_t y) {
    return cover[static_cast<std::size_t>(y * width + x)];
  }
};

// Code points; what is no UTF-8 becomes a question mark.
std::vector<int> letters_of(std::string_view text) {
  std::vector<int> letters;
  for (std::size_t i = 0; i < text.size() && letters.size() < kMostLetters;) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const int more = byte < 0x80       ? 0
                     : byte >> 5 == 6  ? 1
                     : byte >> 4 == 14 ? 2
                     : byte >> 3 == 30 ? 3
                                       : -1;
    int letter = more <= 0 ? byte : byte & (0x3F >> more);
    std::size_t end = i + 1;
    for (int k = 0; k < more && end < text.size() && (text[end] & 0xC0) == 0x80; ++k)
      letter = letter << 6 | (text[end++] & 0x3F);
    const bool whole = more >= 0 && end == i + 1 + static_cast<std::size_t>(more);
    letters.push_back(whole && letter >= ' ' ? letter : '?');
    i = end;
  }
  return letters;
}

class Font {
 public:
  explicit Font(std::string bytes) : bytes_(std::move(bytes)) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes_.data());
    const int offset = stbtt_GetFontOffsetForIndex(data, 0);
    sound_ = offset >= 0 && stbtt_InitFont(&info_, data, offset) != 0;
    int x0 = 0, y0 = 0, x1 = 0;
    if (sound_)
      sound_ = stbtt_GetCodepointBox(&info_, 'H', &x0, &y0, &x1, &capital_) && capital_ > 0;
  }
  bool sound() const { return sound_; }

  Mask render(const std::vector<int>& letters, std::int64_t height) const {
    const float scale = static_cast<float>(height) / static_cast<float>(capital_);
    Mask mask(static_cast<std::int64_t>(std::ceil(advance(letters) * scale)) + 1,
              height + below(height));
    float x = 0;
    for (std::size_t i = 0; i < letters.size(); ++i) {
      add_glyph(mask, letters[i], x, height, scale);
      x += scale * step(letters, i);
    }
    return mask;
  }

 private:
  // Room for descenders.
  static std::int64_t below(std::int64_t height) { return (height + 2) / 3; }

  float step(const std::vector<int>& letters, std::size_t i) const {
    int advance = 0, bearing = 0;
    stbtt_GetCodepointHMetrics(&info_, letters[i], &advance, &bearing);
    if (i + 1 < letters.size())
      advance += stbtt_GetCodepointKernAdvance(&info_, letters[i], letters[i + 1]);
    return static_cast<float>(advance);
  }
  float advance(const std::vector<int>& letters) const {
    float sum = 0;
    for (std::size_t i = 0; i < letters.size(); ++i) sum += step(letters, i);
    return sum;
  }
  void add_glyph(Mask& mask, int letter, float x, std::int64_t baseline, float scale) const {
    const float whole = std::floor(x);
    int w = 0, h = 0, dx = 0, dy = 0;
    using Bitmap = std::unique_ptr<unsigned char, decltype(&std::free)>;
    const Bitmap bitmap(stbtt_GetCodepointBitmapSubpixel(&info_, scale, scale, x - whole, 0, letter,
                                                         &w, &h, &dx, &dy),
                        &std::free);
    for (int row = 0; bitmap && row < h; ++row)
      for (int column = 0; column < w; ++column) {
        const std::int64_t px = static_cast<std::int64_t>(whole) + dx + column,
                           py = baseline + dy + row;
        if (px < 0 || py < 0 || px >= mask.width || py >= mask.height) continue;
        std::uint8_t& to = mask.at(px, py);
        to = std::max(to, bitmap.get()[row * w + column]);
      }
  }

  std::string bytes_;
  stbtt_fontinfo info_{};
  int capital_ = 0;  // height of a capital letter, font units
  bool sound_ = false;
};

const Font* installed_font() {
  static const std::unique_ptr<const Font> font = []() -> std::unique_ptr<const Font> {
    for (const char* path : kFonts) try {
        if (!std::filesystem::exists(path)) continue;
        auto found = std::make_unique<const Font>(read_file(path, kMostFontBytes));
        if (found->sound()) return found;
      } catch (const Error&) {  // unreadable: the next one, or none
        continue;
      }
    return nullptr;
  }();
  return font.get();
}

struct Corner {  // the layout that stb_easy_font_print writes
  float x, y, z;
  std::uint8_t colour[4];
};

Mask easy_render(const std::vector<int>& letters, std::int64_t height) {
  std::string text;  // the library looks letters up unchecked
  for (const int l : letters) text += l >= ' ' && l <= '~' ? static_cast<char>(l) : '?';
  const std::int64_t zoom = std::max<std::int64_t>(1, height / kEasyHeight);
  Mask mask(stb_easy_font_width(text.data()) * zoom, (kEasyHeight + 3) * zoom);
  std::vector<Corner> corners(text.size() * 4 * 70);  // the library's bound: 270 bytes a letter
  const int quads = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(Corner)));
  for (int q = 0; q < quads; ++q) {
    const std::size_t first = 4 * static_cast<std::size_t>(q);
    const Corner &a = corners[first], &b = corners[first + 2];
    for (auto y = static_cast<std::int64_t>(a.y) * zoom; y < static_cast<std::int64_t>(b.y) * zoom;
         ++y)
      for (auto x = static_cast<std::int64_t>(a.x) * zoom;
           x < static_cast<std::int64_t>(b.x) * zoom; ++x)
        if (x >= 0 && x < mask.width && y >= 0 && y < mask.height) mask.at(x, y) = 255;
  }
  return mask;
}

Mask render(const std::string& text, std::int64_t height) {
  height = std::clamp<std::int64_t>(height, 1, 1000);
  const std::vector<int> letters = letters_of(text);
  if (const Font* font = installed_font()) return font->render(letters, height);
  return easy_render(letters, height);
}

// `place`: where the mask's pixel goes.
template <class Place>
void blend(Image& image, Mask& mask, const Colour& colour, const Place& place) {
  for (std::int64_t y = 0; y < mask.height; ++y)
    for (std::int64_t x = 0; x < mask.width; ++x) {
      const int cover = mask.at(x, y);
      const auto [px, py] = place(x, y);
      if (cover == 0 || px < 0 || py < 0 || px >= image.width || py >= image.height) continue;
      std::uint8_t* pixel = image.at(px, py);
      for (std::int64_t c = 0; c < image.channels; ++c)
        pixel[c] = static_cast<std::uint8_t>(
            (pixel[c] * (255 - cover) + colour[static_cast<std::size_t>(c)] * cover + 127) / 255);
    }
}

using Spot = std::pair<std::int64_t, std::int64_t>;

}  // namespace

TextSize text_size(const std::string& text, std::int64_t height) {
  return {render(text, height).width, height};
}

void draw_text(Image& image, const std::string& text, std::int64_t x, std::int64_t y,
               std::int64_t height, const Colour& colour) {
  Mask mask = render(text, height);
  blend(image, mask, colour, [&](std::int64_t mx, std::int64_t my) {
    return Spot{x + mx, y + my};
  });
}

void draw_text_upwards(Image& image, const std::string& text, std::int64_t x, std::int64_t y,
                       std::int64_t height, const Colour& colour) {
  Mask mask = render(text, height);
  blend(image, mask, colour, [&](std::int64_t mx, std::int64_t my) {
    return Spot{x + my, y + mask.width - 1 - mx};
  });
}

}  // namespace darknet
