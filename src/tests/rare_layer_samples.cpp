// Samples of the layers of YOLOv1 and other networks that few people train, and of weighted
// shortcuts, with what they should compute in plain loops.
#include <algorithm>
#include <cmath>

#include "core/index.h"
#include "tests/layer_references.h"
#include "tests/paths.h"

namespace darknet::testing_layers {
namespace {

// A convolution with weights of its own at every place: {places * filters, size, size, channels};
// the bias as {filters, places}.
struct Local {
  std::int64_t stride, padding;
  std::string activation;
  Values operator()(const Hosts& in, const Hosts& p, const Shape& out) const {
    const Shape& w = p[1].shape;
    const std::int64_t places = out.h * out.w;
    return each([&](const Hosts& x, const Hosts&, auto n, auto oy, auto ox, auto k) {
      const std::int64_t place = oy * out.w + ox;
      double sum = p[0].v[k * places + place];
      for (std::int64_t i = 0; i < w.h * w.w * w.c; ++i) {
        const std::int64_t c = i % w.c, dx = i / w.c % w.w, dy = i / w.c / w.w;
        const std::int64_t y = oy * stride + dy - padding, xx = ox * stride + dx - padding;
        if (y < 0 || xx < 0 || y >= x[0].shape.h || xx >= x[0].shape.w) continue;
        sum += x[0].at(n, y, xx, c) * p[1].at(place * out.c + k, dy, dx, c);
      }
      return activated(activation, sum);
    })(in, p, out);
  }
};

const bool kLocal = add_layer_samples({
    {.type = "local",
     .keys = "filters=3\nsize=3\nstride=1\npad=1\nactivation=leaky\n",
     .in = {{2, 3, 4, 2}},
     .reference = Local{1, 1, "leaky"}},
    {.type = "local",
     .keys = "filters=2\nsize=2\nstride=2\nactivation=mish\n",
     .in = {{3, 4, 5, 3}},
     .reference = Local{2, 0, "mish"}},
});

// size / 2 channels above, one fewer below where the size is even.
struct Normalization {
  std::int64_t below, above;
  double alpha, kappa;
  Values operator()(const Hosts& in, const Hosts& p, const Shape& out) const {
    return each([&](const Hosts& x, const Hosts&, auto n, auto y, auto ox, auto c) {
      double sum = 0;
      for (std::int64_t k = std::max<std::int64_t>(0, c - below); k < out.c && k <= c + above; ++k)
        sum += std::pow(x[0].at(n, y, ox, k), 2);
      return x[0].at(n, y, ox, c) * std::pow(kappa + alpha * sum, -.75);
    })(in, p, out);
  }
};

const bool kNormalization = add_layer_samples({
    {.type = "normalization",
     .keys = "size=3\nalpha=.6\nbeta=.75\nkappa=2\n",
     .in = {{2, 3, 2, 5}},
     .reference = Normalization{1, 1, .6, 2}},
    {.type = "normalization",
     .keys = "size=4\nalpha=.6\nkappa=2\n",
     .in = {{2, 3, 2, 7}},
     .reference = Normalization{1, 2, .6, 2}},
    {.type = "normalization",
     .keys = "alpha=.5\n",
     .in = {{2, 2, 3, 8}},
     .reference = Normalization{2, 2, .5, 1}},
});

const bool kPassing = add_layer_samples({
    {.type = "crop",
     .keys = "crop_height=4\ncrop_width=3\n",
     .in = {{2, 4, 3, 2}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return 2 * in[0].at(n, y, x, c) - 1;
     })},
    {.type = "crop",
     .keys = "crop_height=3\ncrop_width=2\nflip=1\nnoadjust=1\n",
     .in = {{4, 5, 6, 2}},
     .random = true},
    {.type = "empty",
     .in = {{2, 3, 2, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y, x, c);
     })},
    {.type = "contrastive",
     .in = {{2, 3, 2, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y, x, c);
     })},
});

