#include "image/image.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/file.h"
#include "core/out_of_memory.h"
#include "image/codec.h"
#include "image/file_check.h"
#include "image/picture_size.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

// Where pixel (x, y) of the upright picture is stored (Exif 2.3, tag Orientation).
struct Orientation {
  bool swap, mirror_x, mirror_y;  // of the stored axes
};

Orientation orientation(int code) {
  return {code >= 5, code == 2 || code == 3 || code == 7 || code == 8,
          code == 3 || code == 4 || code == 6 || code == 7};
}

Image upright(Image stored, int code) {
  if (code == 1) return stored;
  const Orientation o = orientation(code);
  Image out(o.swap ? stored.height : stored.width, o.swap ? stored.width : stored.height,
            stored.channels);
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x) {
      std::int64_t sx = o.swap ? y : x, sy = o.swap ? x : y;
      if (o.mirror_x) sx = stored.width - 1 - sx;
      if (o.mirror_y) sy = stored.height - 1 - sy;
      std::copy_n(stored.at(sx, sy), stored.channels, out.at(x, y));
    }
  return out;
}

std::string ending_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending == ".jpeg" ? ".jpg" : ending;
}

}  // namespace

Image grey_of(const Image& rgb) {
  Image out(rgb.width, rgb.height, 1);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const std::uint8_t* p = &rgb.pixels[3 * i];
    out.pixels[i] = static_cast<std::uint8_t>((77 * p[0] + 150 * p[1] + 29 * p[2] + 128) >> 8);
  }  // weights of ITU-R BT.601
  return out;
}

Image decode_image(const std::string& bytes, const std::string& name, std::int64_t channels) {
  if (bytes.empty()) fail_at({name, 0}, "this picture is empty (0 bytes)");
  if (!is_complete(bytes)) fail_at({name, 0}, "this picture is cut short: its end is missing");
  if (!has_sound_tables(bytes)) fail_at({name, 0}, "this picture is damaged: its Huffman tables");
  if (const PictureSize size = picture_size(bytes); size.width * size.height > kMostPixels)
    fail_at({name, 0}, "this picture has ", size.width, " x ", size.height, " pixels, more than ",
            kMostPixels);
  Image image = decode_rgb(bytes);
  if (image.width == 0) fail_at({name, 0}, "this is no picture that can be decoded");
  image = upright(std::move(image), exif_orientation(bytes));
  return channels == 1 ? grey_of(image) : image;
}

Image read_image(const fs::path& path, std::int64_t channels) {
  return with_memory_for(
      [&] { return cat("the image ", path.string()); },
      [&] { return decode_image(read_file(path, kMostBytes), path.string(), channels); });
}

void write_image(const fs::path& path, const Image& image) {
  const std::string ending = ending_of(path);
  if (ending != ".jpg" && ending != ".png" && ending != ".bmp")
    fail_at({path.string(), 0}, "pictures are written as .jpg, .png or .bmp");
  const std::string bytes = encode(image, ending);
  if (bytes.empty()) fail_at({path.string(), 0}, "this picture cannot be encoded");
  write_file_atomically(path, bytes);
}

}  // namespace darknet
