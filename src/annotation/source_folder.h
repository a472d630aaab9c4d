// All files below a folder, for readers that look for annotations and for the images they mean.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace darknet {

class SourceFolder {
 public:
  // Lists the folder, following links; each folder once. Throws where it cannot be read.
  explicit SourceFolder(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  // In the order of their paths.
  const std::vector<std::filesystem::path>& files() const { return files_; }
  // With this extension (".xml", in lower or upper case).
  std::vector<std::filesystem::path> with_extension(std::string_view extension) const;

  // The image that an annotation in `folder` means by `name`, a file name with or without folders
  // and extension: by its path from `folder` or the root, else by its name in `folder`, in a folder
  // next to it, or anywhere. None where there is no such image; throws where there are several,
  // naming two of them.
  std::optional<std::filesystem::path> image(const std::filesystem::path& folder,
                                             const std::string& name) const;

  // The path below the root, without the folders that are called as those of images and labels are
  // ("images", "JPEGImages", ...): so images of different splits keep different paths.
  std::filesystem::path name_of(const std::filesystem::path& image) const;
  // The first folder of the path, from the file upwards, whose name is that of a split: "train",
  // "valid", "val", "validation", "dev", "test"; "" where none is.
  std::string split_of(const std::filesystem::path& file) const;

 private:
  // From the root, however both are written: relative, absolute or through links.
  std::filesystem::path inner_path(const std::filesystem::path& file) const;

  std::filesystem::path root_, whole_root_;
  std::vector<std::filesystem::path> files_;
  std::unordered_map<std::string, std::vector<std::filesystem::path>> images_;  // by stem
};

}  // namespace darknet
