#include "dataset/shard_sequence.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "core/index.h"
#include "core/input.h"
#include "core/tar_shard.h"

namespace darknet {
namespace {

void shuffle(std::vector<std::int64_t>& values, Rng& rng) {  // Fisher and Yates
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[to_size(rng.below(static_cast<std::int64_t>(i)))]);
}

}  // namespace

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
  std::string_view last;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::string_view shard = shard_part(images.text(i));
    if (shard.empty()) return {};
    if (shard != last) sequence.starts.push_back(static_cast<std::int64_t>(i));
    last = shard;
  }
  return sequence;
}

std::vector<std::string> shards_of(const ImagePaths& images) {
  std::vector<std::string> shards;
  for (std::size_t i = 0; i < images.size(); ++i)
    if (const auto shard = shard_part(images.text(i)); !shard.empty() &&
                                                       (shards.empty() || shards.back() != shard) &&
                                                       !is_folder(std::string(shard)))
      shards.emplace_back(shard);
  return shards;
}

}  // namespace darknet
