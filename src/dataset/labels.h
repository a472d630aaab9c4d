// Label files: one object a line, "class x y w h" with the box's centre and extent in fractions of
// the image. Read strictly: whatever is wrong is reported with file and line, and -bad_labels says
// what becomes of it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "dataset/image_paths.h"
#include "detect/box.h"
#include "image/image_size.h"

namespace darknet {

// A box that reaches out of its image by less than the larger of the two is clipped, and no error.
inline constexpr float kOverhang = 1e-3f;    // of the image's width or height
inline constexpr float kOverhangPixels = 2;  // of the image

// stop: the first error ends the command. clip: a box that reaches out further is cut to the image;
// every other error stops. skip: invalid lines, and images without a label file, are left out.
enum class BadLabels : std::uint8_t { stop, clip, skip };
const char* word_of(BadLabels);                    // its name
BadLabels bad_labels_of(const std::string& word);  // throws where there is none of that name

struct LabelRules {
  std::int64_t classes = 1;
  BadLabels bad = BadLabels::stop;
  // Asked for the image's size where a box reaches out by more than kOverhang; none: not known.
  std::function<ImageSize()> size = nullptr;
};

struct LabelError {
  int line = 0;
  std::string why;
};

struct Labels {
  std::vector<Truth> truths;    // in file order
  std::int64_t clipped = 0;     // boxes that reached out a little
  std::vector<LabelError> cut;  // boxes that reached out further, with BadLabels::clip
};

// Everything wrong with the text goes to `report` (line, reason); the sound lines are returned, and
// with BadLabels::clip what of other boxes lies in the image.
using LabelReport = std::function<void(int line, const std::string& why)>;
Labels parse_labels(const std::string& text, const LabelRules&, const LabelReport& report);
Labels parse_labels(const std::string& text, std::int64_t classes, const LabelReport& report);

// The labels of the image `i` with all that is wrong with them: "FILE:LINE: reason", or
// "FILE: reason" where the file is missing or cannot be read, or that the image itself is missing
// (missing_image()) and has no label file. Nothing is thrown.
struct LabelFile {
  Labels labels;
  bool readable = true, image_missing = false;
  std::vector<std::string> errors, cut;
};
LabelFile read_label_file(const ImagePaths& images, std::size_t i, std::int64_t classes, BadLabels);

// Throws on the first error, and where the file is missing, naming where it was looked for.
Labels read_labels(const std::filesystem::path& image, std::int64_t classes,
                   BadLabels = BadLabels::stop);

// The labels of every image, with progress on long lists.
struct LabelledImages : AnnotatedImages {
  std::int64_t objects = 0, empty = 0, clipped = 0;
  std::vector<std::size_t> left_out;  // places in the list of images without a label file
};
// Warns of what BadLabels::clip and skip changed: how much, and the first few with their places.
LabelledImages read_all_labels(const ImagePaths& images, std::int64_t classes,
                               BadLabels = BadLabels::stop);

}  // namespace darknet
