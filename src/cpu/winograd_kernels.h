// The arithmetic of Winograd's convolutions, vectorised over channels, for the instructions of the
// processor at hand. Arrays are f32. Nothing here allocates or starts threads; see winograd.h.
#pragma once
#include <cstdint>

#include "core/tensor.h"

namespace darknet::winograd {

inline constexpr std::int64_t kPanel = 16;  // channels that lie side by side in every array here

// How an NHWC tensor is cut into tiles: tile (n, row, column) begins at pixel
// (top + row * step, left + column * step) of image n. What lies outside an image counts as zero
// and is not written.
struct Tiles {
  Shape image;  // c: channels between two pixels in memory
  std::int64_t rows = 0, columns = 0, step = 0, top = 0, left = 0;

  std::int64_t count() const { return image.n * rows * columns; }
};

struct Range {
  std::int64_t begin = 0, end = 0;

  std::int64_t size() const { return end - begin; }
};

// Transformed tiles: matrix k of (m + 2)^2 holds element k of each tile, for tile t of a range and
// channel c at k * matrix + c / kPanel * panel + t * row + c % kPanel.
struct Layout {
  std::int64_t matrix = 0, panel = 0, row = 0;
};

// C (+)= A B. A(i, k) is at i * a_row + k * a_column, column j of B(k, j) at
// j / kPanel * b_panel + k * kPanel + j % kPanel, C(i, j) at i * c_row + j.
struct Product {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  std::int64_t rows = 0, depth = 0, panels = 0;
  std::int64_t a_row = 0, a_column = 0, b_panel = 0, c_row = 0;
  bool add = false;
  const float* next = nullptr;  // B of the product that follows, to be fetched meanwhile
};

// What output() does with its sums before it writes them: y = x + bias, then y > 0 ? y : slope * y.
struct Finish {
  const float* bias = nullptr;  // by channel; null: none
  float slope = 1;
  bool add = false;  // to what the tensor holds
};

// The filters of one group in OHWI, [outputs][3][3][inputs]. Both counts are multiples of kPanel.
struct FilterShape {
  std::int64_t outputs = 0, inputs = 0;
};

// Functions for output tiles of m x m pixels. Channel counts are multiples of kPanel.
struct Kernels {
  // B^T d B of the (m + 2)^2 pixels of each tile.
  void (*input)(const Tiles&, Range, const float* image, std::int64_t channels, float* to,
                const Layout&);
  // A^T p A, written to the m^2 pixels of each tile.
  void (*output)(const Tiles&, Range, const float* from, const Layout&, std::int64_t channels,
                 float* image, const Finish&);
  // A g A^T of the m^2 pixels of each tile: the transpose of output().
  void (*output_gradient)(const Tiles&, Range, const float* image, std::int64_t channels, float* to,
                          const Layout&);
  // G f G^T of the filters of one panel of outputs, as B of a Product over inputs: matrix k, input
  // channel i, output o of the panel at k * matrix + i * kPanel + o.
  void (*filters)(const FilterShape&, std::int64_t output_panel, const float* from, float* to,
                  std::int64_t matrix);
  // The same of the filters turned by 180 degrees, for the gradient of the input: matrix k, output
  // o of the panel, input channel i at k * matrix + i / kPanel * panel + o * kPanel + i % kPanel.
  void (*turned_filters)(const FilterShape&, std::int64_t output_panel, const float* from,
                         float* to, std::int64_t matrix, std::int64_t panel);
  // G^T u G for one output channel, added to its gradient [3][3][inputs]. u(k, i) at k * matrix +
  // i.
  void (*filter_gradient)(std::int64_t inputs, const float* from, std::int64_t matrix, float* to);
  void (*product)(const Product&);
};

// m: 2, 4 or 6.
const Kernels& kernels(int m);

}  // namespace darknet::winograd
