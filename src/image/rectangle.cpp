// What canvas.h offers in every build, also where Cairo and Pango are absent.
#include <algorithm>

#include "image/canvas.h"

namespace darknet {

int luma_of(const Colour& c) { return (77 * c[0] + 150 * c[1] + 29 * c[2]) / 256; }

void fill_rectangle(Image& image, std::int64_t x, std::int64_t y, std::int64_t width,
                    std::int64_t height, const Colour& colour) {
  const std::int64_t right = std::min(x + width, image.width),
                     bottom = std::min(y + height, image.height);
  const auto grey = static_cast<std::uint8_t>(luma_of(colour));
  for (std::int64_t row = std::max<std::int64_t>(y, 0); row < bottom; ++row)
    for (std::int64_t column = std::max<std::int64_t>(x, 0); column < right; ++column)
      if (image.channels == 1)
        *image.at(column, row) = grey;
      else
        std::copy_n(colour.begin(), 3, image.at(column, row));
}

}  // namespace darknet
