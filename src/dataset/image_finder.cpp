#include "dataset/image_finder.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/index.h"
#include "core/text.h"
#include "dataset/coco_ids.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

// The deepest folder that holds all images of a list.
fs::path common_folder(const ImagePaths& images) {
  fs::path common = images.empty() ? fs::path() : images[0].parent_path();
  for (const fs::path& image : images) {
    const fs::path folder = image.parent_path();
    const auto end =
        std::mismatch(common.begin(), common.end(), folder.begin(), folder.end()).first;
    if (end == common.end()) continue;
    fs::path shared;
    for (auto part = common.begin(); part != end; ++part) shared /= *part;
    common = std::move(shared);
  }
  return common;
}

}  // namespace

ImageFinder::ImageFinder(const ImagePaths& images)
    : images_(images), folder_(common_folder(images).string()) {
  const auto ids = image_ids(images_);
  const std::size_t inside =
      folder_.empty() ? 0 : folder_.size() + to_size(!folder_.ends_with('/'));
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const fs::path image = images_[i];
    by_id_.emplace(ids[i], i);
    add(by_path_, image.string(), i);
    if (inside > 0) add(by_inner_path_, image.string().substr(inside), i);
    add(by_name_, image.filename().string(), i);
    add(by_name_, image.stem().string(), i);
  }
}

std::optional<std::size_t> ImageFinder::by_id(std::int64_t id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? std::nullopt : std::optional<std::size_t>(at->second);
}

std::optional<std::size_t> ImageFinder::by_name(const std::string& name, const Where& where) const {
  for (const auto& [names, text] : {std::pair<const Names*, std::string>{&by_path_, name},
                                    {&by_inner_path_, without_folder(name)},
                                    {&by_name_, name},
                                    {&by_name_, fs::path(name).filename().string()}})
    if (const auto at = names->find(text); at != names->end()) return only(at->second, name, where);
  return std::nullopt;
}

// A list's paths hold from the list's folder too, which is the common one or lies above it:
// "a/b/1" is "1" where the common folder is /x/a/b.
std::string ImageFinder::without_folder(const std::string& name) const {
  for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1))
    if (cat("/", folder_).ends_with(cat("/", name.substr(0, slash)))) return name.substr(slash + 1);
  return name;
}

void ImageFinder::add(Names& names, const std::string& name, std::size_t image) {
  Named& named = names[name];
  if (named.first == kNone)
    named.first = image;
  else if (named.first != image && named.second == kNone)
    named.second = image;
}

std::size_t ImageFinder::only(const Named& named, const std::string& name,
                              const Where& where) const {
  if (named.second != kNone)
    fail_at(where, "image '", shown(name), "' may be ", images_[named.first].string(), " or ",
            images_[named.second].string(), "; write the path as the list has it");
  return named.first;
}

}  // namespace darknet
