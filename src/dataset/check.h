// Everything that is wrong with a data set, found in one pass instead of one error at a time.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dataset/labels.h"
#include "image/image.h"
#include "image/image_size.h"

namespace darknet {

struct ListCheck {
  std::int64_t images = 0, unreadable = 0, missing_labels = 0, bad_lines = 0, clipped = 0;
  std::int64_t duplicates = 0, empty = 0, objects = 0, max_objects = 0;
  std::vector<std::int64_t> objects_of_class;
  float smallest = 1, largest = 0;  // sqrt(w * h) of the boxes, fractions of the image
  std::int64_t cut = 0;             // boxes that -bad_labels clip cuts to their image
  std::int64_t of_no_class = 0, of_several_classes = 0;  // images
  ImageSize least{}, most{};  // width and height, each on its own; 0: no image can be read
  // Of images of 8 bits, 16 bits and floats: the largest value of all, and what becomes 1.
  struct Range {
    std::int64_t images = 0;
    float largest = 0, value_of_one = 0;
  };
  std::array<Range, 3> ranges;
  bool labels_are_skipped = false;  // -bad_labels skip: their errors stop no command
  std::int64_t errors() const {
    return unreadable + of_no_class + of_several_classes +
           (labels_are_skipped ? 0 : missing_labels + bad_lines);
  }
  std::int64_t warnings() const {
    return duplicates + cut + (labels_are_skipped ? missing_labels + bad_lines : 0);
  }
};

struct ListCheckOptions {
  std::int64_t classes = 0;
  // Where given, an image is an object of its class (dataset/class_targets.h), and has no boxes.
  std::vector<std::string> class_labels = {};
  InputValues values = {.channels = 0};  // what the network takes
  BadLabels bad_labels = BadLabels::stop;
  std::function<bool()> stop = nullptr;  // asked before each image; the counts are of those before
};

// What is wrong with input_max where the images of a depth use less than an eighth of the range
// that it gives them, or go beyond it, with the remedy; "" otherwise.
std::string input_max_advice(const ListCheck&);

// Of one image of floats whose values go far beyond what becomes 1; "" of others.
std::string input_max_hint(const Image&);

// `report`: one message, "file:line: reason", per error, per label that -bad_labels clips or skips,
// and per image that is listed once more, which may be meant.
enum class Finding : std::uint8_t { error, fixed, warning };
ListCheck check_list(const std::filesystem::path& list, const ListCheckOptions&,
                     const std::function<void(Finding, const std::string&)>& report);

}  // namespace darknet
