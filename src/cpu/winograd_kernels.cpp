// Compiled once for each set of instructions (Highway's foreach_target.h).
#include "cpu/winograd_kernels.h"

#include <algorithm>
#include <array>
#include <utility>

// Vectors of SVE and RVV have no size at compile time: there are no arrays of them.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/winograd_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace darknet::winograd::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::CappedTag<float, kPanel>;
using Vector = hn::Vec<Lanes>;
constexpr std::int64_t kLanes = HWY_MIN(HWY_LANES(float), kPanel);
constexpr int kVectors = kPanel / kLanes;  // of a panel
// Rows and panels of C that a product keeps in registers, next to a row of B, a value of A and,
// where there is no fused multiply-add, a product.
constexpr int kRegisters = HWY_ARCH_ARM_A64 || kLanes == kPanel ? 32 : 16;
constexpr int kColumns = kVectors == 1 ? 2 : 1;
constexpr int kAcross = kVectors * kColumns;
constexpr int kRows = HWY_MAX(1, (kRegisters - 2 - kAcross) / kAcross);

Vector load(const float* p) { return hn::LoadU(Lanes(), p); }
void store(Vector v, float* p) { hn::StoreU(v, Lanes(), p); }
Vector all(float x) { return hn::Set(Lanes(), x); }

// F(m x m, 3 x 3) with m = 2 Pairs evaluates polynomials at 0, at the pairs of points x and -x that
// are listed here, and at infinity (Lavin and Gray, arXiv 1509.09308). Other points give the same
// products with other rounding errors: the usual 1 and 2 have four times those of sqrt(1/2) and
// sqrt(2).
template <int Pairs>
constexpr std::array<double, Pairs> points() {
  if constexpr (Pairs == 1)
    return {1};
  else if constexpr (Pairs == 2)
    return {0.70710678118654752, 1.4142135623730950};
  else
    return {.6, 1, 1.6};
}

template <int Pairs>
class Transforms {
 public:
  // NOLINTNEXTLINE(readability-identifier-naming): m as in the paper
  static constexpr int m = 2 * Pairs, tile = m + 2;

  // B^T d: the coefficients of products of (z - point) over all points but one. The even and the
  // odd ones of z (z^2 - ...)(z +- x) belong to two sums that a pair shares.
  static void input(const Vector (&d)[tile], Vector (&v)[tile]) {
    v[0] = v[tile - 1] = hn::Zero(Lanes());
    for (int i = 0; i <= Pairs; ++i) {
      v[0] = hn::MulAdd(all(kAllPairs[i]), d[2 * i], v[0]);
      v[tile - 1] = hn::MulAdd(all(kAllPairs[i]), d[2 * i + 1], v[tile - 1]);
    }
    for (int p = 0; p < Pairs; ++p) {
      Vector even = d[m], odd = d[m - 1];
      for (int i = 0; i < Pairs - 1; ++i) {
        even = hn::MulAdd(all(kOtherPairs[p][i]), d[2 * i + 2], even);
        odd = hn::MulAdd(all(kOtherPairs[p][i]), d[2 * i + 1], odd);
      }
      const Vector x = all(kX[p]);
      v[1 + 2 * p] = hn::MulAdd(x, odd, even);
      v[2 + 2 * p] = hn::NegMulAdd(x, odd, even);
    }
  }

  // A^T p: the sums of p times powers of the points.
  static void output(const Vector (&p)[tile], Vector (&y)[m]) {
    for (int j = 0; j < m; ++j) y[j] = hn::Zero(Lanes());
    y[0] = p[0];
    for (int i = 0; i < Pairs; ++i) {
      const Vector even = hn::Add(p[1 + 2 * i], p[2 + 2 * i]);
      const Vector odd = hn::Sub(p[1 + 2 * i], p[2 + 2 * i]);
      y[0] = hn::Add(y[0], even);
      for (int j = 1; j < m; ++j)
        y[j] = hn::MulAdd(all(kPowers[i][j]), j % 2 == 0 ? even : odd, y[j]);
    }
    y[m - 1] = hn::Add(y[m - 1], p[tile - 1]);
  }

