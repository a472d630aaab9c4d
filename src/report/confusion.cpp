#include "report/confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/index.h"
#include "core/utf8.h"
#include "image/canvas.h"
#include "report/picture_style.h"

namespace darknet {
namespace {

constexpr Colour kEmpty{240, 241, 244};
constexpr Colour kRight{0, 90, 160}, kWrong{200, 70, 0};
constexpr std::int64_t kMatrix = 1140, kMaxCell = 64, kMaxPixels = 1800;  // pixels
constexpr std::int64_t kTitleLetters = 11, kLabelStep = 14, kMaxLabel = 170, kSpace = 12;
constexpr std::int64_t kNumberCell = 34, kGridCell = 8;  // cells with a count, with a line between
constexpr std::size_t kMaxListed = 12;

struct Confusion {
  std::int64_t truth, detected, count;
  double share;  // of its row
};

class ConfusionPlot {
 public:
  ConfusionPlot(const DetectionErrors& e, const std::vector<std::string>& names,
                const std::string& title)
      : errors_(e), names_(names), title_(title), size_(e.classes + 1) {
    group_ = (size_ + kMaxPixels - 1) / kMaxPixels;
    cells_ = (size_ + group_ - 1) / group_;
    cell_ = std::clamp<std::int64_t>(kMatrix / cells_, 1, kMaxCell);
    step_ = (kLabelStep + cell_ - 1) / cell_;
    for (std::int64_t k = 0; k < size_; ++k)
      label_ = std::max(
          {label_, text_size(row_name(k), soft()).width, text_size(column_name(k), soft()).width});
    for (std::int64_t t = 0; t < size_; ++t) {
      totals_.push_back(0);
      for (std::int64_t d = 0; d < size_; ++d) totals_.back() += e.confused(t, d);
    }
    if (cell_ < kNumberCell) largest_ = largest_confusions();
    left_ = kSpace + kLabelStep + label_ + 6, top_ = 4 * kSpace + kLabelStep + label_;
  }

  Image draw() {
    const std::int64_t matrix = cells_ * cell_;
    const auto listed = std::ssize(largest_);
    const std::int64_t list = listed == 0 ? 0 : (listed + 2) * kLabelStep;
    image_ = Image(std::max({left_ + matrix + kSpace, left_ + scale_width(), kMinWidth}),
                   top_ + matrix + 4 * kSpace + kLabelStep + list, 3);
    std::fill(image_.pixels.begin(), image_.pixels.end(), kPaper[0]);
    draw_text(image_, title_, kSpace, kSpace, {kTitleLetters, kInk, image_.width - 2 * kSpace});
    draw_text(image_, "detected as", left_, 3 * kSpace, soft());
    draw_text(image_, "ground truth", kSpace, top_, {kLetters, kSoft, 0, true});
    for (std::int64_t row = 0; row < cells_; ++row)
      for (std::int64_t column = 0; column < cells_; ++column) draw_cell(row, column);
    draw_labels();
    draw_scale(top_ + matrix + 2 * kSpace);
    draw_list(top_ + matrix + 4 * kSpace + kLabelStep);
    return std::move(image_);
  }

 private:
  static constexpr std::int64_t kMinWidth = 480;
  static TextStyle soft() { return {kLetters, kSoft, kMaxLabel}; }
  const std::string& row_name(std::int64_t k) const {
    static const std::string background = "background";
    return k < errors_.classes ? names_[to_size(k)] : background;
  }
  const std::string& column_name(std::int64_t k) const {
    static const std::string missed = "missed";
    return k < errors_.classes ? names_[to_size(k)] : missed;
  }
  double share(std::int64_t truth, std::int64_t detected) const {
    const std::int64_t total = totals_[to_size(truth)];
    return total == 0 ? 0
                      : static_cast<double>(errors_.confused(truth, detected)) /
                            static_cast<double>(total);
  }

  // Small shares too are to be seen.
  Colour shade(double share, bool right) const {
    if (share <= 0) return kEmpty;
    const double min = cell_ >= kNumberCell ? .12 : .3;  // a small cell without a number
    const double strength = min + (1 - min) * std::pow(share, .7);
    Colour c = right ? kRight : kWrong;
    for (std::uint8_t& v : c)
      v = static_cast<std::uint8_t>(std::lround(std::lerp(255., v, strength)));
    return c;
  }

