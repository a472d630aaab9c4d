#include "report/training_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/file.h"
#include "core/file_format.h"
#include "core/index.h"
#include "core/log.h"
#include "core/number.h"
#include "core/protected_files.h"
#include "core/text.h"
#include "dataset/augment.h"
#include "image/draw.h"
#include "report/picture_style.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kSheetColumns = 5, kSheetImages = 20;
constexpr std::int64_t kPictureSide = 416, kPictureGap = 6;  // pixels
constexpr std::int64_t kCaptionLine = kLetters + 2 * kPictureGap;

std::uint8_t byte_of_unit(float value) {
  if (!std::isfinite(value)) return 0;
  return static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.f, 1.f)));
}

// The channels that displayed() shows.
Image picture_of(const std::vector<float>& pixels, std::int64_t width, std::int64_t height) {
  const auto channels = std::ssize(pixels) / (width * height);
  Image image(width, height, 3);
  for (std::int64_t i = 0; i < width * height; ++i)
    for (std::int64_t c = 0; c < 3; ++c)
      image.pixels[to_size(3 * i + c)] =
          byte_of_unit(pixels[to_size(channels * i + (channels < 3 ? 0 : c))]);
  return image;
}

Image resized(const Image& image, std::int64_t width, std::int64_t height) {
  if (width == image.width && height == image.height) return image;
  std::vector<float> pixels(to_size(width * height * 3));
  place({}, image, plain_placement(image, height, width, false),
        {pixels.data(), {1, height, width, 3}, 3});
  return picture_of(pixels, width, height);
}

// What the network gets of one image.
struct TrainingPicture {
  Image image;
  std::vector<Truth> truths;
  std::string source;  // the names of its files
};

TrainingPicture training_picture(const Batches& batches, const ImagePaths& paths, std::int64_t k) {
  const Batch b = batches.make(k);
  return {picture_of(b.pixels, b.size.width, b.size.height), b.truths[0],
          caption_of(b.shown[0], paths)};
}

void draw_truths_of(Image& image, const TrainingPicture& s, const std::vector<std::string>& names,
                    const CaptionOptions& options) {
  std::vector<CaptionedBox> boxes;
  for (const Truth& t : s.truths) {
    const std::string& name = names[to_size(t.class_id)];
    boxes.push_back({t.box, class_colour(t.class_id), name, name});
  }
  draw_boxes(image, boxes, options);
}

Image cell_of(const TrainingPicture& p, const std::vector<std::string>& names) {
  const double scale =
      std::min(1., static_cast<double>(kPictureSide) /
                       static_cast<double>(std::max(p.image.width, p.image.height)));
  const auto side = [&](std::int64_t pixels) {
    return std::max<std::int64_t>(1, std::llround(scale * static_cast<double>(pixels)));
  };
  Image cell = resized(p.image, side(p.image.width), side(p.image.height));
  draw_truths_of(cell, p, names, {.crowded = Crowded::key});
  return cell;
}

// One page; its pictures are counted from `first`.
Image contact_sheet(const std::vector<TrainingPicture>& page, const std::vector<std::string>& names,
                    std::int64_t first) {
  std::vector<Image> cells;
  std::int64_t width = 0, height = kPictureGap + kCaptionLine;
  for (const TrainingPicture& p : page) {
    cells.push_back(cell_of(p, names));
    width = std::max(width, cells.back().width + kPictureGap);
    height = std::max(height, cells.back().height + kPictureGap + kCaptionLine);
  }
  const auto count = std::ssize(cells);
  Image sheet(std::min(count, kSheetColumns) * width + kPictureGap,
              (count + kSheetColumns - 1) / kSheetColumns * height + kPictureGap, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), kPaper[0]);
  for (std::int64_t i = 0; i < count; ++i) {
    const Image& cell = cells[to_size(i)];
    const std::int64_t left = i % kSheetColumns * width + kPictureGap,
                       top = i / kSheetColumns * height + kPictureGap;
    for (std::int64_t y = 0; y < cell.height; ++y)
      std::copy_n(cell.at(0, y), 3 * cell.width, sheet.at(left, top + y));
    draw_text(sheet, fmt::format("{}: {}", first + i, page[to_size(i)].source), left,
              top + cell.height + kPictureGap, {kLetters, kSoft, width - kPictureGap});
  }
  return sheet;
}

