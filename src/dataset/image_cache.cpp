#include "dataset/image_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/out_of_memory.h"
#include "dataset/image_list.h"
#include "image/codec.h"
#include "image/file_check.h"
#include "image/image_size.h"

namespace darknet {
namespace {

// Sums of each channel, of so many bytes at once that the compiler makes vectors of them.
std::array<std::uint64_t, 3> channel_sums(const std::vector<std::uint8_t>& bytes,
                                          std::size_t channels) {
  constexpr std::size_t kLanes = 48, kBlocks = 1 << 16;  // 255 * kBlocks fits 32 bits
  static_assert(kLanes % 3 == 0);
  std::array<std::uint64_t, 3> sums{};
  std::size_t at = 0;
  while (bytes.size() - at >= kLanes) {
    std::array<std::uint32_t, kLanes> lanes{};
    for (std::size_t block = 0; block < kBlocks && bytes.size() - at >= kLanes;
         ++block, at += kLanes)
      for (std::size_t k = 0; k < kLanes; ++k) lanes[k] += bytes[at + k];
    for (std::size_t k = 0; k < kLanes; ++k) sums[k % channels] += lanes[k];
  }
  for (; at < bytes.size(); ++at) sums[at % channels] += bytes[at];
  return sums;
}

// Of bytes of 1 or 3 channels, which most images have.
void set_mean_of_bytes(DecodedImage& image) {
  const auto channels = to_size(image.image.channels);
  const auto sums = channel_sums(image.image.pixels, channels);
  const auto pixels = static_cast<double>(image.image.pixels.size() / channels);
  for (std::size_t c = 0; c < channels; ++c)
    image.outside[c] = static_cast<float>(static_cast<double>(sums[c]) / pixels / 255);
}

template <class T>
std::array<float, 3> means_of(const Image& image) {
  std::array<double, 3> sums{};
  const auto parts = to_size(image.channels == 3 ? 3 : 1);
  const std::size_t values = image.pixels.size() / sizeof(T);
  for (std::size_t i = 0; i < values; ++i) {
    T value{};
    std::memcpy(&value, &image.pixels[i * sizeof(T)], sizeof value);
    sums[i % parts] += static_cast<double>(value);
  }
  const double scale =
      static_cast<double>(values / parts) * static_cast<double>(image.value_of_one);
  std::array<float, 3> means{};
  for (std::size_t c = 0; c < parts; ++c) means[c] = static_cast<float>(sums[c] / scale);
  return means;
}

void set_mean(DecodedImage& image) {
  const Image& i = image.image;
  if (i.depth == 2) image.outside = means_of<std::uint16_t>(i);
  if (i.depth == 4) image.outside = means_of<float>(i);
  if (i.depth == 1 && ((i.channels != 1 && i.channels != 3) || i.value_of_one != 255))
    image.outside = means_of<std::uint8_t>(i);
  else if (i.depth == 1)
    set_mean_of_bytes(image);
}

int reduction_between(const Image& whole, const ImagePart& reduced) {
  int r = 1;
  while (r < 8 &&
         ((whole.width + r - 1) / r > reduced.width || (whole.height + r - 1) / r > reduced.height))
    r *= 2;
  return r;
}

Image without_pixels(std::int64_t width, std::int64_t height) {
  Image size;
  size.width = width, size.height = height;
  return size;
}

// As it stands upright; width 0 where the header does not say.
Image upright_size(const std::string& bytes) {
  ImageSize size = image_size(bytes);
  if (exif_orientation(bytes) >= 5) std::swap(size.width, size.height);  // a quarter turn
  return without_pixels(size.width, size.height);
}

}  // namespace

void RecycleImage::operator()(DecodedImage* image) const {
  recycle(std::move(image->image.pixels));
  delete image;  // NOLINT(cppcoreguidelines-owning-memory): of a std::unique_ptr
}

ImageCache::ImageCache(ImagePaths paths, const InputValues& values, CacheBudget* budget,
                       Outside outside)
    : paths_(std::move(paths)), values_(values), outside_(outside), budget_(budget) {}

std::size_t ImageCache::place(std::int64_t i, int reduction) {
  return to_size(i) * kReductions + to_size(std::countr_zero(static_cast<unsigned>(reduction)));
}

// Under the lock.
const ImageCache::Kept* ImageCache::any_kept(std::int64_t i) const {
  const auto at = kept_.lower_bound(place(i, 1));
  return at != kept_.end() && at->first < place(i + 1, 1) ? &at->second : nullptr;
}

template <class Read>
auto ImageCache::read_listed_with_memory(std::int64_t i, Read read) const {
  return with_memory_for([&] { return cat("the image ", path(i).string()); },
                         [&] { return read_listed(paths_, to_size(i), read); });
}

OpenedImage ImageCache::open(std::int64_t i) {
  OpenedImage opened{.index = i, .size = {}, .bytes = {}, .decoded = {}};
  {
    const std::lock_guard lock(mutex_);
    if (const Kept* const kept = any_kept(i)) {
      opened.size = kept->size;
      if (kept->whole) opened.decoded = CachedImage(kept->image.get());
      return opened;
    }
  }
  opened.bytes = read_listed_with_memory(i, image_bytes);
  if (can_reduce(opened.bytes)) opened.size = upright_size(opened.bytes);
  if (opened.size.width > 0) return opened;
  opened.decoded = decode(opened, {}, true);
  const Image& image = (*opened.decoded)->image;
  opened.size = without_pixels(image.width, image.height);
  opened.bytes.clear();
  return opened;
}

CachedImage ImageCache::get(OpenedImage opened, const Wanted& wanted) {
  if (opened.decoded) return std::move(*opened.decoded);
  {
    const std::lock_guard lock(mutex_);
    const auto kept = kept_.find(place(opened.index, wanted.reduction));
    if (kept != kept_.end()) return CachedImage(kept->second.image.get());
  }
  if (opened.bytes.empty()) opened.bytes = read_listed_with_memory(opened.index, image_bytes);
  return decode(opened, wanted, false);
}

// All of it where it may be kept, or where its mean colour is asked for.
Decoding ImageCache::decoding_of(const OpenedImage& opened, const Wanted& wanted) const {
  Decoding how{.reduction = wanted.reduction, .part = wanted.part};
  const int reduction = granted_reduction({opened.size.width, opened.size.height},
                                          exif_orientation(opened.bytes), how.reduction);
  const auto side = [&](std::int64_t n) { return (n + reduction - 1) / reduction; };
  const std::int64_t bytes =
      side(opened.size.width) * side(opened.size.height) * (values_.channels == 1 ? 1 : 3);
  if ((budget_ && budget_->has(bytes)) || (outside_ == Outside::mean && wanted.outside))
    how.part = {};
  return how;
}

CachedImage ImageCache::decode(const OpenedImage& opened, const Wanted& wanted, bool whole) {
  OwnImage image(new DecodedImage);
  ImagePart decoded = read_listed_with_memory(opened.index, [&](const auto& path) {
    return decode_input_part(opened.bytes, path.string(), values_, decoding_of(opened, wanted));
  });
  const bool all = decoded.part == Rect{0, 0, decoded.width, decoded.height};
  Image size = opened.size;
  if (whole) size = without_pixels(decoded.width, decoded.height);
  image->reduction = reduction_between(size, decoded);
  if (!all)
    image->part = decoded.part, image->width = decoded.width, image->height = decoded.height;
  image->image = std::move(decoded.image);
  const auto bytes = std::ssize(image->image.pixels);
  const bool keep = all && budget_ && budget_->take(bytes);
  if (outside_ == Outside::mean && (keep || wanted.outside)) set_mean(*image);
  if (!keep) return CachedImage(std::move(image));
  const std::lock_guard lock(mutex_);
  const auto [kept, is_new] =
      kept_.try_emplace(place(opened.index, wanted.reduction), Kept{nullptr, size, whole});
  if (is_new)
    kept->second.image = std::move(image);
  else
    budget_->give_back(bytes);  // another thread was faster
  return CachedImage(kept->second.image.get());
}

}  // namespace darknet
