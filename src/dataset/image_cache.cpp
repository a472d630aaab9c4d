#include "dataset/image_cache.h"

#include "dataset/image_list.h"

namespace darknet {
namespace {

void set_mean(DecodedImage& image) {
  const std::vector<std::uint8_t>& bytes = image.image.pixels;
  const auto step = to_size(image.image.channels);
  for (std::size_t c = 0; c < step; ++c) {
    std::uint64_t sum = 0;
    for (std::size_t i = c; i < bytes.size(); i += step) sum += bytes[i];
    const auto pixels = static_cast<double>(bytes.size() / step);
    image.outside[c] = static_cast<float>(static_cast<double>(sum) / pixels / 255);
  }
}

}  // namespace

ImageCache::ImageCache(ImagePaths paths, std::int64_t channels, CacheBudget* budget,
                       Outside outside)
    : paths_(std::move(paths)),
      channels_(channels),
      outside_(outside),
      budget_(budget),
      kept_(paths_.size()) {}

std::unique_ptr<const DecodedImage> ImageCache::load(std::size_t i) const {
  auto image = std::make_unique<DecodedImage>();
  image->image = read_listed_image(paths_, i, channels_);
  if (outside_ == Outside::mean) set_mean(*image);
  return image;
}

CachedImage ImageCache::get(std::int64_t i) {
  const auto at = to_size(i);
  {
    const std::lock_guard lock(mutex_);
    if (kept_[at]) return CachedImage(kept_[at].get());
  }
  std::unique_ptr<const DecodedImage> image = load(at);
  const auto bytes = std::ssize(image->image.pixels);
  const std::lock_guard lock(mutex_);
  if (kept_[at]) return CachedImage(kept_[at].get());  // another thread was faster
  if (!budget_ || !budget_->take(bytes)) return CachedImage(std::move(image));
  kept_[at] = std::move(image);
  return CachedImage(kept_[at].get());
}

}  // namespace darknet
