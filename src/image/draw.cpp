#include "image/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "core/index.h"

namespace darknet {
namespace {

constexpr Colour kBlack{20, 20, 20}, kWhite{255, 255, 255};
constexpr std::int64_t kLegendWidth = 300;  // pixels, at least; small images become that wide

Colour readable_on(const Colour& c) { return luma_of(c) > 128 ? Colour{0, 0, 0} : kWhite; }

// Of a line around lines of this colour: apart from them, and from grounds of their colour.
Colour edge_of(const Colour& c) {
  constexpr int kDark = 80;  // of 255
  return luma_of(c) < kDark ? kWhite : kBlack;
}

void fill(Image& image, const PixelArea& a, const Colour& colour) {
  fill_rectangle(image, a.x, a.y, a.width, a.height, colour);
}

// `line` pixels wide, within the area.
void outline(Image& image, const PixelArea& a, std::int64_t line, const Colour& colour) {
  fill(image, {a.x, a.y, a.width, line}, colour);
  fill(image, {a.x, a.bottom() - line, a.width, line}, colour);
  fill(image, {a.x, a.y, line, a.height}, colour);
  fill(image, {a.right() - line, a.y, line, a.height}, colour);
}

std::int64_t to_pixel(float fraction, std::int64_t size) {
  // A wild box must not overflow, nor one that is not a number.
  const float bounded = fraction > -1 ? std::min(fraction, 2.f) : -1;
  return std::llround(bounded * static_cast<float>(size));
}

std::int64_t smaller_side(const Image& image) { return std::min(image.width, image.height); }
std::int64_t line_width(const Image& image) {
  return std::max<std::int64_t>(1, smaller_side(image) / 240);
}

// With the coloured line, without the thin one around it.
PixelArea outlined_area(const Box& box, const Image& image) {
  constexpr std::int64_t kSmall = 12;  // lines a side: a line within would hide the object
  const std::int64_t x = to_pixel(box.left(), image.width), y = to_pixel(box.top(), image.height);
  const PixelArea a{x, y, to_pixel(box.right(), image.width) - x,
                    to_pixel(box.bottom(), image.height) - y};
  const std::int64_t line = line_width(image);
  return std::min(a.width, a.height) < kSmall * line ? a.grown(line) : a;
}

struct CaptionSize {
  std::int64_t text, margin;  // height of a capital letter, and around it
  explicit CaptionSize(const Image& image, std::int64_t height = 0)
      : text(height > 0 ? height : std::max<std::int64_t>(9, smaller_side(image) / 72)),
        margin(text / 3 + 1) {}
  std::int64_t bar() const { return text + 2 * margin; }
};

// A text on a bar of its own: its size, and where in it the text stands.
struct Tag {
  std::string text;
  TextStyle style;
  std::int64_t margin = 0, above = 0;
  PixelArea area;

  Tag(const CaptionSize& size, std::string words, const Colour& on, std::int64_t max_width)
      : text(std::move(words)), style{size.text, readable_on(on), max_width}, margin(size.margin) {
    const TextSize s = text_size(text, style);
    above = std::max(margin, s.above + 1);
    area = {0, 0, s.width + 2 * margin, above + s.height + std::max(margin, s.below + 1)};
  }
  void draw(Image& image, const Colour& ground) const {
    fill(image, area, ground);
    draw_text(image, text, area.x + margin, area.y + above, style);
  }
};

// The boxes of an image with their captions, on the way to their places.
class Captions {
 public:
  Captions(Image& image, std::span<const CaptionedBox> boxes, const CaptionOptions& options)
      : image_(image),
        boxes_(boxes),
        size_(image, options.text_height),
        reserved_(options.reserved),
        crowded_(options.crowded) {
    for (const CaptionedBox& b : boxes) areas_.push_back(outlined_area(b.box, image));
  }

  void draw() {
    for (std::size_t i = 0; i < boxes_.size(); ++i)
      if (!boxes_[i].caption.empty()) all_.push_back(i);
    clear();
    std::vector<std::size_t> left = place_all();
    if (!left.empty()) crowded_ == Crowded::legend ? number(left) : make_key();
    draw_placed();
    if (!left.empty() && crowded_ == Crowded::legend) add_legend(left);
  }