  void draw_cell(std::int64_t row, std::int64_t column) {
    Confusion max{row * group_, column * group_, 0, 0};
    for (std::int64_t t = row * group_; t < std::min((row + 1) * group_, size_); ++t)
      for (std::int64_t d = column * group_; d < std::min((column + 1) * group_, size_); ++d)
        if (share(t, d) > max.share) max = {t, d, errors_.confused(t, d), share(t, d)};
    const Colour colour = shade(max.share, max.truth == max.detected);
    const std::int64_t line = cell_ >= kGridCell ? 1 : 0, x = left_ + column * cell_,
                       y = top_ + row * cell_;
    fill_rectangle(image_, x, y, cell_ - line, cell_ - line, colour);
    if (cell_ < kNumberCell || max.count == 0) return;
    const TextStyle style{kLetters, luma_of(colour) > 128 ? kInk : kPaper, cell_ - 3};
    const std::string count =
        max.count < 100000 ? std::to_string(max.count) : fmt::format("{}k", max.count / 1000);
    draw_text(image_, count, x + (cell_ - text_size(count, style).width) / 2,
              y + (cell_ - kLetters) / 2, style);
  }

  // As many as have room; the last ones always.
  void draw_labels() {
    const auto middle = [&](std::int64_t cell) { return cell * cell_ + cell_ / 2 - kLetters / 2; };
    const auto draw_one = [&](std::int64_t cell, std::int64_t k) {
      const std::int64_t width = text_size(row_name(k), soft()).width;
      draw_text(image_, row_name(k), left_ - 6 - width, top_ + middle(cell), soft());
      TextStyle turned = soft();
      turned.upwards = true;
      const std::int64_t height = text_size(column_name(k), turned).width;
      draw_text(image_, column_name(k), left_ + middle(cell), top_ - 6 - height, turned);
    };
    for (std::int64_t cell = 0; cell + step_ <= cells_ - 1; cell += step_)
      draw_one(cell, cell * group_);
    draw_one(cells_ - 1, size_ - 1);
  }

  static constexpr std::int64_t kStrip = 80;
  static constexpr const char *kRightText = "correct", *kWrongText = "wrong: 0 to 100 % of the row";
  static std::int64_t scale_width() {
    std::int64_t width = 0;
    for (const char* text : {kRightText, kWrongText})
      width += kStrip + 6 + text_size(text, {kLetters, kSoft}).width + 2 * kSpace;
    return width;
  }
  void draw_scale(std::int64_t y) {
    std::int64_t x = left_;
    const auto strip = [&](bool right, const std::string& text) {
      for (std::int64_t i = 0; i < kStrip; ++i)
        fill_rectangle(image_, x + i, y, 1, kLetters + 2,
                       shade(static_cast<double>(i + 1) / kStrip, right));
      draw_text(image_, text, x + kStrip + 6, y + 1, {kLetters, kSoft});
      x += kStrip + 6 + text_size(text, {kLetters, kSoft}).width + 2 * kSpace;
    };
    strip(true, kRightText);
    strip(false, kWrongText);
  }

  std::vector<Confusion> largest_confusions() const {
    std::vector<Confusion> all;
    for (std::int64_t t = 0; t < errors_.classes; ++t)
      for (std::int64_t d = 0; d < errors_.classes; ++d)
        if (t != d && errors_.confused(t, d) > 0)
          all.push_back({t, d, errors_.confused(t, d), share(t, d)});
    const auto kept = std::min(kMaxListed, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(),
                      [](const Confusion& a, const Confusion& b) {
                        return std::pair(-a.count, std::pair(a.truth, a.detected)) <
                               std::pair(-b.count, std::pair(b.truth, b.detected));
                      });
    all.resize(kept);
    return all;
  }

  void draw_list(std::int64_t y) {
    if (largest_.empty()) return;
    const std::int64_t width = image_.width - left_ - kSpace;
    draw_text(image_, "Most frequent confusions of classes", left_, y, {kLetters, kInk, width});
    for (const Confusion& c : largest_)
      draw_text(
          image_,
          fmt::format("{}: {} as {} ({:.0f} % of its objects)", c.count,
                      isolated(row_name(c.truth)), isolated(row_name(c.detected)), 100 * c.share),
          left_, y += kLabelStep, {kLetters, kSoft, width});
  }

  const DetectionErrors& errors_;
  const std::vector<std::string>& names_;
  const std::string& title_;
  std::int64_t size_, group_ = 1, cells_ = 1, cell_ = 1, step_ = 1, label_ = 0, left_ = 0, top_ = 0;
  std::vector<std::int64_t> totals_;  // of each row
  std::vector<Confusion> largest_;
  Image image_;
};

}  // namespace

Image confusion_image(const DetectionErrors& e, const std::vector<std::string>& names,
                      const std::string& title) {
  return ConfusionPlot(e, names, title).draw();
}

}  // namespace darknet
