// The decoded images of a list, kept in memory up to a budget.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/index.h"
#include "dataset/image_paths.h"
#include "image/image.h"

namespace darknet {

struct DecodedImage {
  Image image;  // sides divided by `reduction`, rounded up; of a part, that alone
  // What is shown beyond its edges, 0..1; of other than 3 channels the first for all.
  std::array<float, 3> outside = {.5f, .5f, .5f};
  int reduction = 1;
  // Where `image` lies in the whole image, in pixels of that at the same reduction; empty: it is
  // the whole image.
  Rect part = {};
  std::int64_t width = 0, height = 0;  // of a part: of the whole image at the same reduction
};

enum class Outside : std::uint8_t { grey, mean };  // the image's mean colour

// Leaves its memory to the next image that the thread decodes.
struct RecycleImage {
  void operator()(DecodedImage*) const;
};
using OwnImage = std::unique_ptr<DecodedImage, RecycleImage>;

// Either kept by the ImageCache or owned by the borrower.
class CachedImage {
 public:
  explicit CachedImage(const DecodedImage* kept) : image_(kept) {}
  explicit CachedImage(OwnImage own) : own_(std::move(own)), image_(own_.get()) {}
  const DecodedImage& operator*() const { return *image_; }
  const DecodedImage* operator->() const { return image_; }

 private:
  OwnImage own_;
  const DecodedImage* image_;
};

// An image whose size is known, on its way to be decoded.
struct OpenedImage {
  std::int64_t index = 0;
  Image size;                          // width and height as it stands upright, no pixels
  std::string bytes;                   // of its file, where they were read
  std::optional<CachedImage> decoded;  // where only the whole image can be had
};

// How an image is to be decoded.
struct Wanted {
  int reduction = 1;    // of decode_image()
  bool outside = true;  // whether DecodedImage::outside is used
  // The pixels that are used, in those of the image before it is reduced; empty: all of them.
  Rect part = {};
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
  void give_back(std::int64_t bytes) { left_ += bytes; }
  bool has(std::int64_t bytes) const { return bytes <= left_.load(); }

 private:
  std::atomic<std::int64_t> left_;
};

class ImageCache {
 public:
  // `budget` outlives this; null: nothing is kept.
  ImageCache(ImagePaths, const InputValues&, CacheBudget* budget, Outside);
  std::int64_t size() const { return std::ssize(paths_); }
  std::filesystem::path path(std::int64_t i) const { return paths_[to_size(i)]; }
  // May be called from several threads at once. Throws where the image cannot be read.
  CachedImage get(std::int64_t i) { return get(open(i), {}); }
  // The same in two steps: what is wanted may depend on the size. Whether the whole image comes or
  // only the part depends on what is kept and on the memory left; the pixels of the part do not.
  OpenedImage open(std::int64_t i);
  CachedImage get(OpenedImage, const Wanted&);

 private:
  static constexpr std::size_t kReductions = 4;  // 1, 2, 4, 8
  struct Kept {                                  // of one image and one reduction
    OwnImage image;
    Image size;         // as of OpenedImage
    bool whole = true;  // there are no other reductions
  };
  static std::size_t place(std::int64_t i, int reduction);
  const Kept* any_kept(std::int64_t i) const;
  CachedImage decode(const OpenedImage&, const Wanted&, bool whole);
  Decoding decoding_of(const OpenedImage&, const Wanted&) const;
  template <class Read>
  auto read_listed_with_memory(std::int64_t i, Read read) const;

  ImagePaths paths_;
  InputValues values_;
  Outside outside_;
  std::mutex mutex_;
  CacheBudget* budget_;
  std::map<std::size_t, Kept> kept_;  // by place()
};

}  // namespace darknet
