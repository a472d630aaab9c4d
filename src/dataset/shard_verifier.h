// Whether the shards of a training are what was packed, found while it runs: each is read and
// compared with shards.sha256 next to it when the training first takes an image of it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/byte_source.h"
#include "dataset/image_paths.h"
#include "dataset/shard_sums.h"

namespace darknet {

// Shards without checksums next to them are taken as they are, and so are those behind a URL but
// for their size: to compare all of it, every byte would be sent twice.
class ShardVerifier {
 public:
  // This process reads every `processes`-th shard, from the `process`-th on; the sizes of all are
  // compared here. Throws where one differs, or where the checksums are damaged.
  explicit ShardVerifier(const ImagePaths&, std::int64_t process = 0, std::int64_t processes = 1);
  ShardVerifier(const ShardVerifier&) = delete;
  ShardVerifier& operator=(const ShardVerifier&) = delete;
  ~ShardVerifier();  // what was not read yet stays so

  // An image of the list, by its number, is about to be read by this process or by another one;
  // from several threads at once. Each process notes the images of all: it reads its share of the
  // shards for them. Throws what was found wrong in any shard: SourceFailure, "SHARD: ...".
  void note_use(std::int64_t image);
  // How many of the shards in use are yet to be read to their end. Throws as note_use().
  std::int64_t unread();
  // Waits until there are none, or `stop`, which is asked now and then, says yes; the first call
  // logs how many there are. Returns how many are left. Throws as note_use().
  std::int64_t finish(const std::function<bool()>& stop = nullptr);

 private:
  struct Shard {
    std::shared_ptr<const ByteSource> source;  // null: not verified
    std::string name;
    ShardSum sum;
  };
  struct Run {  // of images that follow each other in the list and lie in one shard
    std::int64_t first = 0;
    std::size_t shard = 0;
  };
  static constexpr std::size_t kNone = SIZE_MAX;  // in place of a shard
  void add(const std::string& name, bool mine);
  std::int64_t left() const { return std::ssize(waiting_) + (reading_ ? 1 : 0); }  // locked
  const ShardSum* sum_next_to(const std::string& shard);
  void work();
  void verify(const Shard&);
  void throw_found() const;  // under the lock

  ShardSums sums_;
  std::vector<Shard> shards_;            // each once
  std::vector<Run> runs_;                // ascending; the first begins with image 0
  std::vector<std::atomic<bool>> used_;  // of each shard
  bool announced_ = false;               // by finish()
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<const Shard*> waiting_;
  std::optional<SourceFailure> found_;
  std::atomic<bool> is_found_ = false, ends_ = false;
  bool reading_ = false, warned_ = false;
  std::thread thread_;
};

}  // namespace darknet
