// Tar shards: tar files (also behind a URL) whose members are read like files, by a path that goes
// through them, such as shards/train-000000.tar/000123.jpg. InputFile, read_file() and is_present()
// (core/input.h) take such paths.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/byte_source.h"

namespace darknet {

// Which members a shard has and where they lie. Takes 20 bytes a member and its name; of shards
// behind a URL the label files stay in memory too.
class TarShard {
 public:
  // Reads all headers. Throws, "NAME: MEMBER: ...", where the tar is damaged, cut short or has a
  // member twice.
  explicit TarShard(std::string name);

  const std::string& name() const { return name_; }
  std::size_t size() const { return members_.size(); }
  std::string_view member(std::size_t i) const;  // its name; in the order of the tar
  const std::vector<std::uint32_t>& by_name() const { return by_name_; }  // members by their names
  const ByteSource& bytes() const { return *source_; }

  struct Place {
    std::shared_ptr<const ByteSource> source;
    std::uint64_t offset = 0, bytes = 0;
  };
  std::optional<Place> find(std::string_view wanted) const;

 private:
  struct Member {
    std::uint64_t offset = 0;  // in the tar, or behind kInMemory in kept_
    std::uint32_t bytes = 0, name_end = 0;
  };
  static constexpr std::uint64_t kInMemory = std::uint64_t{1} << 63;
  void sort_by_name();

  std::string name_, names_;  // names_: those of the members, one after the other
  std::shared_ptr<const ByteSource> source_, kept_;
  std::vector<Member> members_;
  std::vector<std::uint32_t> by_name_;
};

bool is_shard_name(std::string_view);  // ends with .tar

// Shards are opened once and stay so for the rest of the process: list, labels and loader read one
// after the other. `is_new`: they were opened, or had changed, at this call.
struct OpenedShard {
  std::shared_ptr<const TarShard> shard;
  bool is_new = false;
};
OpenedShard open_shard(const std::string& name);

// Where a path that goes through a shard leads; `place` is empty where the shard has no such
// member.
struct ShardPath {
  std::shared_ptr<const TarShard> shard;
  std::string member;
  std::optional<TarShard::Place> place;
};
// None for every other path, also where the part that ends with .tar is a folder or missing. Throws
// where the shard cannot be read.
std::optional<ShardPath> through_shard(const std::filesystem::path&);

// "train-{000000..000012}.tar" and "{a,b}.tar" as the names that they stand for, and one name as
// itself; none where these are no shards. Throws where a range is empty or too long.
std::vector<std::string> shard_names(const std::string& text);

}  // namespace darknet
