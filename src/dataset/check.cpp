#include "dataset/check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "dataset/class_targets.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

using Report = std::function<void(Finding, const std::string&)>;

void count_objects(ListCheck& check, const std::vector<Truth>& truths) {
  const auto n = std::ssize(truths);
  check.objects += n;
  check.max_objects = std::max(check.max_objects, n);
  check.empty += n == 0;
  for (const Truth& t : truths) {
    ++check.objects_of_class[to_size(t.class_id)];
    const float side = std::sqrt(t.box.w * t.box.h);
    check.smallest = std::min(check.smallest, side);
    check.largest = std::max(check.largest, side);
  }
}

void check_labels(ListCheck& check, const LabelFile& file, BadLabels bad, const Report& report) {
  if (file.image_missing) return;  // check_image() reports it
  const bool skipped = bad == BadLabels::skip;
  for (const std::string& error : file.errors)
    report(skipped ? Finding::fixed : Finding::error, skipped ? error + "; left out" : error);
  for (const std::string& cut : file.cut) report(Finding::fixed, cut + "; cut to the image");
  check.cut += std::ssize(file.cut);
  check.missing_labels += !file.readable;
  if (!file.readable) return;
  check.bad_lines += std::ssize(file.errors);
  check.clipped += file.labels.clipped;
  count_objects(check, file.labels.truths);
}

void check_class(ListCheck& check, ImageClasses& classes, std::size_t i, const Report& report) {
  try {
    const std::int32_t id = classes.of(i);
    ++check.objects, ++check.objects_of_class[to_size(id)];
  } catch (const SourceFailure&) {
    throw;  // others are missing with it
  } catch (const SeveralClasses& e) {
    ++check.of_several_classes;
    report(Finding::error, e.what());
  } catch (const Error& e) {
    ++check.of_no_class;
    report(Finding::error, e.what());
  }
}

void count_size(ListCheck& check, const Image& image) {
  ImageSize &least = check.least, &most = check.most;
  least.width = least.width == 0 ? image.width : std::min(least.width, image.width);
  least.height = least.height == 0 ? image.height : std::min(least.height, image.height);
  most.width = std::max(most.width, image.width);
  most.height = std::max(most.height, image.height);
}

void check_image(ListCheck& check, const ImagePaths& images, std::size_t i,
                 const InputValues& values, const Report& report) {
  try {
    const Image image = read_listed_input(images, i, values);
    ListCheck::Range& range = check.ranges[to_size(image.depth / 2)];  // of 1, 2 or 4 bytes
    ++range.images;
    range.largest = std::max(range.largest, largest_in(image));
    range.value_of_one = image.value_of_one;
    count_size(check, image);
  } catch (const SourceFailure&) {
    throw;  // the whole shard or server is gone
  } catch (const Error& e) {
    ++check.unreadable;
    report(Finding::error, e.what());
  }
}

bool is_off(const ListCheck::Range& r) {
  constexpr float kShare = 1 / 8.f;
  return r.largest > 0 && (r.largest < kShare * r.value_of_one || r.largest > r.value_of_one);
}

// An input_max for images of one depth.
float fitting_max(const ListCheck::Range& r, bool floats) {
  if (floats) return r.largest;
  float max = 1;  // all bits of the sensor
  while (max < r.largest) max = 2 * max + 1;
  return max;
}

}  // namespace

std::string input_max_advice(const ListCheck& c) {
  constexpr std::array<const char*, 3> kDepths{"8-bit images", "16-bit images", "images of floats"};
  const auto depths = std::count_if(c.ranges.begin(), c.ranges.end(),
                                    [](const ListCheck::Range& r) { return r.images > 0; });
  std::string advice;
  for (std::size_t i = 0; i < c.ranges.size(); ++i) {
    const ListCheck::Range& r = c.ranges[i];
    if (!is_off(r)) continue;
    advice += cat(advice.empty() ? "" : "; ", "the largest value of the ",
                  depths > 1 ? kDepths[i] : "images", " is ", r.largest, ", and ", r.value_of_one,
                  " becomes 1 in the network's input");
    if (depths == 1) advice += cat("; set [net] input_max=", fitting_max(r, i == 2));
  }
  if (depths > 1 && !advice.empty())
    advice += "; [net] input_max holds for images of all types: write all in one type";
  return advice;
}

std::string input_max_hint(const Image& image) {
  constexpr float kFar = 2;
  if (image.depth != 4) return "";
  const float largest = largest_in(image);
  if (!(largest > kFar * image.value_of_one)) return "";
  return cat("its largest value is ", largest, ", and ", image.value_of_one,
             " becomes 1 in the network's ", "input; if it was trained on values up to ", largest,
             " scaled to 1, set [net] ", "input_max=", largest);
}

ListCheck check_list(const fs::path& list, const ListCheckOptions& o, const Report& report) {
  const BadLabels bad = o.bad_labels;
  ListCheck check{.labels_are_skipped = bad == BadLabels::skip};
  check.objects_of_class.resize(to_size(o.classes));
  const ImagePaths images = read_image_list(list);
  ImageClasses classes(images, o.class_labels);
  std::unordered_set<std::string_view> seen;
  log::Progress progress("checking", std::ssize(images));
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (o.stop && o.stop()) break;
    const fs::path image = images[i];
    if (!seen.insert(images.text(i)).second) {
      ++check.duplicates;
      report(Finding::warning,
             cat(list.string(), ": ", image.string(), " is listed more than once"));
    }
    check_image(check, images, i, o.values, report);
    if (o.class_labels.empty())
      check_labels(check, read_label_file(images, i, o.classes, bad), bad, report);
    else
      check_class(check, classes, i, report);
    progress.at(++check.images);
  }
  return check;
}

}  // namespace darknet
