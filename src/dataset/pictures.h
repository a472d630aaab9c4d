// The decoded pictures of a list, kept in memory up to a budget.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "dataset/image_paths.h"
#include "image/image.h"

namespace darknet {

struct Picture {
  Image image;
  std::array<float, 3> mean{};  // 0..1, by channel
};

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

class Pictures {
 public:
  Pictures(ImagePaths, std::int64_t channels, std::int64_t budget_bytes);
  std::int64_t size() const { return static_cast<std::int64_t>(paths_.size()); }
  std::filesystem::path path(std::int64_t i) const { return paths_[static_cast<std::size_t>(i)]; }
  // May be called from several threads at once. Throws where the picture cannot be read.
  BorrowedPicture get(std::int64_t i);

 private:
  ImagePaths paths_;
  std::int64_t channels_;
  std::mutex mutex_;
  std::int64_t budget_;
  std::vector<std::unique_ptr<const Picture>> kept_;
};

}  // namespace darknet
