#include "dataset/pictures.h"

namespace darknet {
namespace {

void set_mean(Picture& picture) {
  const std::vector<std::uint8_t>& bytes = picture.image.pixels;
  const auto step = to_size(picture.image.channels);
  for (std::size_t c = 0; c < step; ++c) {
    std::uint64_t sum = 0;
    for (std::size_t i = c; i < bytes.size(); i += step) sum += bytes[i];
    const auto pixels = static_cast<double>(bytes.size() / step);
    picture.outside[c] = static_cast<float>(static_cast<double>(sum) / pixels / 255);
  }
}

}  // namespace

Pictures::Pictures(ImagePaths paths, std::int64_t channels, CacheBudget* budget, Outside outside)
    : paths_(std::move(paths)),
      channels_(channels),
      outside_(outside),
      budget_(budget),
      kept_(paths_.size()) {}

std::unique_ptr<const Picture> Pictures::load(std::size_t i) const {
  auto picture = std::make_unique<Picture>();
  picture->image = read_image(paths_[i], channels_);
  if (outside_ == Outside::mean) set_mean(*picture);
  return picture;
}

BorrowedPicture Pictures::get(std::int64_t i) {
  const auto at = to_size(i);
  {
    const std::lock_guard lock(mutex_);
    if (kept_[at]) return BorrowedPicture(kept_[at].get());
  }
  std::unique_ptr<const Picture> picture = load(at);
  const auto bytes = static_cast<std::int64_t>(picture->image.pixels.size());
  const std::lock_guard lock(mutex_);
  if (kept_[at]) return BorrowedPicture(kept_[at].get());  // another thread was faster
  if (!budget_ || !budget_->take(bytes)) return BorrowedPicture(std::move(picture));
  kept_[at] = std::move(picture);
  return BorrowedPicture(kept_[at].get());
}

}  // namespace darknet
