#include "dataset/check.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "image/image.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMostLabelBytes = 64u << 20;

using Tell = std::function<void(const std::string&)>;

void count_objects(ListCheck& check, const std::vector<Truth>& truths) {
  const auto n = static_cast<std::int64_t>(truths.size());
  check.objects += n;
  check.most_objects = std::max(check.most_objects, n);
  check.empty += n == 0;
  for (const Truth& t : truths) {
    ++check.objects_of_class[static_cast<std::size_t>(t.class_id)];
    const float side = std::sqrt(t.box.w * t.box.h);
    check.smallest = std::min(check.smallest, side);
    check.largest = std::max(check.largest, side);
  }
}

void check_labels(ListCheck& check, const fs::path& image, std::int64_t classes, const Tell& tell) {
  const fs::path path = label_path(image);
  if (!fs::exists(path)) {
    ++check.missing_labels;
    tell(cat(path.string(), ": the label file of ", image.string(), " is missing"));
    return;
  }
  try {
    const Labels labels = parse_labels(read_file(path, kMostLabelBytes), classes,
                                       [&](int line, const std::string& why) {
                                         ++check.bad_lines;
                                         tell(cat(path.string(), ':', line, ": ", why));
                                       });
    check.clipped += labels.clipped;
    count_objects(check, labels.truths);
  } catch (const Error& e) {
    ++check.missing_labels;
    tell(e.what());
  }
}

void check_picture(ListCheck& check, const fs::path& image, std::int64_t channels,
                   const Tell& tell) {
  try {
    read_image(image, channels);
  } catch (const Error& e) {
    ++check.unreadable;
    tell(e.what());
  }
}

}  // namespace

ListCheck check_list(const fs::path& list, std::int64_t classes, std::int64_t channels,
                     const Tell& tell) {
  ListCheck check;
  check.objects_of_class.resize(static_cast<std::size_t>(classes));
  const ImagePaths images = read_image_list(list);
  std::unordered_set<std::string_view> seen;
  log::Progress progress("checking", static_cast<std::int64_t>(images.size()));
  for (std::size_t i = 0; i < images.size(); ++i) {
    const fs::path image = images[i];
    if (!seen.insert(images.text(i)).second) {
      ++check.duplicates;
      tell(cat(list.string(), ": ", image.string(), " is listed more than once"));
    }
    check_picture(check, image, channels, tell);
    check_labels(check, image, classes, tell);
    progress.at(++check.images);
  }
  return check;
}

}  // namespace darknet