const bool kWeightedShortcuts = add_layer_samples({
    {.type = "shortcut",
     .keys = "from=-3,-4\nweights_type=per_feature\nactivation=mish\n",
     .in = {{2, 3, 3, 4}, {2, 3, 3, 4}, {2, 3, 3, 2}},
     .reference = each([](const Hosts& in, const Hosts& p, auto n, auto y, auto x, auto c) {
       double sum = 0;
       for (std::size_t i = 0; i < 3; ++i)
         if (c < in[i].shape.c) sum += p[0].v[i] * in[i].at(n, y, x, c);
       return activated("mish", sum);
     })},
    {.type = "shortcut",
     .keys = "from=-3\nweights_type=per_channel\nweights_normalization=softmax\n",
     .in = {{2, 3, 2, 4}, {2, 3, 2, 5}},
     .reference = each([](const Hosts& in, const Hosts& p, auto n, auto y, auto x, auto c) {
       const double most = std::max(p[0].v[c], p[0].v[4 + c]);
       const double a = std::exp(p[0].v[c] - most), b = std::exp(p[0].v[4 + c] - most);
       return (a * in[0].at(n, y, x, c) + b * in[1].at(n, y, x, c)) / (a + b + 1e-4);
     })},
    {.type = "shortcut",
     .keys = "from=-3\nweights_type=per_layer\nweights_normalization=avg_relu\n",
     .in = {{1, 3, 2, 3}, {1, 3, 2, 3}},
     .reference = each([](const Hosts& in, const Hosts& p, auto n, auto y, auto x, auto c) {
       const double a = std::max(0.f, p[0].v[0]), b = std::max(0.f, p[0].v[1]);
       return (a * in[0].at(n, y, x, c) + b * in[1].at(n, y, x, c)) / (a + b + 1e-4);
     })},
    {.type = "shortcut",
     .keys = "from=-3\nweights_type=per_channel\nweights_normalization=relu\nactivation=leaky\n",
     .in = {{1, 3, 2, 3}, {1, 3, 2, 3}},
     .reference = each([](const Hosts& in, const Hosts& p, auto n, auto y, auto x, auto c) {
       const double a = std::max(0.f, p[0].v[c]), b = std::max(0.f, p[0].v[3 + c]);
       return activated("leaky",
                        (a * in[0].at(n, y, x, c) + b * in[1].at(n, y, x, c)) / (a + b + 1e-4));
     })},
});

// Every input puts its value times a kernel into the output.
struct Deconv {
  std::int64_t stride, padding;
  std::string activation;
  bool normalised = false;
  Values operator()(const Hosts& in, const Hosts& p, const Shape& out) const {
    const Host& weights = p.back();  // {input channels, size, size, filters}
    Values v(to_size(out.size()));
    for (std::int64_t i = 0; i < out.size(); ++i)
      v[to_size(i)] = normalised ? 0 : p[0].v[to_size(i % out.c)];
    const Shape &s = in[0].shape, &w = weights.shape;
    for (std::int64_t i = 0; i < s.size() * w.h * w.w * w.c; ++i) {
      const std::int64_t k = i % w.c, dx = i / w.c % w.w, dy = i / w.c / w.w % w.h,
                         at = i / (w.c * w.w * w.h), c = at % s.c, x = at / s.c % s.w,
                         y = at / s.c / s.w % s.h, n = at / s.features();
      const std::int64_t oy = y * stride + dy - padding, ox = x * stride + dx - padding;
      if (oy < 0 || ox < 0 || oy >= out.h || ox >= out.w) continue;
      v[to_size(((n * out.h + oy) * out.w + ox) * out.c + k)] +=
          in[0].at(n, y, x, c) * weights.at(c, dy, dx, k);
    }
    if (normalised) normalise(v, out, p[0], p[1]);
    activate_all(v, activation);
    return v;
  }
};

