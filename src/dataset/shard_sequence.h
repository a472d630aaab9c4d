// The order in which training takes images from tar shards: shards in random order, each read from
// its begin to its end, through a shuffle buffer.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/rng.h"
#include "dataset/image_paths.h"

namespace darknet {

struct ShardSequence {
  std::vector<std::int64_t> starts;  // the first image of each shard, ascending; none: no shards
  std::int64_t window = 0;           // images in the shuffle buffer

  // A permutation of 0 .. images - 1. What it takes at one time lies within the buffer: an image
  // follows its neighbours in the shard by `window` places on average and at random.
  std::vector<std::int64_t> order(std::int64_t images, Rng) const;
};

// Of a list of which every image lies in a shard; of any other list one without shards.
ShardSequence shard_sequence(const ImagePaths&, std::int64_t window);

// The shards that hold images of a list, each once, in the order of their first images.
std::vector<std::string> shards_of(const ImagePaths&);

}  // namespace darknet
