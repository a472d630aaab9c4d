// The images of tar shards in WebDataset's layout: an image and its label file have one key, their
// names without extension.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/tar_shard.h"
#include "dataset/image_paths.h"

namespace darknet {

// Adds the images of the shards, in the order of shards and members. Reads the headers of several
// shards at once, with progress. No image of the set is a file whose name begins with a dot (as
// macOS adds), and one with a longer extension next to the image of its key ("1.seg.png" next to
// "1.jpg"), unless it has a label file of its own. Throws where a shard cannot be read, holds no
// image, or has two images of one key; warns of label files without an image.
void add_shard_images(ImagePaths& to, const std::vector<std::string>& shards);

// The label file of an image: in labels/ where the image is in images/ and there is one, else next
// to the image; its extension may be in upper case. The name next to the image where there is none.
std::string label_member(const TarShard&, std::string_view image);

// What the shard of an image holds under its key in place of the label file, as the end of a
// message: "; the tar has 1.json, ..."; "" where there is nothing that could be meant.
std::string other_labels_text(const std::filesystem::path& image);

// The files with the class of an image, a number, that WebDataset calls KEY.cls.
class ClassFiles {
 public:
  // "" where the image lies in no shard, or in one without such files. Throws where the shard has
  // some and none for this image. Of many images one is asked, one after the other.
  std::string of(const std::filesystem::path& image);

 private:
  std::shared_ptr<const TarShard> shard_;
  bool holds_any_ = false;
};

// The shard that a path goes through; "" where it goes through none, as in a folder that is called
// like one. Of many paths one is asked, one after the other: most go through that of the path
// before.
class ShardOfPath {
 public:
  // Holds until the next call. Throws where the shard cannot be read.
  const std::string& operator()(const std::filesystem::path&);

 private:
  std::string shard_;
};

// Throws, with the remedy, where a name is that of a compressed tar.
void require_unpacked(const std::filesystem::path& name);

}  // namespace darknet
