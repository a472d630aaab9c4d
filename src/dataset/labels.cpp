#include "dataset/labels.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/image_sizes.h"
#include "dataset/shard_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxLabelBytes = 64u << 20;
constexpr int kFields = 5;
constexpr std::int64_t kMaxClasses = 1 << 16;
constexpr std::size_t kMaxSplit = 100;  // fields counted of a line that is no label

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (fields.size() <= kMaxSplit && !(line = trim(line)).empty()) {
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return fields;
}

struct Line {
  Truth truth;
  bool clipped = false;
  std::string error;    // "" : sound
  bool inside = false;  // of a box that reaches out: `truth` is what of it lies in the image
};

std::string box_text(const Box& b) { return cat("x ", b.x, " y ", b.y, " w ", b.w, " h ", b.h); }

// What six digits and float arithmetic do to a box that ends at the image's edge.
constexpr float kRounding = 2e-6f;

// One axis of a box as low and high end, cut to the image; how far it reached out.
float cut_axis(float& centre, float& extent) {
  const float low = centre - extent / 2, high = centre + extent / 2;
  if (low >= 0 && high <= 1) return 0;
  const float a = std::clamp(low, 0.f, 1.f), b = std::clamp(high, 0.f, 1.f);
  centre = (a + b) / 2, extent = b - a;
  return std::max(-low, high - 1);
}

float overhang_allowed(std::int64_t pixels) {
  return pixels > 0 ? std::max(kOverhang, kOverhangPixels / static_cast<float>(pixels)) : kOverhang;
}

// Cuts the box to the image.
void cut_to_image(Line& line, const LabelRules& rules) {
  Box& b = line.truth.box;
  const Box given = b;
  const float across = cut_axis(b.x, b.w), down = cut_axis(b.y, b.h);
  const bool inside = b.w > 0 && b.h > 0;
  ImageSize size;
  if (std::max(across, down) > kOverhang + kRounding && rules.size) size = rules.size();
  if (across > overhang_allowed(size.width) + kRounding ||
      down > overhang_allowed(size.height) + kRounding) {
    line.error = cat("the box reaches out of the image: ", box_text(given),
                     " (all in fractions of the image)");
    line.inside = inside;
  } else if (!inside) {
    line.error = cat("the box is empty: ", box_text(b));
  }
  line.clipped = std::max(across, down) > kRounding;
}

Line parse_line(std::string_view text, const LabelRules& rules) {
  if (text.find('\0') != text.npos) return {.error = "this is not a text file"};
  const auto fields = split(text);
  if (fields.size() != kFields)
    return {.error = cat("expected 5 numbers: class x y w h, got ",
                         fields.size() > kMaxSplit ? "more than " : "",
                         std::min(fields.size(), kMaxSplit), " fields: '", shown(text), "'")};
  Line line;
  std::int64_t id = 0;
  if (!read_number(fields[0], id))
    return {.error = cat("the class '", shown(fields[0]), "' is not an integer")};
  if (id < 0 || id >= rules.classes)
    return {.error = cat("class ", id, " is not among 0 to ", rules.classes - 1, ": correct it",
                         id < 0 || id >= kMaxClasses
                             ? ""
                             : cat(", or set classes=", id + 1,
                                   " in the .data file and in each head, and add its name"))};
  Box& b = line.truth.box;
  float* const values[] = {&b.x, &b.y, &b.w, &b.h};
  for (int i = 0; i < 4; ++i) {
    const std::string_view field = fields[to_size(i) + 1];
    if (!read_number(field, *values[i]) || !std::isfinite(*values[i]))
      return {.error = cat("'", shown(field), "' is not a finite number")};
  }
  line.truth.class_id = static_cast<std::int32_t>(id);
  if (!(b.w > 0 && b.h > 0)) return {.error = cat("the box is empty: ", box_text(b))};
  cut_to_image(line, rules);
  return line;
}

// The first few of many messages, each on a line of its own.
class FirstFew {
 public:
  void add(const std::vector<std::string>& more) {
    for (const std::string& m : more)
      if (++count_ <= kMax)
        text_ += "\n  " + m;
      else if (count_ == kMax + 1)
        text_ += "\n  ... (darknet detector check -all lists everything)";
  }
  // "2 label lines left out:" and what was added.
  std::string text(const char* noun, const char* what) const {
    return count_ == 0 ? "" : cat("\n", plural(count_, noun), ' ', what, ':', text_);
  }

 private:
  static constexpr std::int64_t kMax = 5;
  std::int64_t count_ = 0;
  std::string text_;
};

