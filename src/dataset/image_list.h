// Lists of images: text files with one path a line, or a folder, or a pattern of paths, or shards.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/byte_source.h"
#include "core/error.h"
#include "dataset/image_paths.h"
#include "image/image.h"

namespace darknet {

// Blank lines and Windows line ends are fine; an empty list is an error. Relative paths hold from
// the working directory or else from the list's folder. Whether the images exist is not looked at.
// Of a folder: all images below it. Of a pattern ("frames/*/left_??.png"), where no file is called
// so: the images whose paths match. Both in the order of their paths.
// Of tar shards, "shards/train-{000000..000012}.tar" or a URL, which may also be lines of a list,
// files of a folder or matches of a pattern: their images, in the order of the shards and of their
// members, with paths that go through the shard (core/tar_shard.h).
ImagePaths read_image_list(const std::filesystem::path&);

// On which line of a list an image stands. The list is read again once that is asked for, which is
// in messages only: long lists do not keep the numbers of their lines.
class ListLines {
 public:
  explicit ListLines(std::filesystem::path list) : list_(std::move(list)) {}
  // The first line with this image, as read_image_list() returned it; none where there is no such
  // line (any more). Several threads may ask.
  std::optional<Where> of(const std::filesystem::path& image) const;

 private:
  std::uint64_t key(const std::filesystem::path& image) const;
  void read() const;
  std::filesystem::path list_;
  mutable std::once_flag once_;
  mutable std::vector<std::pair<std::uint64_t, int>> lines_;  // key and number, ascending
};

// "LIST:LINE: no such image: PATH" where a list names the image `i` and it is missing, and a like
// sentence where it is a folder.
std::optional<Error> missing_image(const ImagePaths&, std::size_t i);

// Throws missing_image() of the first image that a list names and that is missing.
void require_all_present(const ImagePaths&);

// What `read` makes of the path of the image `i`. Throws what `read` throws; where that is because
// the image is missing or a folder, missing_image().
template <class Read>
auto read_listed(const ImagePaths& images, std::size_t i, Read read) {
  try {
    return read(images[i]);
  } catch (const SourceFailure&) {
    throw;
  } catch (const Error&) {
    if (const auto missing = missing_image(images, i)) throw Error(*missing);
    throw;
  }
}
inline Image read_listed_input(const ImagePaths& images, std::size_t i, const InputValues& values) {
  return read_listed(images, i, [&](const auto& path) { return read_input(path, values); });
}
inline Image read_listed_image(const ImagePaths& images, std::size_t i, std::int64_t channels = 3) {
  return read_listed(images, i,
                     [channels](const auto& path) { return read_image(path, channels); });
}

// Where the labels of an image lie: images/ or JPEGImages/ replaced by labels/ (the last such
// folder of the path) if that file exists, else next to the image with the extension .txt.
std::filesystem::path label_path(const std::filesystem::path& image);
// The former name, whether or not there is such a file; "" for an image in neither folder.
std::string label_in_labels_folder(std::string_view image);
// Where to write it: the same if it exists; else in labels/ if that has the folder, else next to
// the image.
std::filesystem::path label_path_to_write(const std::filesystem::path& image);

}  // namespace darknet