 private:
  static constexpr std::int64_t kReach = 6, kNumberReach = 12;  // heights of a caption
  static constexpr std::size_t kManyLeft = 3;                   // one in so many

  struct Placed {
    std::size_t box;
    Tag tag;
    CaptionPlace place;
  };

  void clear() {
    std::vector<PixelArea> reserved;
    if (reserved_.width > 0) reserved.push_back(reserved_);
    places_.emplace(PixelArea{0, 0, image_.width, image_.height}, visible_areas(),
                    std::move(reserved));
    placed_.clear();
  }
  std::vector<PixelArea> visible_areas() const {
    std::vector<PixelArea> visible;
    for (const PixelArea& a : areas_) {
      const std::int64_t x = std::clamp<std::int64_t>(a.x, 0, image_.width),
                         y = std::clamp<std::int64_t>(a.y, 0, image_.height);
      visible.push_back({x, y, std::max<std::int64_t>(1, std::min(a.right(), image_.width) - x),
                         std::max<std::int64_t>(1, std::min(a.bottom(), image_.height) - y)});
    }
    return visible;
  }

  bool place(std::size_t box, const std::string& text, std::int64_t reach) {
    Tag tag(size_, text, boxes_[box].colour, std::max<std::int64_t>(image_.width / 2, 60));
    auto place = places_->take(box, tag.area.width, tag.area.height, reach * size_.bar());
    if (!place) return false;
    tag.area = place->area;
    placed_.push_back({box, std::move(tag), *place});
    return true;
  }

  std::vector<std::size_t> place_all() {  // those that found no place
    std::vector<std::size_t> left;
    for (const std::size_t i : all_)
      if (!place(i, boxes_[i].caption, kReach)) left.push_back(i);
    return left;
  }

  void number(std::vector<std::size_t>& left) {
    // Numbers for all are easier to read than captions for the few that found a place.
    if (left.size() * kManyLeft > all_.size()) clear(), left = all_;
    for (std::size_t k = 0; k < left.size(); ++k)
      if (!place(left[k], std::to_string(k + 1), kReach))
        place(left[k], std::to_string(k + 1), kNumberReach);
  }

  void draw_placed() {
    const std::int64_t line = line_width(image_);
    for (const Placed& p : placed_)
      if (p.place.leader) {
        const std::array ends{p.place.leader->first, p.place.leader->second};
        const auto width = static_cast<float>(line);
        draw_polyline(image_, ends, {edge_of(boxes_[p.box].colour), width + 2, {}});
        draw_polyline(image_, ends, {boxes_[p.box].colour, width, {}});
      }
    for (const Placed& p : placed_) p.tag.draw(image_, boxes_[p.box].colour);
    for (const auto& [tag, colour] : key_) tag.draw(image_, colour);
  }

  // Below the image, in columns: a number on its colour, and what it stands for.
  void add_legend(const std::vector<std::size_t>& which) {
    const std::int64_t gap = size_.text,
                       number_width =
                           Tag(size_, std::to_string(which.size()), kWhite, 0).area.width;
    const std::int64_t width = std::max(image_.width, kLegendWidth);
    std::vector<Tag> texts;
    std::int64_t widest = 0, row = 0;
    for (const std::size_t i : which) {
      texts.emplace_back(size_, boxes_[i].caption, kWhite, width - number_width - 2 * gap);
      widest = std::max(widest, texts.back().area.width);
      row = std::max(row, texts.back().area.height + 2);
    }
    const auto count = std::ssize(which);
    const std::int64_t column = number_width + widest + gap;
    const std::int64_t columns = std::clamp<std::int64_t>((width - gap) / column, 1, count);
    const std::int64_t rows = (count + columns - 1) / columns, top = image_.height + gap;
    extend(width, top + rows * row + gap);
    for (std::int64_t k = 0; k < count; ++k) {
      const auto i = to_size(k);
      const Colour& colour = boxes_[which[i]].colour;
      const std::int64_t x = gap + k / rows * column, y = top + k % rows * row;
      Tag number(size_, std::to_string(k + 1), colour, 0);
      number.area = {x + number_width - number.area.width, y, number.area.width,
                     number.area.height};
      number.draw(image_, colour);
      texts[i].area.x = x + number_width, texts[i].area.y = y;
      texts[i].draw(image_, kWhite);
    }
  }