// Throws the first error, with the flag that makes the command continue.
void require_sound(const LabelFile& file, BadLabels bad) {
  if (file.errors.empty()) return;
  if (file.image_missing) fail(file.errors.front());
  if (!file.readable)
    fail(file.errors.front(),
         " (an empty file marks an image without objects; labels may also lie in a folder labels/ "
         "next to images/; -bad_labels skip leaves such images out)");
  fail(file.errors.front(), "; -bad_labels skip leaves such lines out",
       bad == BadLabels::stop ? ", -bad_labels clip cuts boxes to their image" : "");
}

}  // namespace

Labels parse_labels(const std::string& text, std::int64_t classes, const LabelReport& report) {
  return parse_labels(text, LabelRules{.classes = classes}, report);
}

Labels parse_labels(const std::string& text, const LabelRules& rules, const LabelReport& report) {
  Labels labels;
  std::istringstream in(text);
  LineReader reader(in, "", text.size());  // in memory already
  for (std::string_view text_line; reader.next(text_line);) {
    if (text_line.empty()) continue;
    const Line line = parse_line(text_line, rules);
    const bool cut = line.inside && rules.bad == BadLabels::clip;
    if (!line.error.empty() && !cut) {
      report(reader.number(), line.error);
      continue;
    }
    if (cut)
      labels.cut.push_back({reader.number(), line.error});
    else
      labels.clipped += line.clipped;
    labels.truths.push_back(line.truth);
  }
  return labels;
}

LabelFile read_label_file(const ImagePaths& images, std::size_t i, std::int64_t classes,
                          BadLabels bad) {
  LabelFile file;
  const fs::path image = images[i];
  const fs::path path = label_path(image);
  const LabelRules rules{.classes = classes, .bad = bad, .size = [&]() -> ImageSize {
                           try {
                             return image_size_of(image);
                           } catch (const SourceFailure&) {
                             throw;                  // the whole shard or server is gone
                           } catch (const Error&) {  // whoever needs the image will say
                             return {};
                           }
                         }};
  try {
    if (!is_present(path)) {
      const std::optional<Error> missing = missing_image(images, i);
      file.image_missing = missing.has_value();
      if (missing) throw Error(*missing);
      fail_at({path.string(), 0}, "the label file of ", image.string(), " is missing",
              other_labels_text(image));
    }
    file.labels =
        parse_labels(read_file(path, kMaxLabelBytes), rules, [&](int line, const std::string& why) {
          file.errors.push_back(cat(path.string(), ':', line, ": ", why));
        });
    for (const LabelError& c : file.labels.cut)
      file.cut.push_back(cat(path.string(), ':', c.line, ": ", c.why));
  } catch (const SourceFailure&) {
    throw;  // not of this file alone
  } catch (const Error& e) {
    file.readable = false;
    file.errors.push_back(e.what());
  }
  return file;
}

const char* word_of(BadLabels bad) {
  switch (bad) {
    case BadLabels::clip:
      return "clip";
    case BadLabels::skip:
      return "skip";
    default:
      return "stop";
  }
}

BadLabels bad_labels_of(const std::string& word) {
  for (const BadLabels one : {BadLabels::stop, BadLabels::clip, BadLabels::skip})
    if (word == word_of(one)) return one;
  fail("invalid labels: '", shown(word), "' is none of stop, clip and skip");
}

Labels read_labels(const fs::path& image, std::int64_t classes, BadLabels bad) {
  LabelFile file = read_label_file({image}, 0, classes, bad);
  if (bad != BadLabels::skip) require_sound(file, bad);
  return std::move(file.labels);
}

LabelledImages read_all_labels(const ImagePaths& images, std::int64_t classes, BadLabels bad) {
  LabelledImages all{{.images = images}};
  all.truths.reserve(images.size(), 0);
  FirstFew left_out, lines, cut;
  log::Progress progress("reading labels", std::ssize(images));
  for (std::size_t i = 0; i < images.size(); ++i) {
    LabelFile file = read_label_file(images, i, classes, bad);
    if (bad != BadLabels::skip) require_sound(file, bad);
    (file.readable ? lines : left_out).add(file.errors);
    cut.add(file.cut);
    if (!file.readable) {
      all.left_out.push_back(i);
      continue;
    }
    all.objects += std::ssize(file.labels.truths);
    all.empty += file.labels.truths.empty();
    all.clipped += file.labels.clipped;
    all.truths.push_back(file.labels.truths);
    progress.at(static_cast<std::int64_t>(i + 1));
  }
  all.truths.shrink_to_fit();
  if (!all.left_out.empty()) all.images = without(images, all.left_out);
  const std::string changes = left_out.text("image", "without a label file left out") +
                              lines.text("label line", "left out") +
                              cut.text("box", "cut to the image");
  if (all.images.empty() && !images.empty())
    fail("no image of the list has a label file that can be read", changes);
  if (!changes.empty())
    log::warn(cat("-bad_labels ", bad == BadLabels::clip ? "clip:" : "skip:", changes));
  return all;
}

}  // namespace darknet