  // A y, the transpose of output().
  static void output_gradient(const Vector (&y)[m], Vector (&p)[tile]) {
    p[0] = y[0];
    p[tile - 1] = y[m - 1];
    for (int i = 0; i < Pairs; ++i) {
      Vector even = y[0], odd = hn::Mul(all(kPowers[i][1]), y[1]);
      for (int j = 2; j < m; ++j) {
        Vector& sum = j % 2 == 0 ? even : odd;
        sum = hn::MulAdd(all(kPowers[i][j]), y[j], sum);
      }
      p[1 + 2 * i] = hn::Add(even, odd);
      p[2 + 2 * i] = hn::Sub(even, odd);
    }
  }

  // G f: f(point) divided by the product of the point's distances to the others.
  static void filter(const Vector (&f)[3], Vector (&u)[tile]) {
    for (int k = 0; k < tile; ++k) {
      u[k] = hn::Mul(all(kG[k][0]), f[0]);
      for (int j = 1; j < 3; ++j) u[k] = hn::MulAdd(all(kG[k][j]), f[j], u[k]);
    }
  }
  // G^T u
  static void filter_gradient(const Vector (&u)[tile], Vector (&f)[3]) {
    for (int j = 0; j < 3; ++j) {
      f[j] = hn::Mul(all(kG[0][j]), u[0]);
      for (int k = 1; k < tile; ++k) f[j] = hn::MulAdd(all(kG[k][j]), u[k], f[j]);
    }
  }

 private:
  static constexpr std::array<double, Pairs> kPoints = points<Pairs>();

  // The coefficients of the product of (z - x^2) over all pairs, or over all but `without`.
  static constexpr std::array<double, Pairs + 1> polynomial(int without) {
    std::array<double, Pairs + 1> c{1};
    for (int p = 0, degree = 0; p < Pairs; ++p) {
      if (p == without) continue;
      const double square = kPoints[p] * kPoints[p];
      ++degree;
      for (int i = degree; i >= 0; --i) c[i] = (i > 0 ? c[i - 1] : 0) - square * c[i];
    }
    return c;
  }
  static constexpr auto make_x() {
    std::array<float, Pairs> x{};
    for (int p = 0; p < Pairs; ++p) x[p] = static_cast<float>(kPoints[p]);
    return x;
  }
  static constexpr auto make_all_pairs() {
    std::array<float, Pairs + 1> c{};
    for (int i = 0; i <= Pairs; ++i) c[i] = static_cast<float>(polynomial(-1)[i]);
    return c;
  }
  static constexpr auto make_other_pairs() {
    std::array<std::array<float, Pairs>, Pairs> c{};
    for (int p = 0; p < Pairs; ++p)
      for (int i = 0; i < Pairs; ++i) c[p][i] = static_cast<float>(polynomial(p)[i]);
    return c;
  }
  static constexpr auto make_powers() {
    std::array<std::array<float, m>, Pairs> c{};
    for (int p = 0; p < Pairs; ++p) {
      double power = 1;
      for (int j = 0; j < m; ++j, power *= kPoints[p]) c[p][j] = static_cast<float>(power);
    }
    return c;
  }
  static constexpr auto make_g() {
    std::array<std::array<float, 3>, tile> g{};
    for (int k = 0; k < tile - 1; ++k) {
      const auto point = [](int i) {
        return i == 0 ? 0. : i % 2 == 1 ? kPoints[(i - 1) / 2] : -kPoints[(i - 1) / 2];
      };
      double scale = 1, power = 1;
      for (int i = 0; i < tile - 1; ++i)
        if (i != k) scale *= point(k) - point(i);
      for (int j = 0; j < 3; ++j, power *= point(k)) g[k][j] = static_cast<float>(power / scale);
    }
    g[tile - 1] = {0, 0, 1};
    return g;
  }

  static constexpr auto kX = make_x();
  static constexpr auto kAllPairs = make_all_pairs();
  static constexpr auto kOtherPairs = make_other_pairs();
  static constexpr auto kPowers = make_powers();
  static constexpr auto kG = make_g();
};