  // White paper to the right and below.
  void extend(std::int64_t width, std::int64_t height) {
    Image larger(width, height, image_.channels);
    std::fill(larger.pixels.begin(), larger.pixels.end(), kWhite[0]);
    for (std::int64_t y = 0; y < image_.height; ++y)
      std::copy_n(image_.at(0, y), image_.width * image_.channels, larger.at(0, y));
    image_ = std::move(larger);
  }

  // What the colours mean, and how many there are of each; captions then stand around it.
  void make_key() {
    std::map<std::pair<std::string, Colour>, std::int64_t> counts;
    for (const std::size_t i : all_) ++counts[{boxes_[i].kind, boxes_[i].colour}];
    PixelArea key;
    for (const auto& [kind, count] : counts) {
      key_.emplace_back(
          Tag(size_, std::to_string(count) + " " + kind.first, kind.second, image_.width / 3),
          kind.second);
      key.width = std::max(key.width, key_.back().first.area.width);
      key.height += key_.back().first.area.height;
    }
    clear();
    key = places_->take_at_edge(key.width, key.height);
    for (auto& [tag, colour] : key_) {
      tag.area = {key.x, key.y, key.width, tag.area.height};
      key.y += tag.area.height;
    }
    place_all();
  }

  Image& image_;
  std::span<const CaptionedBox> boxes_;
  CaptionSize size_;
  PixelArea reserved_;
  Crowded crowded_;
  std::vector<PixelArea> areas_;
  std::optional<CaptionPlaces> places_;
  std::vector<std::size_t> all_;  // that have a caption
  std::vector<Placed> placed_;
  std::vector<std::pair<Tag, Colour>> key_;
};

// The upper left corner, so that white text can be read on whatever is there.
void darken(Image& image, const PixelArea& a) {
  for (std::int64_t y = a.y; y < a.bottom(); ++y) {
    std::uint8_t* const row = image.at(a.x, y);
    for (std::int64_t i = 0; i < a.width * image.channels; ++i)
      row[i] = static_cast<std::uint8_t>(row[i] / 4);
  }
}

TextStyle panel_style(const Image& image) {
  const CaptionSize size(image);
  return {size.text, kWhite, std::max<std::int64_t>(image.width - 4 * size.margin, 1)};
}

}  // namespace

// The seven colours of Okabe and Ito, which people with any kind of colour vision distinguish, in
// an order that keeps neighbours unlike; then the same lighter, then darker.
Colour class_colour(std::int64_t class_id) {
  constexpr std::array<Colour, 7> kHues{{{86, 180, 233},
                                         {230, 159, 0},
                                         {0, 158, 115},
                                         {204, 121, 167},
                                         {0, 114, 178},
                                         {240, 228, 66},
                                         {213, 94, 0}}};
  constexpr int kWhite = 255, kLighter = 45, kDarker = 60;  // percent
  const auto k = to_size(std::max<std::int64_t>(class_id, 0));
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

void draw_box(Image& image, const Box& box, const Colour& colour) {
  const std::int64_t line = line_width(image), thin = std::max<std::int64_t>(1, line / 2);
  const PixelArea area = outlined_area(box, image);
  outline(image, area.grown(thin), thin, edge_of(colour));
  outline(image, area, line, colour);
}

void draw_boxes(Image& image, std::span<const CaptionedBox> boxes, const CaptionOptions& options) {
  for (auto b = boxes.rbegin(); b != boxes.rend(); ++b) draw_box(image, b->box, b->colour);
  Captions(image, boxes, options).draw();
}

PixelArea panel_area(const Image& image, std::span<const std::string> lines) {
  if (lines.empty()) return {};
  const CaptionSize size(image);
  std::int64_t width = 0;
  for (const std::string& line : lines)
    width = std::max(width, text_size(line, panel_style(image)).width);
  const auto rows = std::ssize(lines);
  return {0, 0, std::min(width + 4 * size.margin, image.width),
          std::min(rows * size.bar() + 2 * size.margin, image.height)};
}

void draw_panel(Image& image, std::span<const std::string> lines) {
  const CaptionSize size(image);
  darken(image, panel_area(image, lines));
  std::int64_t y = 2 * size.margin;
  for (const std::string& line : lines) {
    draw_text(image, line, 2 * size.margin, y, panel_style(image));
    y += size.bar();
  }
}

}  // namespace darknet
