#include "dataset/class_targets.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/log.h"
#include "core/number.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {

// "LIST:LINE" of the image, or its path alone.
std::string place_of(const ImagePaths& images, std::size_t i) {
  std::string path = printable(images[i].string());
  for (const auto& list : images.lists())
    if (const auto where = list->of(images[i])) return cat(to_string(*where), ": ", path);
  return path;
}

// Whether a name occurs in the path within a longer one alone, as "cat" in "caterpillar".
bool within(std::string_view path, std::string_view name, std::string_view longer) {
  if (name.size() >= longer.size()) return false;
  for (auto at = path.find(name); at != path.npos; at = path.find(name, at + 1)) {
    bool covered = false;
    for (auto in = path.find(longer); in != path.npos && in <= at; in = path.find(longer, in + 1))
      covered = covered || at + name.size() <= in + longer.size();
    if (!covered) return false;
  }
  return true;
}

}  // namespace

std::vector<std::string> class_labels(const DataFile& data, std::int64_t classes) {
  const std::filesystem::path& file = data.labels.empty() ? data.names : data.labels;
  if (file.empty())
    fail_at({data.path.string(), 0},
            "the line labels = ... (or names = ...) is missing: the class of an image is the one "
            "whose name occurs in its path, or whose number stands in a .cls file of its shard");
  return read_names(file, classes);
}

std::vector<std::size_t> classes_in_path(const ImagePaths& images, std::size_t image,
                                         std::span<const std::string> labels) {
  const std::string_view path = images.text(image);
  std::vector<std::size_t> occurring;
  for (std::size_t c = 0; c < labels.size(); ++c)
    if (path.find(labels[c]) != path.npos) occurring.push_back(c);
  if (occurring.size() > 1)
    std::erase_if(occurring, [&, all = occurring](std::size_t c) {
      return std::ranges::any_of(
          all, [&](std::size_t other) { return within(path, labels[c], labels[other]); });
    });
  return occurring;
}

std::int32_t class_of_path(const ImagePaths& images, std::size_t image,
                           std::span<const std::string> labels) {
  const std::vector<std::size_t> occurring = classes_in_path(images, image, labels);
  if (occurring.size() > 1)
    throw SeveralClasses(cat(
        place_of(images, image), ": is of several classes: '", shown(labels[occurring[0]]),
        "' and '", shown(labels[occurring[1]]),
        "' both occur in its path; exactly one class name may: rename the file, its folder or a "
        "class"));
  if (occurring.empty())
    fail(place_of(images, image), ": is of no class: none of the ",
         plural(std::ssize(labels), "class name"),
         " occurs in its path; name the file or its folder after its class",
         through_shard(images[image]) ? ", or add a .cls file with the number of its class" : "");
  return static_cast<std::int32_t>(occurring[0]);
}

namespace {

std::int32_t class_in_file(const std::string& file, std::int64_t classes) {
  constexpr std::uint64_t kMaxBytes = 4096;
  const std::string text = read_file(file, kMaxBytes);
  std::string_view number = text;
  while (!number.empty() && number.back() == '\n') number.remove_suffix(1);
  std::int64_t id = 0;
  if (!read_number(trim(number), id))
    fail(file, ": expected the number of a class, 0 to ", classes - 1, ", got '",
         shown(trim(number)), "'");
  if (id < 0 || id >= classes)
    fail(file, ": class ", id, " is not among 0 to ", classes - 1,
         ", the classes that labels= (or names=) of the .data file lists; correct one of them");
  return static_cast<std::int32_t>(id);
}

}  // namespace

std::int32_t ImageClasses::of(std::size_t image) {
  const std::string file = files_.of(images_[image]);
  return file.empty() ? class_of_path(images_, image, labels_)
                      : class_in_file(file, std::ssize(labels_));
}

LabelledImages classified(const ImagePaths& images, std::span<const std::string> labels) {
  LabelledImages all{{.images = images}};
  ImageClasses classes(images, labels);
  all.truths.reserve(images.size(), images.size());
  log::Progress progress("finding classes", std::ssize(images));
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Truth truth{{.5f, .5f, 1, 1}, classes.of(i)};
    all.truths.push_back(std::span(&truth, 1));
    progress.at(static_cast<std::int64_t>(i + 1));
  }
  all.objects = std::ssize(images);
  return all;
}

Placement centre_crop(const ImageSize& image, std::int64_t height, std::int64_t width) {
  const auto iw = static_cast<float>(image.width), ih = static_cast<float>(image.height);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  const float scale = std::min(iw / w, ih / h);  // image pixels of an input pixel
  return {.region = {0, 0, width, height},
          .scale_x = scale,
          .shift_x = (iw - scale * w) / 2,
          .scale_y = scale,
          .shift_y = (ih - scale * h) / 2};
}

Placement random_class_crop(const ClassifierKeys& keys, const ImageAugmentation& colours, Rng& rng,
                            const ImageSize& image, std::int64_t height, std::int64_t width) {
  const auto iw = static_cast<float>(image.width), ih = static_cast<float>(image.height);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  const float aspect = random_scale(rng, keys.aspect);
  const auto side =
      static_cast<float>(keys.min_crop + rng.below(keys.max_crop - keys.min_crop + 1));
  const float scale = side / std::min(iw / aspect, ih);  // input pixels of a row
  const float sx = aspect / scale, sy = 1 / scale;       // image pixels of an input pixel
  const auto place = [&](float have, float need) {
    return (have - need) * (have > need ? rng.uniform() : .5f);
  };
  Placement p{.region = {0, 0, width, height}, .scale_x = sx, .scale_y = sy};
  p.shift_x = place(iw, sx * w), p.shift_y = place(ih, sy * h);
  if (rng.flip() && colours.flip) p.shift_x += p.scale_x * w, p.scale_x = -p.scale_x;
  set_colour(p, colours, rng);
  turn_at_random(p, colours, rng);
  return p;
}

Mixing draw_mixing(const ClassifierKeys& keys, Rng& rng) {
  const bool mixed = rng.flip(), cut = rng.flip();
  if (!mixed || !(keys.mixup || keys.cutmix)) return Mixing::none;
  if (keys.mixup && keys.cutmix) return cut ? Mixing::cutmix : Mixing::mixup;
  return keys.cutmix ? Mixing::cutmix : Mixing::mixup;
}

Rect cutmix_part(Rng& rng, std::int64_t height, std::int64_t width) {
  constexpr float kLeast = .3f, kMost = .8f;
  const auto length = [&](std::int64_t side) {
    return std::clamp<std::int64_t>(
        std::llround(static_cast<float>(side) * rng.uniform(kLeast, kMost)), 1, side);
  };
  const std::int64_t w = length(width), h = length(height);
  const std::int64_t x = rng.below(width - w + 1), y = rng.below(height - h + 1);
  return {x, y, x + w, y + h};
}

void add_target(std::span<float> targets, std::int32_t class_id, float share, float smooth) {
  const auto others = static_cast<float>(std::max<std::size_t>(1, targets.size() - 1));
  for (std::size_t c = 0; c < targets.size(); ++c)
    targets[c] +=
        share * (c == to_size(class_id) ? 1 - (targets.size() > 1 ? smooth : 0) : smooth / others);
}

}  // namespace darknet