// Transforms the columns of an In x In square, then the rows of what that gives. get(i, j) reads an
// element, put(i, j, v) writes one; F maps In vectors to Out.
template <int In, int Out, void (*F)(const Vector (&)[In], Vector (&)[Out]), class Get, class Put>
HWY_INLINE void both_sides(const Get& get, const Put& put) {
  Vector half[Out][In];
  for (int j = 0; j < In; ++j) {
    Vector column[In], result[Out];
    for (int i = 0; i < In; ++i) column[i] = get(i, j);
    F(column, result);
    for (int i = 0; i < Out; ++i) half[i][j] = result[i];
  }
  for (int i = 0; i < Out; ++i) {
    Vector result[Out];
    F(half[i], result);
    for (int j = 0; j < Out; ++j) put(i, j, result[j]);
  }
}

// Walks the tiles of a range; corner() is the first pixel of the present one.
class Walk {
 public:
  Walk(const Tiles& t, std::int64_t first) : tiles_(t) {
    column_ = first % t.columns;
    row_ = first / t.columns % t.rows;
    image_ = first / t.columns / t.rows;
  }
  void next() {
    if (++column_ < tiles_.columns) return;
    column_ = 0;
    if (++row_ < tiles_.rows) return;
    row_ = 0;
    ++image_;
  }
  std::int64_t y() const { return tiles_.top + row_ * tiles_.step; }
  std::int64_t x() const { return tiles_.left + column_ * tiles_.step; }
  // Where the pixel (i, j) of the tile lies; -1 outside of the image.
  std::int64_t pixel(int i, int j) const {
    const Shape& s = tiles_.image;
    const std::int64_t py = y() + i, px = x() + j;
    if (py < 0 || py >= s.h || px < 0 || px >= s.w) return -1;
    return ((image_ * s.h + py) * s.w + px) * s.c;
  }

 private:
  const Tiles& tiles_;
  std::int64_t image_ = 0, row_ = 0, column_ = 0;
};

// Reads Size x Size pixels of each tile and writes what F makes of them on both sides.
template <int Size, int Out, void (*F)(const Vector (&)[Size], Vector (&)[Out])>
void transform_tiles(const Tiles& tiles, Range range, const float* image, std::int64_t channels,
                     float* to, const Layout& layout) {
  static constexpr float kZeros[kPanel] = {};
  Walk walk(tiles, range.begin);
  for (std::int64_t t = 0; t < range.size(); ++t, walk.next()) {
    const float* pixels[Size][Size];
    std::int64_t step[Size][Size];  // 0 outside of the image, where the same zeros are read
    for (int i = 0; i < Size; ++i)
      for (int j = 0; j < Size; ++j) {
        const std::int64_t at = walk.pixel(i, j);
        pixels[i][j] = at < 0 ? kZeros : image + at;
        step[i][j] = at < 0 ? 0 : 1;
      }
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      float* const out = to + c / kPanel * layout.panel + t * layout.row + c % kPanel;
      both_sides<Size, Out, F>(
          [&](int i, int j) { return load(pixels[i][j] + c * step[i][j]); },
          [&](int i, int j, Vector v) { store(v, out + (i * Out + j) * layout.matrix); });
    }
  }
}

template <int Pairs>
void input(const Tiles& tiles, Range range, const float* image, std::int64_t channels, float* to,
           const Layout& layout) {
  using T = Transforms<Pairs>;
  transform_tiles<T::tile, T::tile, T::input>(tiles, range, image, channels, to, layout);
}

template <int Pairs>
void output_gradient(const Tiles& tiles, Range range, const float* image, std::int64_t channels,
                     float* to, const Layout& layout) {
  using T = Transforms<Pairs>;
  transform_tiles<T::m, T::tile, T::output_gradient>(tiles, range, image, channels, to, layout);
}