const bool kDeconvolutional = add_layer_samples({
    {.type = "deconvolutional",
     .keys = "filters=3\nsize=3\nstride=2\npad=1\nactivation=leaky\n",
     .in = {{2, 3, 4, 2}},
     .reference = Deconv{2, 1, "leaky"}},
    {.type = "deconvolutional",
     .keys = "filters=2\nsize=4\nstride=2\npadding=1\nactivation=mish\nbatch_normalize=1\n",
     .in = {{2, 2, 3, 3}},
     .reference = Deconv{2, 1, "mish", true}},
    {.type = "deconvolutional",  // gaps between the kernels
     .keys = "filters=4\nsize=2\nstride=3\n",
     .in = {{1, 2, 3, 5}},
     .reference = Deconv{3, 0, "logistic"}},
    {.type = "deconvolutional",
     .keys = "filters=8\nsize=3\nstride=1\npad=1\nactivation=swish\n",
     .in = {{1, 4, 4, 8}},
     .reference = Deconv{1, 1, "swish"}},
});

// Trained values that the images have no part in, and what adds or multiplies them.
const bool kImplicit = add_layer_samples({
    {.type = "implicit",
     .keys = "filters=3\natoms=2\n",
     .in = {{2, 3, 3, 1}},
     .reference = each([](const Hosts&, const Hosts& p, auto, auto y, auto, auto c) {
       return double{p[0].v[to_size(y * 3 + c)]};
     })},
    {.type = "implicit_add",
     .keys = "filters=5\n",
     .in = {{3, 2, 2, 2}},
     .reference = each([](const Hosts&, const Hosts& p, auto, auto, auto, auto c) {
       return double{p[0].v[to_size(c)]};
     })},
    {.type = "implicit_mul",
     .keys = "filters=4\n",
     .in = {{1, 2, 2, 2}},
     .reference = each([](const Hosts&, const Hosts& p, auto, auto, auto, auto c) {
       return double{p[0].v[to_size(c)]};
     })},
    {.type = "shift_channels",
     .keys = "from=-4\n",
     .in = {{2, 1, 1, 5}, {2, 3, 4, 5}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, 0, 0, c) + in[1].at(n, y, x, c);
     })},
    {.type = "control_channels",
     .keys = "from=2\n",
     .in = {{2, 1, 1, 3}, {2, 2, 3, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, 0, 0, c) * in[1].at(n, y, x, c);
     })},
});

// A blur of AlexeyAB's antialiasing: {1 2 1} / 4 on both axes around a pixel, or the mean of 2x2.
Values blurred(const Values& v, const Shape& in, const Shape& out, std::int64_t size,
               std::int64_t stride_y, std::int64_t stride_x) {
  Values result;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const std::int64_t c = i % out.c, x = i / out.c % out.w, y = i / out.c / out.w % out.h,
                       n = i / out.features();
    double sum = 0;
    for (std::int64_t tap = 0; tap < size * size; ++tap) {
      const std::int64_t dy = tap / size, dx = tap % size, before = size == 3 ? 1 : 0;
      const std::int64_t iy = y * stride_y + dy - before, ix = x * stride_x + dx - before;
      const double weight = size == 2 ? .25 : (dy == 1 ? 2 : 1) * (dx == 1 ? 2 : 1) / 16.;
      if (iy >= 0 && ix >= 0 && iy < in.h && ix < in.w)
        sum += weight * v[to_size(((n * in.h + iy) * in.w + ix) * in.c + c)];
    }
    result.push_back(sum);
  }
  return result;
}

double largest_of(const Host& in, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c,
                  std::int64_t size) {
  double largest = -1e30;
  for (std::int64_t i = 0; i < size * size; ++i) {
    const std::int64_t iy = y + i / size - (size - 1) / 2, ix = x + i % size - (size - 1) / 2;
    if (iy >= 0 && ix >= 0 && iy < in.shape.h && ix < in.shape.w)
      largest = std::max(largest, in.at(n, iy, ix, c));
  }
  return largest;
}

Values peaks(const Hosts& in, std::int64_t size) {
  return each([=](const Hosts& x, const Hosts&, auto n, auto y, auto xx, auto c) {
    const double own = x[0].at(n, y, xx, c);
    return own == largest_of(x[0], n, y, xx, c, size) ? own : 0.;
  })(in, {}, in[0].shape);
}

