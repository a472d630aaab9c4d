#include "dataset/pictures.h"

namespace darknet {
namespace {

std::unique_ptr<Picture> load(const std::filesystem::path& path, std::int64_t channels) {
  auto picture = std::make_unique<Picture>();
  picture->image = read_image(path, channels);
  const auto& bytes = picture->image.pixels;
  const auto step = static_cast<std::size_t>(channels);
  for (std::size_t c = 0; c < step; ++c) {
    std::uint64_t sum = 0;
    for (std::size_t i = c; i < bytes.size(); i += step) sum += bytes[i];
    const auto pixels = static_cast<double>(bytes.size() / step);
    picture->mean[c] = static_cast<float>(static_cast<double>(sum) / pixels / 255);
  }
  return picture;
}

}  // namespace

Pictures::Pictures(ImagePaths paths, std::int64_t channels, CacheBudget* budget)
    : paths_(std::move(paths)), channels_(channels), budget_(budget), kept_(paths_.size()) {}

BorrowedPicture Pictures::get(std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  {
    const std::lock_guard lock(mutex_);
    if (kept_[at]) return BorrowedPicture(kept_[at].get());
  }
  std::unique_ptr<const Picture> picture = load(paths_[at], channels_);
  const auto bytes = static_cast<std::int64_t>(picture->image.pixels.size());
  const std::lock_guard lock(mutex_);
  if (kept_[at]) return BorrowedPicture(kept_[at].get());  // another thread was faster
  if (!budget_ || !budget_->take(bytes)) return BorrowedPicture(std::move(picture));
  kept_[at] = std::move(picture);
  return BorrowedPicture(kept_[at].get());
}

}  // namespace darknet