fs::path picture_file(const fs::path& folder, std::int64_t number) {
  return folder / fmt::format("augmented-{:04}.png", number);
}
fs::path sheet_file(const fs::path& folder, std::int64_t number) {
  return folder / fmt::format("augmented-sheet-{}.png", number);
}

// The number in the name that `name_of` gives it; 0: none.
template <class NameOf>
std::int64_t number_in(const fs::path& folder, const fs::path& file, const NameOf& name_of) {
  const std::string name = file.stem().string();
  std::int64_t number = 0;
  const auto digits = name.find_last_not_of("0123456789") + 1;
  return read_number(std::string_view(name).substr(digits), number) &&
                 name_of(folder, number).filename() == file.filename()
             ? number
             : 0;
}

// Of an earlier run with more of them: they would be taken for those of this one.
void remove_older(const fs::path& folder, std::int64_t pictures, std::int64_t sheets) {
  std::int64_t removed = 0;
  for (const fs::path& entry : entries_of(folder)) {
    const fs::path file = folder / entry.filename();
    const bool older = number_in(folder, file, picture_file) > pictures ||
                       number_in(folder, file, sheet_file) > sheets;
    if (!older || format_of_file(file).kind != kAnnotatedFormat.kind) continue;
    require_unprotected(file);
    removed += fs::remove(file) ? 1 : 0;
  }
  if (removed > 0)
    log::info(cat(folder.string(), ": ", plural(removed, "file"), " of an earlier run removed"));
}

// The image k of the training as a batch of its own.
BatchSettings one_by_one(BatchSettings s) {
  s.size = [size = s.size, batch = s.batch](std::int64_t k) { return size(k / batch); };
  s.batch = 1;
  s.tiles = false;  // pixels, not what a GPU is to place
  return s;
}

}  // namespace

std::string caption_of(const std::vector<std::int64_t>& shown, const ImagePaths& paths) {
  const auto name = [&](std::int64_t image) { return paths[to_size(image)].filename().string(); };
  if (shown.size() == 1) return name(shown[0]);
  return name(shown[0]) + " and " + (shown.size() == 2 ? name(shown[1]) : "others");
}

void require_writable_augmented(const fs::path& folder, std::int64_t count) {
  require_writable_folder(folder);
  for (std::int64_t i = 1; i <= count; ++i)
    require_writable_file(picture_file(folder, i), kAnnotatedFormat);
  for (std::int64_t i = 1; i <= (count + kSheetImages - 1) / kSheetImages; ++i)
    require_writable_file(sheet_file(folder, i), kAnnotatedFormat);
}

std::vector<fs::path> write_augmented(const fs::path& folder, BatchSettings settings,
                                      const AugmentedImages& a) {
  require_writable_folder(folder);
  const ImagePaths paths = settings.images;
  const Batches batches(one_by_one(std::move(settings)));
  log::Progress progress("drawing augmented images", a.count);
  std::vector<fs::path> sheets;
  for (std::int64_t done = 0; done < a.count;) {
    const std::int64_t first = done + 1, end = std::min(done + kSheetImages, a.count);
    std::vector<TrainingPicture> page;
    while (done < end) {
      page.push_back(training_picture(batches, paths, a.first + done));
      Image image = page.back().image;
      draw_truths_of(image, page.back(), a.names, {});
      write_annotated_image(picture_file(folder, ++done), image);
      progress.at(done);
    }
    sheets.push_back(sheet_file(folder, std::ssize(sheets) + 1));
    write_annotated_image(sheets.back(), contact_sheet(page, a.names, first));
  }
  remove_older(folder, a.count, std::ssize(sheets));
  return sheets;
}

}  // namespace darknet