// A 1x1 convolution with weights {filters, 1, 1, channels}; parameters: bias first.
Values pointwise(const Hosts& in, const Hosts& p, const std::string& activation, bool normalised) {
  Shape out = in[0].shape;
  out.c = p.back().shape.n;
  Values v = each([&](const Hosts& x, const Hosts&, auto n, auto y, auto xx, auto k) {
    double sum = normalised ? 0 : p[0].v[to_size(k)];
    for (std::int64_t c = 0; c < x[0].shape.c; ++c)
      sum += x[0].at(n, y, xx, c) * p.back().at(k, 0, 0, c);
    return sum;
  })(in, p, out);
  if (normalised) normalise(v, out, p[0], p[1]);
  activate_all(v, activation);
  return v;
}

const bool kAntialiased = add_layer_samples({
    {.type = "maxpool",
     .keys = "size=3\nstride=2\nantialiasing=1\n",
     .in = {{2, 5, 4, 3}},
     .reference =
         [](const Hosts& in, const Hosts&, const Shape& out) {
           const Values v = each([](const Hosts& x, const Hosts&, auto n, auto y, auto xx, auto c) {
             return largest_of(x[0], n, y, xx, c, 3);
           })(in, {}, in[0].shape);
           return blurred(v, in[0].shape, out, 3, 2, 2);
         }},
    {.type = "maxpool",
     .keys = "size=2\nstride_x=2\nstride_y=1\nantialiasing=2\n",
     .in = {{1, 4, 5, 2}},
     .reference =
         [](const Hosts& in, const Hosts&, const Shape& out) {
           const Values v = each([](const Hosts& x, const Hosts&, auto n, auto y, auto xx, auto c) {
             return largest_of(x[0], n, y, xx, c, 2);
           })(in, {}, in[0].shape);
           return blurred(v, in[0].shape, out, 2, 1, 2);
         }},
    {.type = "maxpool",
     .keys = "size=3\nstride=1\nmaxpool_zero_nonmax=1\n",
     .in = {{2, 4, 5, 2}},
     .reference = [](const Hosts& in, const Hosts&, const Shape&) { return peaks(in, 3); }},
    {.type = "maxpool",
     .keys = "size=3\nstride=2\nmaxpool_zero_nonmax=1\nantialiasing=1\n",
     .in = {{1, 5, 5, 2}},
     .reference =
         [](const Hosts& in, const Hosts&, const Shape& out) {
           return blurred(peaks(in, 3), in[0].shape, out, 3, 2, 2);
         }},
    {.type = "convolutional",
     .keys = "filters=3\nsize=1\nstride=2\nactivation=mish\nbatch_normalize=1\nantialiasing=1\n",
     .in = {{2, 4, 5, 2}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           Shape between = in[0].shape;
           between.c = out.c;
           return blurred(pointwise(in, p, "mish", true), between, out, 3, 2, 2);
         }},
    {.type = "convolutional",
     .keys = "filters=2\nsize=1\nstride=2\nactivation=logistic\nantialiasing=2\n",
     .in = {{1, 5, 4, 3}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           Shape between = in[0].shape;
           between.c = out.c;
           return blurred(pointwise(in, p, "logistic", false), between, out, 2, 2, 2);
         }},
});

// a / (sum of a over the channels + .0001); a = max(x, 0), exp(x), or exp(x - the largest x).
Values over_channels(Values v, std::int64_t channels, bool relu, bool differences) {
  for (std::size_t first = 0; first < v.size(); first += to_size(channels)) {
    const auto begin = v.begin() + static_cast<std::ptrdiff_t>(first), end = begin + channels;
    const double largest = differences ? *std::max_element(begin, end) : 0;
    double sum = 1e-4;
    std::for_each(begin, end, [&](double& x) {
      x = relu ? std::max(x, 0.) : std::exp(x - largest);
      sum += x;
    });
    std::for_each(begin, end, [&](double& x) { x /= sum; });
  }
  return v;
}

