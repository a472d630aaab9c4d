#include "dataset/labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = 64u << 20;
constexpr int kFields = 5;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!(line = trim(line)).empty()) {
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return fields;
}

template <class T>
bool number(std::string_view s, T& to) {
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), to);
  return ec == std::errc{} && end == s.data() + s.size();
}

struct Line {
  Truth truth;
  bool clipped = false;
  std::string fault;  // "" : sound
};

// What six digits and float arithmetic do to a box that ends at the picture's edge.
constexpr float kRounding = 2e-6f;

// One axis of a box as low and high end; clips what overhangs a little.
bool clip_axis(float& centre, float& extent, bool& clipped) {
  const float low = centre - extent / 2, high = centre + extent / 2;
  if (low < -kOverhang || high > 1 + kOverhang) return false;
  if (low >= 0 && high <= 1) return true;
  const float a = std::max(0.f, low), b = std::min(1.f, high);
  centre = (a + b) / 2, extent = b - a;
  clipped = clipped || low < -kRounding || high > 1 + kRounding;
  return true;
}

std::string box_text(const Box& b) { return cat("x ", b.x, " y ", b.y, " w ", b.w, " h ", b.h); }

Line parse_line(std::string_view text, std::int64_t classes) {
  if (text.find('\0') != text.npos) return {.fault = "this is not a text file"};
  const auto fields = split(text);
  if (fields.size() != kFields)
    return {.fault = cat("expected 5 numbers: class x y w h, got ", fields.size(), " fields: '",
                         shown(text), "'")};
  Line line;
  std::int64_t id = 0;
  if (!number(fields[0], id))
    return {.fault = cat("the class '", shown(fields[0]), "' is not an integer")};
  if (id < 0 || id >= classes)
    return {.fault = cat("class ", id, " is not among 0 to ", classes - 1)};
  Box& b = line.truth.box;
  float* const values[] = {&b.x, &b.y, &b.w, &b.h};
  for (int i = 0; i < 4; ++i) {
    const std::string_view field = fields[static_cast<std::size_t>(i) + 1];
    if (!number(field, *values[i]) || !std::isfinite(*values[i]))
      return {.fault = cat("'", shown(field), "' is not a finite number")};
  }
  line.truth.class_id = static_cast<std::int32_t>(id);
  if (!(b.w > 0 && b.h > 0)) return {.fault = cat("the box is empty: ", box_text(b))};
  const Box as_given = b;
  if (!clip_axis(b.x, b.w, line.clipped) || !clip_axis(b.y, b.h, line.clipped))
    return {.fault = cat("the box reaches out of the picture: ", box_text(as_given),
                         " (all in fractions of the picture)")};
  if (!(b.w > 0 && b.h > 0)) return {.fault = cat("the box is empty: ", box_text(b))};
  return line;
}

}  // namespace

Labels parse_labels(const std::string& text, std::int64_t classes, const LabelReport& report) {
  Labels labels;
  std::istringstream in(text);
  LineReader reader(in);
  for (std::string_view text_line; reader.next(text_line);) {
    if (text_line.empty()) continue;
    const Line line = parse_line(text_line, classes);
    if (!line.fault.empty()) {
      report(reader.number(), line.fault);
      continue;
    }
    labels.clipped += line.clipped;
    labels.truths.push_back(line.truth);
  }
  return labels;
}

Labels read_labels(const fs::path& image, std::int64_t classes) {
  const fs::path path = label_path(image);
  if (!fs::exists(path))
    fail_at({path.string(), 0}, "the label file of ", image.string(),
            " is missing (an empty file marks a picture without objects; labels may also lie in a "
            "folder labels/ beside images/)");
  return parse_labels(read_file(path, kMostBytes), classes, [&](int line, const std::string& why) {
    fail_at({path.string(), line}, why);
  });
}

LabelledImages read_all_labels(ImagePaths images, std::int64_t classes) {
  LabelledImages all{.images = std::move(images)};
  all.truths.reserve(all.images.size(), 0);
  log::Progress progress("reading labels", static_cast<std::int64_t>(all.images.size()));
  for (const fs::path& image : all.images) {
    const Labels labels = read_labels(image, classes);
    all.objects += static_cast<std::int64_t>(labels.truths.size());
    all.empty += labels.truths.empty();
    all.clipped += labels.clipped;
    all.truths.push_back(labels.truths);
    progress.at(static_cast<std::int64_t>(all.truths.size()));
  }
  all.truths.shrink_to_fit();
  return all;
}

}  // namespace darknet
