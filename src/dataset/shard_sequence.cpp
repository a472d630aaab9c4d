#include "dataset/shard_sequence.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <unordered_set>
#include <utility>

#include "core/index.h"
#include "dataset/shard_list.h"

namespace darknet {

std::vector<std::int64_t> ShardSequence::order(std::int64_t images, Rng rng) const {
  std::vector<std::int64_t> shards(starts.size());
  std::iota(shards.begin(), shards.end(), 0);
  shuffle(shards, rng);
  std::vector<std::int64_t> order, buffer;
  order.reserve(to_size(images));
  for (const std::int64_t s : shards) {
    const auto next = to_size(s) + 1;
    const std::int64_t end = next < starts.size() ? starts[next] : images;
    for (std::int64_t i = starts[to_size(s)]; i < end; ++i) {
      if (std::ssize(buffer) < window) {
        buffer.push_back(i);
        continue;
      }
      std::int64_t& taken = buffer[to_size(rng.below(window))];
      order.push_back(std::exchange(taken, i));
    }
  }
  shuffle(buffer, rng);
  order.insert(order.end(), buffer.begin(), buffer.end());
  return order;
}

ShardSequence shard_sequence(const ImagePaths& images, std::int64_t window) {
  ShardSequence sequence{.starts = {}, .window = window};
  ShardOfPath shard_of;
  std::string last;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::string& shard = shard_of(images[i]);
    if (shard.empty()) return {};
    if (shard == last) continue;
    sequence.starts.push_back(static_cast<std::int64_t>(i));
    last = shard;
  }
  return sequence;
}

std::vector<std::string> shards_of(const ImagePaths& images) {
  std::vector<std::string> shards;
  std::unordered_set<std::string> known;
  ShardOfPath shard_of;
  for (const std::filesystem::path& image : images)
    if (const std::string& shard = shard_of(image); !shard.empty() && known.insert(shard).second)
      shards.push_back(shard);
  return shards;
}

}  // namespace darknet
