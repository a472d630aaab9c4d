#include "dataset/image_sizes.h"

#include <string>

#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "dataset/image_list.h"
#include "image/bytes.h"
#include "image/file_check.h"
#include "image/image.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 30;
constexpr std::size_t kHeader = 64 << 10;  // bytes in which most images report their size

std::string next_bytes(std::istream& in, std::size_t max) {
  std::string bytes(max, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(to_size(in.gcount()));
  return bytes;
}

// A PNG of nothing but its EXIF chunk, which may stand behind the pixels.
std::string exif_of_png(std::istream& in) {
  constexpr std::size_t kSignature = 8, kHead = 8, kChecksum = 4;
  in.clear();
  in.seekg(0);
  const std::string signature = next_bytes(in, kSignature);
  for (std::string head = next_bytes(in, kHead); head.size() == kHead;
       head = next_bytes(in, kHead)) {
    const auto length = to_size(big_endian(head, 0, 4));
    if (head.ends_with("eXIf"))
      return length > kHeader ? "" : signature + head + next_bytes(in, length + kChecksum);
    in.seekg(static_cast<std::streamoff>(length + kChecksum), std::ios::cur);
  }
  return "";
}

// `in` has been read as far as `head` goes.
int orientation_of(const std::filesystem::path& path, std::istream& in, const std::string& head) {
  constexpr std::size_t kFlags = 20;
  constexpr std::uint64_t kHasExif = 8;
  if (head.size() < kHeader) return exif_orientation(head);
  const FileKind kind = file_kind(head);
  if (kind == FileKind::png) return exif_orientation(exif_of_png(in));
  if (kind == FileKind::webp && head.substr(12, 4) == "VP8X" &&
      (little_endian(head, kFlags, 1) & kHasExif) != 0)
    return exif_orientation(read_file(path, kMaxHeaderBytes));
  return exif_orientation(head);
}

}  // namespace

ImageSize image_size_of(const std::filesystem::path& path) {
  InputFile in(path, kMaxHeaderBytes);
  const std::string head = next_bytes(in, kHeader);
  ImageSize size = image_size(head);
  const FileKind kind = file_kind(head);
  // Missing, no image, or given further behind; or of a kind that OpenCV turns on its own.
  if (size.width <= 0 || kind == FileKind::tiff || kind == FileKind::jpeg2000) {
    const Image image = read_image(path);
    return {image.width, image.height};
  }
  if (orientation_of(path, in, head) >= 5) std::swap(size.width, size.height);  // a quarter turn
  return size;
}

std::vector<ImageSize> image_sizes(const ImagePaths& paths) {
  std::vector<ImageSize> sizes;
  log::Progress progress("reading the sizes of images", std::ssize(paths));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    sizes.push_back(read_listed(paths, i, image_size_of));
    progress.at(std::ssize(sizes));
  }
  return sizes;
}

}  // namespace darknet