template <int Pairs>
void output(const Tiles& tiles, Range range, const float* from, const Layout& layout,
            std::int64_t channels, float* image, const Finish& finish) {
  using T = Transforms<Pairs>;
  const Vector slope = all(finish.slope), zero = hn::Zero(Lanes());
  Walk walk(tiles, range.begin);
  for (std::int64_t t = 0; t < range.size(); ++t, walk.next()) {
    std::int64_t pixels[T::m][T::m];
    for (int i = 0; i < T::m; ++i)
      for (int j = 0; j < T::m; ++j) pixels[i][j] = walk.pixel(i, j);
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      const float* const in = from + c / kPanel * layout.panel + t * layout.row + c % kPanel;
      const Vector bias = finish.bias ? load(finish.bias + c) : zero;
      both_sides<T::tile, T::m, T::output>(
          [&](int i, int j) { return load(in + (i * T::tile + j) * layout.matrix); },
          [&](int i, int j, Vector v) {
            if (pixels[i][j] < 0) return;
            float* const out = image + pixels[i][j] + c;
            v = hn::Add(v, bias);
            v = hn::IfThenElse(hn::Gt(v, zero), v, hn::Mul(slope, v));
            store(finish.add ? hn::Add(v, load(out)) : v, out);
          });
    }
  }
}

// G f G^T of the filter of one output channel and kLanes input channels; tap(y, x) reads it.
template <int Pairs, class Tap, class Put>
HWY_INLINE void transform_filter(const Tap& tap, const Put& put) {
  using T = Transforms<Pairs>;
  both_sides<3, T::tile, T::filter>(tap, put);
}

template <int Pairs>
void filters(const FilterShape& shape, std::int64_t output_panel, const float* from, float* to,
             std::int64_t matrix) {
  constexpr int kMatrices = Transforms<Pairs>::tile * Transforms<Pairs>::tile;
  constexpr int kTile = Transforms<Pairs>::tile;
  alignas(64) float block[kMatrices][kPanel][kPanel];  // [output][input]
  for (std::int64_t i = 0; i < shape.inputs; i += kPanel) {
    for (std::int64_t o = 0; o < kPanel; ++o)
      for (std::int64_t c = 0; c < kPanel; c += kLanes) {
        const float* const f = from + (output_panel * kPanel + o) * 9 * shape.inputs + i + c;
        transform_filter<Pairs>(
            [&](int y, int x) { return load(f + (y * 3 + x) * shape.inputs); },
            [&](int y, int x, Vector v) { store(v, &block[y * kTile + x][o][c]); });
      }
    for (int k = 0; k < kMatrices; ++k) {
      float* const out = to + k * matrix + i * kPanel;
      for (std::int64_t c = 0; c < kPanel; ++c)
        for (std::int64_t o = 0; o < kPanel; ++o) out[c * kPanel + o] = block[k][o][c];
    }
  }
}

template <int Pairs>
void turned_filters(const FilterShape& shape, std::int64_t output_panel, const float* from,
                    float* to, std::int64_t matrix, std::int64_t panel) {
  constexpr int kTile = Transforms<Pairs>::tile;
  for (std::int64_t o = 0; o < kPanel; ++o)
    for (std::int64_t i = 0; i < shape.inputs; i += kLanes) {
      const float* const f = from + (output_panel * kPanel + o) * 9 * shape.inputs + i;
      float* const out = to + i / kPanel * panel + o * kPanel + i % kPanel;
      transform_filter<Pairs>(
          [&](int y, int x) { return load(f + ((2 - y) * 3 + 2 - x) * shape.inputs); },
          [&](int y, int x, Vector v) { store(v, out + (y * kTile + x) * matrix); });
    }
}

template <int Pairs>
void filter_gradient(std::int64_t inputs, const float* from, std::int64_t matrix, float* to) {
  using T = Transforms<Pairs>;
  for (std::int64_t i = 0; i < inputs; i += kLanes)
    both_sides<T::tile, 3, T::filter_gradient>(
        [&](int y, int x) { return load(from + (y * T::tile + x) * matrix + i); },
        [&](int y, int x, Vector v) {
          float* const out = to + (y * 3 + x) * inputs + i;
          store(hn::Add(v, load(out)), out);
        });
}

// What is needed of B after the present panels, fetched meanwhile: `step` floats, of each panel,
// for a row of B.
struct Ahead {
  const float* at = nullptr;
  std::int64_t step = 0;

  // Does not wait; what is fetched may lie outside of B.
  void fetch(std::int64_t row) const { __builtin_prefetch(at + row * step, 0, 2); }
};

