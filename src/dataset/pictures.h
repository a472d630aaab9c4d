// The decoded pictures of a list, kept in memory up to a budget.
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

struct Picture {
  Image image;
  std::array<float, 3> outside = {.5f, .5f, .5f};  // what is shown beyond its edges, 0..1
};

enum class Outside : std::uint8_t { grey, mean };  // the picture's mean colour

// Either kept by the Pictures or owned by the borrower.
class BorrowedPicture {
 public:
  explicit BorrowedPicture(const Picture* kept) : picture_(kept) {}
  explicit BorrowedPicture(std::unique_ptr<const Picture> own)
      : own_(std::move(own)), picture_(own_.get()) {}
  const Picture& operator*() const { return *picture_; }
  const Picture* operator->() const { return picture_; }

 private:
  std::unique_ptr<const Picture> own_;
  const Picture* picture_;
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

class Pictures {
 public:
  // `budget` outlives this; null: nothing is kept.
  Pictures(ImagePaths, std::int64_t channels, CacheBudget* budget, Outside);
  std::int64_t size() const { return static_cast<std::int64_t>(paths_.size()); }
  std::filesystem::path path(std::int64_t i) const { return paths_[to_size(i)]; }
  // May be called from several threads at once. Throws where the picture cannot be read.
  BorrowedPicture get(std::int64_t i);

 private:
  std::unique_ptr<const Picture> load(std::size_t) const;

  ImagePaths paths_;
  std::int64_t channels_;
  Outside outside_;
  std::mutex mutex_;
  CacheBudget* budget_;
  std::vector<std::unique_ptr<const Picture>> kept_;
};

}  // namespace darknet
