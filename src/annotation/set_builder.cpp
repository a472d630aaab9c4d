#include "annotation/set_builder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/index.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "core/utf8.h"
#include "dataset/image_sizes.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr double kRounding = 1e-5;  // of fractions in text files

void require_name(const std::string& name, const Where& where) {
  for (std::string_view rest = name; !rest.empty();) {
    const std::size_t letter = utf8_length(rest);
    if (letter == 0)
      fail_at(where, "the class '", shown(name), "' is no UTF-8 text; convert the file");
    rest.remove_prefix(letter);
  }
  if (name.empty() || trim(name) != name || name.find_first_of("\n\r") != name.npos)
    fail_at(where, "'", shown(name), "' cannot be the name of a class: names are lines of a file");
}

void require_names(const std::vector<std::string>& names, const Where& where) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    require_name(name, where);
    if (!seen.insert(name).second) fail_at(where, "the class '", shown(name), "' is there twice");
  }
}

// New numbers for the classes, in the order of their names.
void sort_classes(AnnotatedSet& set) {
  std::vector<std::size_t> order(set.classes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return set.classes[i]; });
  std::vector<std::int64_t> place(order.size());
  std::vector<std::string> sorted;
  for (const std::size_t i : order) {
    place[i] = std::ssize(sorted);
    sorted.push_back(set.classes[i]);
  }
  set.classes = std::move(sorted);
  for (AnnotatedImage& image : set.images)
    for (AnnotatedObject& o : image.objects) o.class_id = place[to_size(o.class_id)];
}

}  // namespace

SetBuilder::SetBuilder(const std::vector<std::string>& names) {
  if (names.empty()) return;
  define_classes(names, {"-names", 0});
}

void SetBuilder::define_classes(const std::vector<std::string>& names, const Where& where) {
  if (fixed_ || names.empty()) return;
  require_names(names, where);
  for (const std::string& name : names) ids_.emplace(name, std::ssize(ids_));
  set_.classes = names;
  fixed_ = true;
}

std::int64_t SetBuilder::class_id(const std::string& name, const Where& where) {
  if (const auto at = ids_.find(name); at != ids_.end()) return at->second;
  if (fixed_)
    fail_at(where, "the class '", shown(name), "' is not among ",
            shown(joined(set_.classes, ", ")));
  require_name(name, where);
  ids_.emplace(name, std::ssize(set_.classes));
  set_.classes.push_back(name);
  return std::ssize(set_.classes) - 1;
}

bool SetBuilder::has_image(const fs::path& name) const {
  return stems_.contains(fs::path(name).replace_extension().string());
}

std::size_t SetBuilder::add_image(const fs::path& file, const fs::path& name, ImageSize size) {
  if (name.string().find_first_of("\n\r") != std::string::npos)
    fail_at({printable(file.string()), 0},
            "a list of images cannot name it: its name has several lines");
  const bool outside = name.is_absolute() ||
                       std::ranges::any_of(name, [](const fs::path& part) { return part == ".."; });
  if (outside) fail_at({file.string(), 0}, "lies outside of the data set");
  const auto [at, is_new] =
      stems_.emplace(fs::path(name).replace_extension().string(), set_.images.size());
  if (!is_new)
    fail_at({file.string(), 0}, "would share its label file with ",
            set_.images[at->second].file.string(), "; rename one of them");
  set_.images.push_back({file, name, size, {}});
  return at->second;
}

void SetBuilder::count(const std::string& what, const Where& where) {
  const auto at = std::ranges::find(counted_, what, &Counted::what);
  if (at != counted_.end())
    ++at->times;
  else
    counted_.push_back({what, to_string(where), 1});
}

void SetBuilder::add_object(std::size_t image, const std::string& class_name, const Corners& box,
                            const Where& where, bool difficult) {
  const auto width = static_cast<double>(set_.images[image].size.width);
  const auto height = static_cast<double>(set_.images[image].size.height);
  add_fractions(image, class_name,
                {box.left / width, box.top / height, box.right / width, box.bottom / height}, where,
                difficult);
}

void SetBuilder::add_fractions(std::size_t image, const std::string& class_name, const Corners& box,
                               const Where& where, bool difficult) {
  const std::int64_t id = class_id(class_name, where);
  const Corners cut{std::max(box.left, 0.), std::max(box.top, 0.), std::min(box.right, 1.),
                    std::min(box.bottom, 1.)};
  if (!(box.right > box.left && box.bottom > box.top)) return count("empty boxes left out", where);
  if (!(cut.right > cut.left && cut.bottom > cut.top))
    return count("boxes outside of their images left out", where);
  const double outside = std::max(
      {cut.left - box.left, cut.top - box.top, box.right - cut.right, box.bottom - cut.bottom});
  if (outside > kRounding) count("boxes cut to their images", where);
  set_.images[image].objects.push_back({id, (cut.left + cut.right) / 2, (cut.top + cut.bottom) / 2,
                                        cut.right - cut.left, cut.bottom - cut.top, difficult});
}

void SetBuilder::add_to_split(const std::string& split, std::size_t image) {
  auto at = std::ranges::find(set_.splits, split, &AnnotatedSplit::name);
  if (at == set_.splits.end()) at = set_.splits.insert(at, {split, {}});
  at->images.push_back(image);
}

void SetBuilder::keep(const std::string& error) {
  if (errors_.size() == kMaxErrors) fail(error);  // it is all of them, from an inner attempt()
  errors_.push_back(error);
  if (errors_.size() == kMaxErrors) fail_of_errors();
}

void SetBuilder::fail_of_errors() const {
  if (errors_.size() == 1) fail(errors_.front());
  fail(errors_.size() == kMaxErrors ? "the first " : "", plural(errors_.size(), "error"),
       " of the annotations:\n  ", joined(errors_, "\n  "));
}

AnnotatedSet SetBuilder::finish() {
  if (!errors_.empty()) fail_of_errors();
  if (set_.images.empty()) fail("no annotated image was found");
  if (set_.classes.empty()) fail("no annotation names a class; -names says which there are");
  if (!fixed_) sort_classes(set_);
  log::Progress progress("reading the sizes of images", std::ssize(set_.images));
  std::int64_t done = 0;
  for (const AnnotatedImage& image : set_.images) {
    progress.at(++done);
    if (image.size.width == 0) continue;
    const ImageSize real = image_size_of(image.file);
    if (real.width != image.size.width || real.height != image.size.height)
      count(
          "images of another size than their annotations say (turned by EXIF orientation, or "
          "resized after they were annotated): look at their boxes",
          {image.file.string(), 0});
  }
  for (const Counted& c : counted_)
    set_.notes.push_back(cat(c.what, ": ", c.times, ", the first at ", c.first));
  return std::move(set_);
}

double finite_number(std::string_view text, const char* what, const Where& where) {
  double value = 0;
  if (!read_number(trim(text), value) || !std::isfinite(value))
    fail_at(where, what, " is '", shown(text), "', expected a number");
  return value;
}

}  // namespace darknet
