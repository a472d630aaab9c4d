// The decoded images of a list, kept in memory up to a budget.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "core/index.h"
#include "dataset/image_paths.h"
#include "image/image.h"

namespace darknet {

struct DecodedImage {
  Image image;
  std::array<float, 3> outside = {.5f, .5f, .5f};  // what is shown beyond its edges, 0..1
};

enum class Outside : std::uint8_t { grey, mean };  // the image's mean colour

// Either kept by the ImageCache or owned by the borrower.
class CachedImage {
 public:
  explicit CachedImage(const DecodedImage* kept) : image_(kept) {}
  explicit CachedImage(std::unique_ptr<const DecodedImage> own)
      : own_(std::move(own)), image_(own_.get()) {}
  const DecodedImage& operator*() const { return *image_; }
  const DecodedImage* operator->() const { return image_; }

 private:
  std::unique_ptr<const DecodedImage> own_;
  const DecodedImage* image_;
};

// Memory for decoded images, which several lists may share: whoever comes first takes it.
class CacheBudget {
 public:
  explicit CacheBudget(std::int64_t bytes) : left_(bytes) {}
  bool take(std::int64_t bytes) {  // false where so much is not left
    std::int64_t left = left_.load();
    while (bytes <= left)
      if (left_.compare_exchange_weak(left, left - bytes)) return true;
    return false;
  }

 private:
  std::atomic<std::int64_t> left_;
};

class ImageCache {
 public:
  // `budget` outlives this; null: nothing is kept.
  ImageCache(ImagePaths, std::int64_t channels, CacheBudget* budget, Outside);
  std::int64_t size() const { return std::ssize(paths_); }
  std::filesystem::path path(std::int64_t i) const { return paths_[to_size(i)]; }
  // May be called from several threads at once. Throws where the image cannot be read.
  CachedImage get(std::int64_t i);

 private:
  std::unique_ptr<const DecodedImage> load(std::size_t) const;

  ImagePaths paths_;
  std::int64_t channels_;
  Outside outside_;
  std::mutex mutex_;
  CacheBudget* budget_;
  std::vector<std::unique_ptr<const DecodedImage>> kept_;
};

}  // namespace darknet
