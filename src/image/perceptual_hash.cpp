#include "image/perceptual_hash.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "core/index.h"

namespace darknet {
namespace {

constexpr int kMaxBits = 6;
constexpr int kMaxDifference = 4;  // of 255, mean over the grey copy

std::int64_t grey_at(const Image& image, std::int64_t x, std::int64_t y) {
  const std::uint8_t* p = image.at(x, y);
  return image.channels < 3 ? p[0] : (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;
}

// Means over a grid of W x H cells; images smaller than the grid repeat pixels.
template <std::int64_t W, std::int64_t H>
std::array<std::uint8_t, to_size(W* H)> shrunk(const Image& image) {
  std::array<std::uint8_t, to_size(W * H)> cells{};
  for (std::int64_t j = 0; j < H; ++j)
    for (std::int64_t i = 0; i < W; ++i) {
      const std::int64_t x0 = i * image.width / W, y0 = j * image.height / H;
      const std::int64_t x1 = std::max(x0 + 1, (i + 1) * image.width / W);
      const std::int64_t y1 = std::max(y0 + 1, (j + 1) * image.height / H);
      std::int64_t sum = 0;
      for (std::int64_t y = y0; y < y1; ++y)
        for (std::int64_t x = x0; x < x1; ++x) sum += grey_at(image, x, y);
      cells[to_size(j * W + i)] = static_cast<std::uint8_t>(sum / ((x1 - x0) * (y1 - y0)));
    }
  return cells;
}

}  // namespace

ImagePrint print_of(const Image& image) {
  ImagePrint print;
  if (image.width < 1 || image.height < 1) return print;
  const auto grid = shrunk<9, 8>(image);
  for (std::size_t j = 0; j < 8; ++j)
    for (std::size_t i = 0; i < 8; ++i)
      print.hash = print.hash << 1 | (grid[9 * j + i] < grid[9 * j + i + 1] ? 1u : 0u);
  print.grey = shrunk<16, 16>(image);
  return print;
}

bool nearly_same(const ImagePrint& a, const ImagePrint& b) {
  if (std::popcount(a.hash ^ b.hash) > kMaxBits) return false;
  int difference = 0;
  for (std::size_t i = 0; i < a.grey.size(); ++i) difference += std::abs(a.grey[i] - b.grey[i]);
  return difference <= kMaxDifference * static_cast<int>(a.grey.size());
}

}  // namespace darknet
