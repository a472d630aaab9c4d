// The checksums of the shards of a folder: FOLDER/shards.sha256, as darknet data pack writes and
// `sha256sum -c` reads it.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/byte_source.h"

namespace darknet {

inline constexpr const char* kShardSums = "shards.sha256";

struct ShardSum {
  std::string sha256;       // hexadecimal
  std::uint64_t bytes = 0;  // of the shard; 0: not given
};

// A line of it, and before that a comment with the size.
std::string sum_lines(const std::string& shard, const ShardSum&);

class ShardSums {
 public:
  // Those of the folder of this shard, a file or a URL, unless they were asked for before. Throws
  // NoSuchSource where there are none, "FILE:LINE: ..." where they are damaged.
  void add_next_to(const std::string& shard);
  const ShardSum* of(const std::string& shard) const;  // null: not listed

 private:
  void add(const std::string& folder);
  std::map<std::string, ShardSum> sums_;  // by the whole name of a shard
  std::set<std::string> folders_;         // that were asked for
};

// The end of a sentence about a shard that is not what was packed: "was changed or damaged ...";
// "" where it is, or where `stop` said yes before that was known. Reads all of it, unless its size
// already tells.
std::string why_not_as_packed(const ByteSource& shard, const ShardSum&,
                              const std::function<bool()>& stop);
// What its size alone tells.
std::string why_not_of_size(const ByteSource& shard, const ShardSum&);

}  // namespace darknet
