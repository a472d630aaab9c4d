#include "api/pixels.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "core/error.h"
#include "image/codec.h"

namespace darknet::api {
namespace {

// Where a pixel has its channels, in bytes from its start.
struct Layout {
  std::int64_t bytes, red, green, blue;
};

Layout layout_of(PixelFormat format) {
  switch (format) {
    case PixelFormat::grey:
      return {1, 0, 0, 0};
    case PixelFormat::rgb:
      return {3, 0, 1, 2};
    case PixelFormat::bgr:
      return {3, 2, 1, 0};
    case PixelFormat::rgba:
      return {4, 0, 1, 2};
    case PixelFormat::bgra:
      return {4, 2, 1, 0};
  }
  fail("an image with the unknown pixel format ", static_cast<int>(format));
}

void require_sound(const ImageView& view, const Layout& layout) {
  if (view.width < 1 || view.height < 1 || !view.pixels)
    fail("an empty image: ", view.width, " x ", view.height, " pixels",
         view.pixels ? "" : ", without a pointer to them");
  if (is_too_large(view.width, view.height)) fail(too_large(view.width, view.height));
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() / view.height;
  if (view.stride != 0 && (view.stride < -most || view.stride > most ||
                           std::llabs(view.stride) < view.width * layout.bytes))
    fail("an image with a stride of ", view.stride, " bytes, but ", view.width,
         " pixels in a row have ", view.width * layout.bytes);
}

// `row`: of `image`; the others are as in the view.
void copy_row(const std::uint8_t* from, const Layout& layout, Image& image, std::int64_t row) {
  std::uint8_t* to = image.at(0, row);
  if (layout.bytes == image.channels && layout.red == 0) {
    std::copy_n(from, image.width * layout.bytes, to);
    return;
  }
  for (std::int64_t x = 0; x < image.width; ++x, from += layout.bytes, to += image.channels) {
    to[0] = from[layout.red];
    if (image.channels == 1) continue;
    to[1] = from[layout.green];
    to[2] = from[layout.blue];
  }
}

}  // namespace

Image image_of(const ImageView& view, std::int64_t channels) {
  const Layout layout = layout_of(view.format);
  if (channels != 1 && channels != 3)
    fail("the network takes images of ", channels,
         " channels, which only files have (.npy, TIFF): detect them by their path");
  require_sound(view, layout);
  const std::int64_t stride = view.stride != 0 ? view.stride : view.width * layout.bytes;
  const bool grey = channels == 1 && layout.bytes == 1;
  Image image(view.width, view.height, grey ? 1 : 3);
  for (std::int64_t y = 0; y < view.height; ++y)
    copy_row(view.pixels + y * stride, layout, image, y);
  return channels == 1 && !grey ? grey_of(image) : image;
}

}  // namespace darknet::api
