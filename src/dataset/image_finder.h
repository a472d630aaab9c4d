// Finds the image of a list that an entry of a detection file means, by number or by name.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "dataset/image_paths.h"

namespace darknet {

class ImageFinder {
 public:
  explicit ImageFinder(const ImagePaths&);  // they outlive it

  std::optional<std::size_t> by_id(std::int64_t) const;  // one of image_ids()
  // By whole path, as the list has it, or else by file name or stem. Throws where two images have
  // this name, naming both and `where`.
  std::optional<std::size_t> by_name(const std::string& name, const Where& where) const;

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  struct Named {
    std::size_t first = kNone, second = kNone;  // second: another of this name
  };
  using Names = std::unordered_map<std::string, Named>;

  std::string without_folder(const std::string& name) const;
  static void add(Names&, const std::string& name, std::size_t image);
  std::size_t only(const Named&, const std::string& name, const Where&) const;

  const ImagePaths& images_;
  std::string folder_;  // common to all of them
  std::unordered_map<std::int64_t, std::size_t> by_id_;
  Names by_path_, by_inner_path_, by_name_;
};

}  // namespace darknet
