// The images of tar shards in WebDataset's layout: an image and its label file have one key, their
// names without extension.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/image_paths.h"

namespace darknet {

// Adds the images of the shards, in the order of shards and members. Reads the headers of several
// shards at once, with progress. Throws where a shard cannot be read, holds no image, or has two
// images of one key; warns of label files without an image.
void add_shard_images(ImagePaths& to, const std::vector<std::string>& shards);

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
