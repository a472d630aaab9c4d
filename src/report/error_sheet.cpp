#include "report/error_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "core/index.h"
#include "core/log.h"
#include "core/utf8.h"
#include "image/canvas.h"
#include "image/draw.h"
#include "report/csv.h"
#include "report/picture_style.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kColumns = 5, kRows = 4, kCell = 260, kTile = 200;  // pixels
constexpr std::int64_t kLineGap = 6;
constexpr Colour kFalse{213, 94, 0}, kMissed{240, 200, 40};

struct Cell {
  std::int64_t image = 0;
  Box box;
  Colour colour{};
  std::vector<std::string> lines;
};

// A square part of the image around the box, three times as large, at kTile pixels a side.
Image part_around(const Image& image, const Box& box, const Colour& colour) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  const float side = std::clamp(3 * std::max(box.w * w, box.h * h), 48.f, std::max(w, h));
  const float left = box.x * w - side / 2, top = box.y * h - side / 2;
  Image part(kTile, kTile, 3);
  for (std::int64_t y = 0; y < kTile; ++y)
    for (std::int64_t x = 0; x < kTile; ++x) {
      const auto sx = static_cast<std::int64_t>(
                     std::floor(left + side * (static_cast<float>(x) + .5f) / kTile)),
                 sy = static_cast<std::int64_t>(
                     std::floor(top + side * (static_cast<float>(y) + .5f) / kTile));
      const bool inside = sx >= 0 && sy >= 0 && sx < image.width && sy < image.height;
      for (std::int64_t c = 0; c < 3; ++c) part.at(x, y)[c] = inside ? image.at(sx, sy)[c] : 200;
    }
  const Box shown{(box.x * w - left) / side, (box.y * h - top) / side, box.w * w / side,
                  box.h * h / side};
  draw_box(part, shown, colour);
  return part;
}

void draw_cell(Image& sheet, std::int64_t place, const Cell& cell, const ErrorSheets& s) {
  const std::int64_t left = place % kColumns * kCell + kLineGap,
                     top = place / kColumns * kCell + kLineGap;
  const Image part = part_around(read_image(s.images[to_size(cell.image)]), cell.box, cell.colour);
  for (std::int64_t y = 0; y < kTile; ++y)
    std::copy_n(part.at(0, y), 3 * kTile, sheet.at(left, top + y));
  std::int64_t y = top + kTile + kLineGap;
  for (std::size_t i = 0; i < cell.lines.size(); ++i, y += kLetters + kLineGap)
    draw_text(sheet, cell.lines[i], left, y,
              {kLetters, i == 0 ? kInk : kSoft, kCell - 2 * kLineGap});
}

std::vector<fs::path> write_sheets(const fs::path& base, const std::vector<Cell>& cells,
                                   const ErrorSheets& s, log::Progress& progress,
                                   std::int64_t& done) {
  constexpr std::int64_t kPage = kColumns * kRows;
  std::vector<fs::path> written;
  const auto count = std::ssize(cells);
  for (std::int64_t first = 0; first < count; first += kPage) {
    const std::int64_t here = std::min(kPage, count - first);
    Image sheet(kColumns * kCell, (here + kColumns - 1) / kColumns * kCell, 3);
    std::fill(sheet.pixels.begin(), sheet.pixels.end(), kPaper[0]);
    for (std::int64_t i = 0; i < here; ++i, progress.at(++done))
      draw_cell(sheet, i, cells[to_size(first + i)], s);
    written.emplace_back(fmt::format("{}-{}.png", base.string(), first / kPage + 1));
    write_image(written.back(), sheet);
  }
  return written;
}

std::string name_of_class(const ErrorSheets& s, std::int32_t id) {
  return id < 0 ? "background" : s.names[to_size(id)];
}

std::string image_name(const ErrorSheets& s, std::int64_t i) {
  return s.images[to_size(i)].filename().string();
}

std::vector<Cell> false_cells(const DetectionErrors& e, const ErrorSheets& s) {
  std::vector<Cell> cells;
  for (const FalsePositive& f : e.false_positives) {
    if (std::ssize(cells) == s.max) break;
    std::string why = name_of(f.kind);
    if (f.kind == FalseKind::wrong_class) why += ": is " + name_of_class(s, f.confused_with);
    if (f.iou > 0) why += fmt::format(", IoU {:.2f}", f.iou);
    cells.push_back({f.image,
                     f.detection.box,
                     kFalse,
                     {fmt::format("{} {:.0f} %", isolated(name_of_class(s, f.detection.class_id)),
                                  100 * f.detection.probability),
                      why, image_name(s, f.image)}});
  }
  return cells;
}

std::vector<Cell> missed_cells(const DetectionErrors& e, const ErrorSheets& s) {
  std::vector<Cell> cells;
  for (const MissedTruth& m : e.misses) {
    if (std::ssize(cells) == s.max) break;
    cells.push_back({m.image,
                     m.truth.box,
                     kMissed,
                     {name_of_class(s, m.truth.class_id), "missed", image_name(s, m.image)}});
  }
  return cells;
}

constexpr const char* kCsvHeader = "image,kind,class,probability,truth,iou,x,y,width,height\n";

std::string csv(const DetectionErrors& e, const ErrorSheets& s) {
  std::string text = kCsvHeader;
  const auto box = [](const Box& b) {
    return fmt::format("{:.6f},{:.6f},{:.6f},{:.6f}\n", b.x, b.y, b.w, b.h);
  };
  const auto image = [&](std::int64_t i) { return csv_field(s.images[to_size(i)].string()); };
  for (const FalsePositive& f : e.false_positives)
    text += fmt::format("{},{},{},{:.6g},{},{:.4f},", image(f.image), name_of(f.kind),
                        csv_field(name_of_class(s, f.detection.class_id)), f.detection.probability,
                        csv_field(name_of_class(s, f.confused_with)), f.iou) +
            box(f.detection.box);
  for (const MissedTruth& m : e.misses) {
    const std::string name = csv_field(name_of_class(s, m.truth.class_id));
    text += fmt::format("{},missed,,,{},,", image(m.image), name) + box(m.truth.box);
  }
  return text;
}

}  // namespace

void require_writable_error_sheets(const fs::path& folder) {
  require_writable_folder(folder);
  require_writable_file(folder / "errors.csv", format_of(kCsvHeader));
}

std::vector<fs::path> write_error_sheets(const fs::path& folder, const DetectionErrors& e,
                                         const ErrorSheets& s) {
  require_writable_folder(folder);
  write_file_atomically(folder / "errors.csv", csv(e, s));
  const auto false_ones = false_cells(e, s), missed = missed_cells(e, s);
  log::Progress progress("drawing errors",
                         static_cast<std::int64_t>(false_ones.size() + missed.size()));
  std::int64_t done = 0;
  auto written = write_sheets(folder / "false-positives", false_ones, s, progress, done);
  for (auto& path : write_sheets(folder / "misses", missed, s, progress, done))
    written.push_back(std::move(path));
  return written;
}

}  // namespace darknet
