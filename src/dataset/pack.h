// Writes a list of images with their labels as tar shards in WebDataset's layout.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/lock_file.h"
#include "dataset/image_paths.h"

namespace darknet {

// What is finished of a folder, until all is.
inline constexpr const char* kPackRecord = ".darknet_pack";

struct PackOptions {
  std::filesystem::path out;  // a folder
  std::int64_t shard_bytes = 0, classes = 0;
  // Of a classifier (dataset/class_targets.h): the number of an image's class is packed, as .cls.
  std::vector<std::string> class_labels = {};
  std::uint64_t seed = 1;
  std::function<bool()> stop = nullptr;  // asked before each image
};

struct PackedShard {
  std::string name;  // of the file, "train-000000.tar"
  std::int64_t images = 0;
  std::uint64_t bytes = 0;
  std::string sha256;
};

// Packs the lists of a data set into one folder: interrupted work continues after the last complete
// shard.
class Packer {
 public:
  // `work`: what tells this work from another one, as text of one line. Throws where the folder
  // holds shards or the record of other work, and where another process packs into it.
  Packer(PackOptions, const std::string& work);
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer();  // removes the record where no shard was packed
  // `shuffled`: in an order drawn from the seed, else in that of the list. False where `stop` said
  // yes. Throws on the first image or label file that is invalid.
  bool pack(const std::string& list, const ImagePaths&, bool shuffled);
  // Of a list, by its name.
  std::vector<PackedShard> shards(const std::string& list) const;
  // The shards of this work that an interruption left; 0: it begins. They stay as they are.
  std::size_t found() const { return found_; }
  void finish();  // writes kShardSums, removes the record

 private:
  std::filesystem::path record() const { return options_.out / kPackRecord; }
  void read_record(const std::string& work);
  void keep(const PackedShard&);
  PackOptions options_;
  std::optional<LockFile> lock_;
  std::vector<PackedShard> done_;
  bool goes_on_ = false;  // the record is that of this work
  std::size_t found_ = 0;
};

// What is wrong with the shards of a list: one that is not listed in the checksums next to it, or
// is not the one that was packed. Returns how many; reports each. Reads every byte, by several
// threads.
std::int64_t check_shards(const std::vector<std::string>& shards,
                          const std::function<void(const std::string&)>& report,
                          const std::function<bool()>& stop);

}  // namespace darknet
