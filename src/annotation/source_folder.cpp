#include "annotation/source_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

bool holds_images_by_name(const fs::path& folder) {
  static const std::set<std::string> names = {"images", "image", "jpegimages", "img", "imgs"};
  return names.contains(lower_case(folder.string()));
}

bool is_split_name(std::string name) {
  static const std::set<std::string> names = {"train",      "training", "valid", "val",
                                              "validation", "dev",      "test",  "testing"};
  while (!name.empty() && std::isdigit(static_cast<unsigned char>(name.back())))
    name.pop_back();  // train2017
  return names.contains(lower_case(name));
}

}  // namespace

SourceFolder::SourceFolder(const fs::path& root)
    : root_((root / "").lexically_normal().parent_path()), files_(files_below(root)) {
  if (root_.empty()) root_ = ".";
  std::error_code unknown;
  whole_root_ = fs::weakly_canonical(root_, unknown);
  for (fs::path& file : files_) file = file.lexically_normal();
  std::ranges::sort(files_);
  for (const fs::path& file : files_)
    if (is_image_name(file.native())) images_[file.stem().string()].push_back(file);
}

std::vector<fs::path> SourceFolder::with_extension(std::string_view extension) const {
  std::vector<fs::path> found;
  for (const fs::path& file : files_)
    if (lower_case(file.extension().string()) == extension) found.push_back(file);
  return found;
}

std::optional<fs::path> SourceFolder::image(const fs::path& folder, const std::string& name) const {
  const fs::path named = name;
  if (named.is_relative() && is_image_name(named.native()))
    for (const fs::path& base : {folder, root_, root_ / "images"})
      if (const fs::path path = (base / named).lexically_normal();
          std::ranges::binary_search(files_, path))
        return path;
  const auto at = images_.find(is_image_name(named.native()) ? named.stem().string()
                                                             : named.filename().string());
  if (at == images_.end()) return std::nullopt;
  const auto only = [&](auto&& holds) -> std::optional<fs::path> {
    std::optional<fs::path> found;
    for (const fs::path& image : at->second) {
      if (!holds(image)) continue;
      if (found)
        fail_at({image.string(), 0}, "the annotations mean '", shown(name),
                "', which may be this image or ", found->string(), "; remove or rename one");
      found = image;
    }
    return found;
  };
  if (auto image = only([&](const fs::path& i) { return i.parent_path() == folder; })) return image;
  const fs::path above = folder.parent_path();
  if (auto image = only([&](const fs::path& i) {
        return i.parent_path().parent_path() == above && folder != root_;
      }))
    return image;
  return only([](const fs::path&) { return true; });
}

// Links on the way to a file are followed; the file itself may be one.
fs::path SourceFolder::inner_path(const fs::path& file) const {
  std::error_code unknown;
  const fs::path folder = fs::weakly_canonical(fs::absolute(file).parent_path(), unknown);
  return (folder / file.filename()).lexically_relative(whole_root_);
}

fs::path SourceFolder::name_of(const fs::path& image) const {
  fs::path name;
  const fs::path inner = inner_path(image);
  for (const fs::path& part : inner.parent_path())
    if (!holds_images_by_name(part)) name /= part;
  return name / inner.filename();
}

std::string SourceFolder::split_of(const fs::path& file) const {
  std::string split;
  const fs::path folder = inner_path(file).parent_path();
  for (const fs::path& part : folder)
    if (is_split_name(part.string())) split = part.string();
  return split;
}

}  // namespace darknet
