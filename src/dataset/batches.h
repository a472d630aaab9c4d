// The batches of a training run or of an evaluation. Batch k (its images, their augmentation and
// their ground truths) is a pure function of the settings and k: whoever makes it, and in whatever
// order, gets the same bytes. Making them ahead by threads is dataset/loader.h.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dataset/augment.h"
#include "dataset/class_targets.h"
#include "dataset/image_paths.h"
#include "dataset/random_filters.h"
#include "dataset/shard_sequence.h"
#include "detect/box.h"

namespace darknet {

class ShardVerifier;  // dataset/shard_verifier.h

struct InputSize {
  std::int64_t height = 0, width = 0;
};

// Processor time of the parts of the work, in nanoseconds, summed over all threads.
struct LoadTimes {
  std::atomic<std::int64_t> read = 0, decode = 0, warp = 0, labels = 0;
  std::atomic<std::int64_t> images = 0;  // that were made
};

// Of a classifier, whose images have one truth each, of which only the class counts.
struct Classification {
  std::int64_t classes = 0;
  ClassifierKeys keys;
};

struct BatchSettings {
  ImagePaths images;
  GroundTruths truths;  // one entry per image, or none at all
  std::int64_t channels = 3, batch = 1;
  float input_max = 0;                          // [net] input_max
  std::function<InputSize(std::int64_t)> size;  // of batch k
  // Training: endless, shuffled anew every epoch. Without: each image once, in order, plain; the
  // last batch may be smaller.
  std::optional<Augmentation> augmentation;
  // Training: so many images from this one on are made of every batch, the others by other
  // processes; count 0: all. What they are does not depend on it.
  std::int64_t first = 0, count = 0;
  bool letter_box = false;  // without augmentation
  // Random or centre crops instead of what the last two say of places, and targets.
  std::optional<Classification> classification = std::nullopt;
  std::uint64_t seed = 1;
  // Training: leave to the user what is less to send as bytes than as floats (Batch::tiles).
  bool tiles = false;
  ShardVerifier* shards = nullptr;  // of training, told of every image of each batch; outlives them
  LoadTimes* times = nullptr;       // where these are counted; null: nowhere. Outlives the Batches
};

// An image that could not be read and was replaced by another one.
struct UnreadableImage {
  std::int64_t image = 0;
  std::string why;
};

struct Batch {
  std::int64_t index = 0;
  InputSize size;
  std::vector<float> pixels;  // images one after the other, NHWC, 0..1
  // Of each image: what is yet to be placed into it, in order; none where `pixels` has it.
  std::vector<std::vector<PlacedTile>> tiles;
  std::vector<std::vector<Truth>> truths;        // one entry per image
  std::vector<std::int64_t> images;              // which image each is (of several: the first)
  std::vector<std::vector<std::int64_t>> shown;  // of each image: all that it is made of
  std::vector<Placement> placements;             // of each image (of several: of the first)
  std::vector<float> targets;                    // training a classifier: {images, classes}
  std::vector<Image> sizes;                      // width and height of each image, no pixels
  std::vector<std::vector<UnreadableImage>> unreadable;  // training: met while making each image
};

// The order of n images in every epoch, drawn from the seed. Orders of two epochs are kept; threads
// share them.
class EpochOrders {
 public:
  EpochOrders(std::int64_t images, std::uint64_t seed, ShardSequence shards = {})
      : images_(images), seed_(seed), shards_(std::move(shards)) {}
  std::int64_t at(std::int64_t sample) const;  // sample: counted from the first epoch's start
  // Another image at random: any, or of shards one that is near `sample` in the order.
  std::int64_t other(std::int64_t sample, Rng&) const;

 private:
  struct Order {
    std::int64_t epoch = -1;
    std::vector<std::int64_t> images;
  };
  void draw(Order&, std::int64_t epoch) const;
  std::int64_t images_;
  std::uint64_t seed_;
  ShardSequence shards_;
  mutable std::mutex mutex_;
  mutable std::array<Order, 2> kept_;
};

// May be used by several threads at once; what it keeps in memory changes no batch.
class Batches {
 public:
  // `cache`: memory for decoded images, which outlives this; null: none is kept. Throws where the
  // settings contradict each other.
  explicit Batches(BatchSettings, CacheBudget* cache = nullptr);

  // Throws what went wrong. Beyond the end of a plain run: a batch without images.
  Batch make(std::int64_t k) const;

  std::int64_t images() const { return images_.size(); }  // in the list
  std::int64_t batch() const { return settings_.batch; }

  // The same image by image, for a Prefetcher (core/prefetcher.h). The memory of the Batch is used
  // again.
  using Item = Batch;
  std::int64_t pieces(std::int64_t k) const;  // the images of batch k
  void prepare(std::int64_t k, Batch&) const;
  void make_piece(Batch&, std::int64_t image) const;

 private:
  struct Shown;
  bool training() const { return settings_.augmentation.has_value(); }
  void make_plain(Batch&, std::int64_t i) const;
  void make_augmented(Batch&, std::int64_t i) const;
  void add_targets(const Shown&, std::span<float> targets) const;
  // What the image of the endless sequence with this number is made of; `rng` goes on from there.
  struct Drawn;
  Drawn draw(std::int64_t sample) const;
  void note_images_of_others(const Batch&) const;
  // Which image of the endless sequence the i-th of this batch is.
  std::int64_t sample(const Batch&, std::int64_t i) const;
  Shown shown(Batch&, std::int64_t i, std::vector<std::int64_t> images, Mixing, Rng&) const;
  void draw_placements(Shown&, Rng, const InputSize&) const;
  void decode(Shown&, std::size_t& at, Rng, const InputSize&) const;
  std::vector<Filters> filters_of(std::int64_t sample, std::size_t images) const;
  View<float> view(Batch&, std::int64_t i) const;

  BatchSettings settings_;
  mutable ImageCache images_;
  EpochOrders orders_;
};

// random= of the heads: the input size of iteration `batch` + 1. The factor changes every ten
// iterations; the largest size is used in the first and last 100 (Darknet), so that memory runs out
// at once or never.
InputSize random_size(const NetSettings&, float random, std::uint64_t seed, std::int64_t batch,
                      std::int64_t max_batches);
// All that it may give, ascending.
std::vector<InputSize> random_sizes(const NetSettings&, float random);

}  // namespace darknet