const bool kOverChannels = add_layer_samples({
    {.type = "convolutional",
     .keys = "filters=3\nsize=1\nactivation=normalize_channels\nbatch_normalize=1\n",
     .in = {{2, 3, 2, 4}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           return over_channels(pointwise(in, p, "linear", true), out.c, true, false);
         },
     .tolerance = 1e-2},
    {.type = "convolutional",
     .keys = "filters=4\nsize=1\nactivation=normalize_channels_softmax\n",
     .in = {{1, 3, 3, 2}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           return over_channels(pointwise(in, p, "linear", false), out.c, false, false);
         }},
    {.type = "convolutional",
     .keys = "filters=4\nsize=1\nstride=2\nantialiasing=1\n"
             "activation=normalize_channels_softmax_maxval\n",
     .in = {{2, 3, 4, 2}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           Shape between = in[0].shape;
           between.c = out.c;
           return blurred(over_channels(pointwise(in, p, "linear", false), out.c, false, true),
                          between, out, 3, 2, 2);
         }},
});

double element_cross_entropy(const Trial& t) {  // of one row
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i) {
    const double p = t.out.data()[i], target = t.sample.targets[to_size(i)];
    loss -= target * std::log(p) + (1 - target) * std::log(1 - p);
  }
  return loss;
}

const bool kVectors = add_layer_samples({
    {.type = "l2norm",
     .in = {{2, 3, 2, 5}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       double sum = 0;
       for (std::int64_t k = 0; k < 5; ++k) sum += std::pow(in[0].at(n, y, x, k), 2);
       return in[0].at(n, y, x, c) / std::sqrt(sum);
     })},
    {.type = "logistic",
     .in = {{2, 2, 3, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return 1 / (1 + std::exp(-in[0].at(n, y, x, c)));
     })},
    {.type = "logistic",
     .in = {{2, 1, 1, 4}},
     .objective = element_cross_entropy,
     .targets = {0, 1, 1, 0, .5f, .25f, 0, 1}},
    {.type = "reorg",
     .keys = "extra=3\nstride=1\n",
     .in = {{2, 2, 3, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto, auto, auto i) {
       return i < 24 ? in[0].at(n, i / 3 % 2, i % 3, i / 6) : 0.;
     })},
});

// A softmax over each group of siblings of the tree in src/tests/data.
constexpr std::pair<std::int64_t, std::int64_t> kSiblings[] = {{0, 2}, {0, 2}, {2, 4}, {2, 4},
                                                               {4, 5}, {5, 7}, {5, 7}};
constexpr std::int64_t kParents[] = {-1, -1, 0, 0, 1, 2, 2};

double softmax_of_siblings(const Hosts& in, const Hosts&, std::int64_t n, std::int64_t,
                           std::int64_t, std::int64_t c) {
  double sum = 0;
  for (std::int64_t k = kSiblings[c].first; k < kSiblings[c].second; ++k)
    sum += std::exp(in[0].at(n, 0, 0, k) / .8);
  return std::exp(in[0].at(n, 0, 0, c) / .8) / sum;
}

// Of the targets 5, 3 and none.
double cross_entropy_of_paths(const Trial& t) {
  const std::vector<float> out = t.out.to_host({});
  double loss = 0;
  for (const std::int64_t image : {0, 1})
    for (std::int64_t k = image == 0 ? 5 : 3; k >= 0; k = kParents[k])
      loss -= std::log(static_cast<double>(out[to_size(image * 7 + k)]));
  return loss;
}

LayerSample softmax_of_tree(LayerSample s) {
  s.type = "softmax";
  s.keys = cat("temperature=.8\ntree=", (test::test_data() / "classes.tree").string(), '\n');
  s.in = {{3, 1, 1, 7}};
  s.reference = each(softmax_of_siblings);
  s.random = true;  // inference gives the probabilities of leaves: class_tree_test.cpp
  return s;
}

const bool kTrees = add_layer_samples({
    softmax_of_tree({}),
    softmax_of_tree({.objective = cross_entropy_of_paths,  // the second as Darknet writes targets
                     .targets = {0, 0, 0, 0, 0, 1,     0,  //
                                 1, 0, 0, 1, 0, -1234, -1234,  //
                                 0, 0, 0, 0, 0, 0,     0}}),
});

}  // namespace
}  // namespace darknet::testing_layers
