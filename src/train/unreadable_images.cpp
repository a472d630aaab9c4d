#include "train/unreadable_images.h"

#include <string>
#include <string_view>

namespace darknet {

std::int64_t UnreadableImages::add(Ranks& ranks, std::span<const std::int64_t> met) {
  std::int64_t count = std::ssize(met);
  ranks.sum(std::span(&count, 1));
  if (count == 0) return std::ssize(images_);  // as almost always: one short message
  const auto bytes = std::as_bytes(met);
  for (const std::string& of_rank :
       ranks.all_gather({reinterpret_cast<const char*>(bytes.data()), bytes.size()}))
    for (std::size_t at = 0; at < of_rank.size(); at += sizeof(std::int64_t)) {
      std::int64_t image = 0;
      of_rank.copy(reinterpret_cast<char*>(&image), sizeof image, at);
      images_.insert(image);
    }
  return std::ssize(images_);
}

}  // namespace darknet
