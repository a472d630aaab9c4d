#include "dataset/coco_ids.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

namespace darknet {
namespace {
namespace fs = std::filesystem;

std::optional<std::int64_t> number_at_end(const fs::path& image) {
  const std::string stem = image.stem().string();
  const auto begin = stem.find_last_not_of("0123456789") + 1;  // npos + 1 == 0
  std::int64_t number = 0;
  const char* const end = stem.data() + stem.size();
  const auto read = std::from_chars(stem.data() + begin, end, number);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return number;
}

}  // namespace

std::vector<std::int64_t> image_ids(const ImagePaths& images) {
  std::vector<std::int64_t> ids;
  std::set<std::int64_t> seen;
  for (const fs::path& image : images) {
    const auto number = number_at_end(image);
    if (!number || !seen.insert(*number).second) break;
    ids.push_back(*number);
  }
  if (ids.size() == images.size()) return ids;
  ids.clear();
  for (std::size_t i = 0; i < images.size(); ++i) ids.push_back(static_cast<std::int64_t>(i + 1));
  return ids;
}

}  // namespace darknet
