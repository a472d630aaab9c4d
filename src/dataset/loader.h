// Batches for training and evaluation, made ahead by threads into a bounded queue. Batch k is a
// pure function of the settings and k, whatever the number of threads.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dataset/augment.h"
#include "dataset/image_paths.h"
#include "detect/box.h"

namespace darknet {

struct InputSize {
  std::int64_t height = 0, width = 0;
};

struct LoaderSettings {
  ImagePaths images;
  GroundTruths truths;  // one entry per image, or none at all
  std::int64_t channels = 3, batch = 1;
  std::function<InputSize(std::int64_t)> size;  // of batch k
  // Training: endless, shuffled anew every epoch. Without: each image once, in order, plain; the
  // last batch may be smaller.
  std::optional<Augmentation> augmentation;
  bool letter_box = false;  // without augmentation
  std::uint64_t seed = 1;
  std::int64_t first = 0;  // the first batch that next() returns
  int threads = 0;         // 0: one per core, at most 8
  std::int64_t cache_bytes = 0;
  double max_bad = 0;  // training: share of the images that may be unreadable and is passed over
  // Training: leave to the user what is less to send as bytes than as floats (Batch::parts).
  bool parts = false;
};

struct Batch {
  std::int64_t index = 0;
  InputSize size;
  std::vector<float> pixels;  // images one after the other, NHWC, 0..1
  // Of each image: what is yet to be placed into it, in order; none where `pixels` has it.
  std::vector<std::vector<PlacedPart>> parts;
  std::vector<std::vector<Truth>> truths;  // one entry per image
  std::vector<std::int64_t> images;        // which image each is (of a mosaic: its first)
  std::vector<Placement> placements;       // of each image (of a mosaic: its first part)
  std::vector<Image> sizes;                // width and height of each picture, no pixels
};

class Loader {
 public:
  explicit Loader(LoaderSettings);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, waiting for it; at the end of a plain run one without images. Throws what went
  // wrong while making it. The Batch stays valid until the following call.
  const Batch& next();
  std::int64_t unreadable() const;  // images found unreadable for the batches so far (training)

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// random= of the heads: the input size of iteration `batch` + 1. The factor changes every ten
// iterations; the largest size is used in the first and last 100 (Darknet), so that memory runs out
// at once or never.
InputSize random_size(const NetSettings&, float random, std::uint64_t seed, std::int64_t batch,
                      std::int64_t max_batches);

}  // namespace darknet
