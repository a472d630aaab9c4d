#include "dataset/picture_sizes.h"

#include <fstream>
#include <string>

#include "core/log.h"
#include "image/file_check.h"
#include "image/image.h"

namespace darknet {
namespace {

constexpr std::size_t kHeader = 64 << 10;  // bytes in which most pictures tell their size

std::string beginning_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(kHeader, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

PictureSize size_of(const std::filesystem::path& path) {
  const std::string bytes = beginning_of(path);
  PictureSize size = picture_size(bytes);
  if (size.width <= 0 || size.height <= 0) {  // missing, no picture, or told further behind
    const Image image = read_image(path);
    return {image.width, image.height};
  }
  if (exif_orientation(bytes) >= 5) std::swap(size.width, size.height);  // a quarter turn
  return size;
}

}  // namespace

std::vector<PictureSize> picture_sizes(const ImagePaths& paths) {
  std::vector<PictureSize> sizes;
  log::Progress progress("reading the sizes of pictures", static_cast<std::int64_t>(paths.size()));
  for (const auto& path : paths) {
    sizes.push_back(size_of(path));
    progress.at(static_cast<std::int64_t>(sizes.size()));
  }
  return sizes;
}

}  // namespace darknet