// f(0), ..., f(n - 1) without a loop, so that arrays that f indexes become registers.
template <class F, int... I>
HWY_INLINE void each(std::integer_sequence<int, I...>, const F& f) {
  (f(I), ...);
}
template <int n, class F>
HWY_INLINE void each(const F& f) {
  each(std::make_integer_sequence<int, n>{}, f);
}

// Rows x Columns panels of C.
template <int Rows, int Columns>
void product_block(const Product& p, const float* HWY_RESTRICT a, const float* HWY_RESTRICT b,
                   float* HWY_RESTRICT c, const Ahead& ahead) {
  constexpr int kVectorsOfRow = Columns * kVectors, kSums = Rows * kVectorsOfRow;
  Vector sums[kSums];
  const auto place = [&](int i) {
    return c + i / kVectorsOfRow * p.c_row + i % kVectorsOfRow * kLanes;
  };
  each<kSums>([&](int i) { sums[i] = hn::Zero(Lanes()); });
  if (p.add) each<kSums>([&](int i) { sums[i] = load(place(i)); });
  const std::int64_t a_row = p.a_row, a_column = p.a_column, b_panel = p.b_panel;
  for (std::int64_t k = 0; k < p.depth; ++k, a += a_column, b += kPanel) {
    each<Columns>([&](int column) { Ahead{ahead.at + column * b_panel, ahead.step}.fetch(k); });
    Vector across[kVectorsOfRow];
    each<kVectorsOfRow>(
        [&](int v) { across[v] = load(b + v / kVectors * b_panel + v % kVectors * kLanes); });
    each<Rows>([&](int r) {
      const Vector x = all(a[r * a_row]);
      each<kVectorsOfRow>([&](int v) {
        Vector& sum = sums[r * kVectorsOfRow + v];
        sum = hn::MulAdd(x, across[v], sum);
      });
    });
  }
  each<kSums>([&](int i) { store(sums[i], place(i)); });
}

// The rows that are left, fewer than kRows.
template <int Rows, int Columns>
void product_rest(const Product& p, std::int64_t rows, const float* a, const float* b, float* c,
                  const Ahead& ahead) {
  if constexpr (Rows > 0) {
    if (rows == Rows) return product_block<Rows, Columns>(p, a, b, c, ahead);
    product_rest<Rows - 1, Columns>(p, rows, a, b, c, ahead);
  }
}

template <int Columns>
void product_columns(const Product& p, std::int64_t panel) {
  const float* const b = p.b + panel * p.b_panel;
  float* const c = p.c + panel * kPanel;
  // Each block of rows fetches as large a part of what follows.
  const float* const following = panel + Columns < p.panels ? b + Columns * p.b_panel : p.next;
  Ahead ahead{b, 0};
  if (following) ahead = {following, HWY_MAX(1, kPanel / ((p.rows + kRows - 1) / kRows))};
  std::int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows, ahead.at += p.depth * ahead.step)
    product_block<kRows, Columns>(p, p.a + row * p.a_row, b, c + row * p.c_row, ahead);
  product_rest<kRows - 1, Columns>(p, p.rows - row, p.a + row * p.a_row, b, c + row * p.c_row,
                                   ahead);
}

void product(const Product& p) {
  std::int64_t panel = 0;
  for (; panel + kColumns <= p.panels; panel += kColumns) product_columns<kColumns>(p, panel);
  for (; panel < p.panels; ++panel) product_columns<1>(p, panel);
}

template <int Pairs>
constexpr Kernels kKernels{input<Pairs>,   output<Pairs>,         output_gradient<Pairs>,
                           filters<Pairs>, turned_filters<Pairs>, filter_gradient<Pairs>,
                           product};

}  // namespace

const Kernels* table(int m) { return m == 2 ? &kKernels<1> : m == 4 ? &kKernels<2> : &kKernels<3>; }

}  // namespace darknet::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace darknet::winograd {

HWY_EXPORT(table);

const Kernels& kernels(int m) { return *HWY_DYNAMIC_DISPATCH(table)(m); }

}  // namespace darknet::winograd
#endif
