#include "image/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "image/canvas.h"

namespace darknet {
namespace {

void fill(Image& image, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1,
          const Colour& colour) {
  fill_rectangle(image, x0, y0, x1 - x0, y1 - y0, colour);
}

void outline(Image& image, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1,
             std::int64_t line, const Colour& colour) {
  fill(image, x0, y0, x1, y0 + line, colour);
  fill(image, x0, y1 - line, x1, y1, colour);
  fill(image, x0, y0, x0 + line, y1, colour);
  fill(image, x1 - line, y0, x1, y1, colour);
}

Colour readable_on(const Colour& c) {
  const int luma = 77 * c[0] + 150 * c[1] + 29 * c[2];
  return luma > 128 * 256 ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

std::int64_t to_pixel(float fraction, std::int64_t size) {
  // A wild box must not overflow, nor one that is not a number.
  const float bounded = fraction > -1 ? std::min(fraction, 2.f) : -1;
  return std::llround(bounded * static_cast<float>(size));
}

struct Frame {
  std::int64_t x0, y0, x1, y1, line;  // pixels
};

Frame frame_of(const Box& box, const Image& image) {
  return {to_pixel(box.left(), image.width), to_pixel(box.top(), image.height),
          to_pixel(box.right(), image.width), to_pixel(box.bottom(), image.height),
          std::max<std::int64_t>(1, std::min(image.width, image.height) / 240)};
}

struct Bar {
  std::int64_t x = 0, y = 0, width = 0, height = 0;  // pixels
  // Pixels of both.
  std::int64_t common(const Bar& o) const {
    const std::int64_t w = std::min(x + width, o.x + o.width) - std::max(x, o.x),
                       h = std::min(y + height, o.y + o.height) - std::max(y, o.y);
    return w > 0 && h > 0 ? w * h : 0;
  }
};

std::int64_t caption_height(const Image& image) {
  return std::max<std::int64_t>(9, std::min(image.width, image.height) / 72);
}
std::int64_t caption_margin(std::int64_t height) { return height / 3 + 1; }

// As much of it as fits, in whole UTF-8 letters.
std::string shortened(const std::string& text, std::int64_t height, std::int64_t width) {
  if (text_size(text, height).width <= width) return text;
  std::string kept = text;
  do {
    while (!kept.empty() && (kept.back() & 0xC0) == 0x80) kept.pop_back();
    if (!kept.empty()) kept.pop_back();
  } while (!kept.empty() && text_size(kept + "\u2026", height).width > width);
  return kept + "\u2026";
}

// Where a caption may stand, the best place first, all of it in the picture.
using Places = std::array<Bar, 8>;

Places places_of(const Frame& f, const Image& image, std::int64_t width, std::int64_t height) {
  Places places{{{f.x0, f.y0 - height, width, height},
                 {f.x0, f.y1, width, height},
                 {f.x1 - width, f.y0 - height, width, height},
                 {f.x0, f.y0 + f.line, width, height},
                 {f.x1 - width, f.y1, width, height},
                 {f.x0, f.y1 - f.line - height, width, height},
                 {f.x1, f.y0, width, height},
                 {f.x0 - width, f.y0, width, height}}};
  for (Bar& p : places) {
    p.x = std::clamp<std::int64_t>(p.x, 0, std::max<std::int64_t>(0, image.width - width));
    if (p.y < 0 || p.y + height > image.height)  // no room: into the box
      p.y = std::clamp<std::int64_t>(f.y0 + f.line, 0,
                                     std::max<std::int64_t>(0, image.height - height));
  }
  return places;
}

// The first that is free, else the one that covers least of what is there.
Bar free_place(const Places& places, const std::vector<Bar>& taken) {
  const auto covered = [&](const Bar& p) {
    std::int64_t sum = 0;
    for (const Bar& t : taken) sum += t.common(p);
    return sum;
  };
  return *std::min_element(places.begin(), places.end(),
                           [&](const Bar& a, const Bar& b) { return covered(a) < covered(b); });
}

// The upper left corner, so that white text can be read on whatever is there.
void darken(Image& image, std::int64_t width, std::int64_t height) {
  for (std::int64_t y = 0; y < height; ++y) {
    std::uint8_t* const row = image.at(0, y);
    for (std::int64_t i = 0; i < width * image.channels; ++i)
      row[i] = static_cast<std::uint8_t>(row[i] / 4);
  }
}

}  // namespace

// The seven colours of Okabe and Ito, which people with any kind of colour vision tell apart, in an
// order that keeps neighbours unlike; then the same lighter, then darker.
Colour class_colour(std::int64_t class_id) {
  constexpr std::array<Colour, 7> kHues{{{86, 180, 233},
                                         {230, 159, 0},
                                         {0, 158, 115},
                                         {204, 121, 167},
                                         {0, 114, 178},
                                         {240, 228, 66},
                                         {213, 94, 0}}};
  constexpr int kWhite = 255, kLighter = 45, kDarker = 60;  // percent
  const auto k = static_cast<std::size_t>(std::max<std::int64_t>(class_id, 0));
  Colour colour = kHues[k % kHues.size()];
  for (std::uint8_t& c : colour) {
    const int plain = c, shade = static_cast<int>(k / kHues.size() % 3);
    const int value = shade == 0   ? plain
                      : shade == 1 ? plain + (kWhite - plain) * kLighter / 100
                                   : plain * kDarker / 100;
    c = static_cast<std::uint8_t>(value);
  }
  return colour;
}

void draw_box(Image& image, const Box& box, const Colour& colour, const std::string& caption) {
  const CaptionedBox one{box, colour, caption};
  draw_boxes(image, {&one, 1});
}

void draw_boxes(Image& image, std::span<const CaptionedBox> boxes) {
  const std::int64_t height = caption_height(image), margin = caption_margin(height);
  struct Placed {
    Bar bar;
    std::string text;
    Colour colour;
  };
  std::vector<Placed> captions;
  std::vector<Bar> taken;
  for (const CaptionedBox& b : boxes) {
    const Frame f = frame_of(b.box, image);
    outline(image, f.x0, f.y0, f.x1, f.y1, f.line, b.colour);
    if (b.caption.empty()) continue;
    const std::string text =
        shortened(b.caption, height, std::max<std::int64_t>(image.width / 2, 60));
    const std::int64_t width = text_size(text, height).width + 2 * margin;
    taken.push_back(free_place(places_of(f, image, width, height + 2 * margin), taken));
    captions.push_back({taken.back(), text, b.colour});
  }
  for (auto c = captions.rbegin(); c != captions.rend(); ++c) {
    fill_rectangle(image, c->bar.x, c->bar.y, c->bar.width, c->bar.height, c->colour);
    draw_text(image, c->text, c->bar.x + margin, c->bar.y + margin, height, readable_on(c->colour));
  }
}

void draw_panel(Image& image, std::span<const std::string> lines) {
  const std::int64_t height = caption_height(image), margin = caption_margin(height);
  const std::int64_t step = height + 2 * margin;
  std::vector<std::string> texts;
  std::int64_t width = 0;
  for (const std::string& line : lines) {
    texts.push_back(shortened(line, height, std::max<std::int64_t>(image.width - 4 * margin, 1)));
    width = std::max(width, text_size(texts.back(), height).width);
  }
  if (texts.empty()) return;
  const auto rows = static_cast<std::int64_t>(texts.size());
  darken(image, std::min(width + 4 * margin, image.width),
         std::min(rows * step + 2 * margin, image.height));
  for (std::int64_t i = 0; i < rows; ++i)
    draw_text(image, texts[static_cast<std::size_t>(i)], 2 * margin, 2 * margin + i * step, height,
              {255, 255, 255});
}

}  // namespace darknet
