// Samples of most layers but the detection heads, and what they should compute, in plain loops;
// those of few networks are in rare_layer_samples.cpp.
#include <algorithm>
#include <cmath>

#include "core/index.h"
#include "tests/layer_references.h"

namespace darknet::testing_layers {
namespace {

struct Conv {
  std::int64_t stride_y = 1, stride_x = 1, padding = 0, dilation = 1, groups = 1;
  std::string activation = "linear";
  bool normalised = false;

  Values operator()(const Hosts& in, const Hosts& p, const Shape& out) const {
    const Host& weights = p.back();
    const Shape& w = weights.shape;
    Values v = each([&](const Hosts& x, const Hosts&, auto n, auto oy, auto ox, auto k) {
      double sum = normalised ? 0 : p[0].v[k];
      for (std::int64_t y = 0; y < w.h; ++y)
        for (std::int64_t xx = 0; xx < w.w; ++xx) {
          const std::int64_t iy = oy * stride_y + (y - padding) * dilation;
          const std::int64_t ix = ox * stride_x + (xx - padding) * dilation;
          if (iy < 0 || ix < 0 || iy >= x[0].shape.h || ix >= x[0].shape.w) continue;
          const std::int64_t first = k / (w.n / groups) * w.c;
          for (std::int64_t c = 0; c < w.c; ++c)
            sum += x[0].at(n, iy, ix, first + c) * weights.at(k, y, xx, c);
        }
      return sum;
    })(in, p, out);
    if (normalised) normalise(v, out, p[0], p[1]);
    activate_all(v, activation);
    return v;
  }
};

const bool kConvolutional = add_layer_samples({
    {.type = "convolutional",
     .keys = "filters=3\nsize=3\npad=1\nactivation=leaky\nbatch_normalize=1\n",
     .in = {{2, 5, 4, 4}},
     .reference = Conv{.padding = 1, .activation = "leaky", .normalised = true}},
    {.type = "convolutional",
     .keys = "filters=8\nsize=1\nactivation=mish\nbatch_normalize=1\n",
     .in = {{1, 3, 3, 2}},
     .reference = Conv{.activation = "mish", .normalised = true}},
    {.type = "convolutional",
     .keys = "filters=4\nsize=3\nstride=2\npad=1\nactivation=swish\nbatch_normalize=1\n",
     .in = {{2, 6, 5, 2}},
     .reference = Conv{.stride_y = 2,
                       .stride_x = 2,
                       .padding = 1,
                       .activation = "swish",
                       .normalised = true}},
    {.type = "convolutional",
     .keys = "filters=2\nsize=2\nactivation=logistic\nbatch_normalize=1\n",
     .in = {{3, 3, 4, 3}},
     .reference = Conv{.activation = "logistic", .normalised = true}},
    {.type = "convolutional",
     .keys = "filters=5\nsize=3\npadding=1\nactivation=linear\n",
     .in = {{2, 4, 4, 3}},
     .reference = Conv{.padding = 1}},
    {.type = "convolutional",
     .keys = "filters=4\nsize=3\nstride_x=2\nstride_y=1\npad=1\nactivation=mish\n",
     .in = {{1, 4, 5, 2}},
     .reference = Conv{.stride_x = 2, .padding = 1, .activation = "mish"}},
    {.type = "convolutional",
     .keys = "filters=6\ngroups=3\nsize=3\npad=1\nactivation=leaky\n",
     .in = {{2, 4, 3, 6}},
     .reference = Conv{.padding = 1, .groups = 3, .activation = "leaky"}},
    {.type = "convolutional",
     .keys = "filters=8\ngroups=8\nsize=3\npad=1\nactivation=relu\nbatch_normalize=1\n",
     .in = {{2, 4, 4, 8}},
     .reference = Conv{.padding = 1, .groups = 8, .activation = "relu", .normalised = true}},
    {.type = "convolutional",
     .keys = "filters=2\nsize=3\npad=1\ndilation=2\nactivation=tanh\n",
     .in = {{1, 6, 5, 2}},
     .reference = Conv{.padding = 1, .dilation = 2, .activation = "tanh"}},
    {.type = "convolutional",  // one value per channel: its variance counts as zero
     .keys = "filters=3\nsize=1\nactivation=leaky\nbatch_normalize=1\n",
     .in = {{1, 1, 1, 4}},
     .reference = Conv{.activation = "leaky", .normalised = true},
     .random = true},
});

struct Pool {
  std::int64_t size, stride_y, stride_x, padding;
  bool average = false;
  double operator()(const Hosts& in, const Hosts&, std::int64_t n, std::int64_t y, std::int64_t x,
                    std::int64_t c) const {
    const Shape& s = in[0].shape;
    double largest = -1e30, sum = 0;
    int count = 0;
    for (std::int64_t i = 0; i < size * size; ++i) {
      const std::int64_t iy = y * stride_y - padding / 2 + i / size;
      const std::int64_t ix = x * stride_x - padding / 2 + i % size;
      if (iy < 0 || ix < 0 || iy >= s.h || ix >= s.w) continue;
      const double v = in[0].at(n, iy, ix, c);
      largest = std::max(largest, v), sum += v, ++count;
    }
    return average ? sum / count : largest;
  }
};

const bool kPools = add_layer_samples({
    {.type = "maxpool",
     .keys = "size=2\nstride=2\n",
     .in = {{2, 6, 5, 3}},
     .reference = each(Pool{2, 2, 2, 1})},
    {.type = "maxpool",  // yolov2-tiny
     .keys = "size=2\nstride=1\n",
     .in = {{1, 5, 5, 4}},
     .reference = each(Pool{2, 1, 1, 1})},
    {.type = "maxpool",  // yolov3-spp
     .keys = "size=5\nstride=1\n",
     .in = {{1, 4, 5, 2}},
     .reference = each(Pool{5, 1, 1, 4})},
    {.type = "maxpool",
     .keys = "size=3\nstride_x=2\nstride_y=1\npadding=0\n",
     .in = {{2, 5, 7, 2}},
     .reference = each(Pool{3, 1, 2, 0})},
    {.type = "maxpool",
     .keys = "maxpool_depth=1\nout_channels=2\n",
     .in = {{2, 3, 2, 5}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       double largest = -1e30;
       for (std::int64_t k = c; k < in[0].shape.c; k += 2)
         largest = std::max(largest, in[0].at(n, y, x, k));
       return largest;
     })},
    {.type = "local_avgpool",
     .keys = "size=3\nstride=2\n",
     .in = {{2, 5, 4, 3}},
     .reference = each(Pool{3, 2, 2, 2, true})},
    {.type = "avgpool",
     .in = {{3, 4, 5, 6}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto, auto, auto c) {
       double sum = 0;
       for (std::int64_t p = 0; p < 20; ++p) sum += in[0].at(n, p / 5, p % 5, c);
       return sum / 20;
     })},
});

const bool kJoins = add_layer_samples({
    {.type = "route",
     .keys = "layers=-1,2\n",
     .in = {{2, 3, 4, 3}, {2, 3, 4, 2}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return c < 3 ? in[0].at(n, y, x, c) : in[1].at(n, y, x, c - 3);
     })},
    {.type = "route",
     .keys = "layers=-1,-3\ngroups=2\ngroup_id=1\n",
     .in = {{2, 3, 2, 4}, {2, 3, 2, 6}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return c < 2 ? in[0].at(n, y, x, c + 2) : in[1].at(n, y, x, c + 1);
     })},
    {.type = "route",
     .keys = "layers=-4\n",
     .in = {{1, 2, 3, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y, x, c);
     })},
    {.type = "shortcut",
     .keys = "from=-3\nactivation=leaky\n",
     .in = {{2, 3, 3, 4}, {2, 3, 3, 4}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return activated("leaky", in[0].at(n, y, x, c) + in[1].at(n, y, x, c));
     })},
    {.type = "shortcut",
     .keys = "from=-3,-4\nactivation=mish\n",
     .in = {{1, 3, 3, 4}, {1, 3, 3, 2}, {1, 3, 3, 6}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       const double part = c < 2 ? in[1].at(n, y, x, c) : 0;
       return activated("mish", in[0].at(n, y, x, c) + part + in[2].at(n, y, x, c));
     })},
    {.type = "shortcut",  // from a larger layer: every second pixel of it
     .keys = "from=2\n",
     .in = {{2, 2, 3, 2}, {2, 4, 6, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y, x, c) + in[1].at(n, 2 * y, 2 * x, c);
     })},
    {.type = "shortcut",  // from a smaller layer: onto every second pixel
     .keys = "from=2\nactivation=logistic\n",
     .in = {{1, 4, 6, 3}, {1, 2, 3, 2}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       const bool hit = y % 2 == 0 && x % 2 == 0 && c < 2;
       return activated("logistic",
                        in[0].at(n, y, x, c) + (hit ? in[1].at(n, y / 2, x / 2, c) : 0));
     })},
    {.type = "scale_channels",
     .keys = "from=-4\n",
     .in = {{2, 1, 1, 5}, {2, 3, 4, 5}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, 0, 0, c) * in[1].at(n, y, x, c);
     })},
    {.type = "scale_channels",
     .keys = "from=-4\nscale_wh=1\nactivation=swish\n",
     .in = {{2, 3, 4, 1}, {2, 3, 4, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return activated("swish", in[0].at(n, y, x, 0) * in[1].at(n, y, x, c));
     })},
    {.type = "sam",
     .keys = "from=-2\n",
     .in = {{2, 3, 4, 3}, {2, 3, 4, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y, x, c) * in[1].at(n, y, x, c);
     })},
});

// Darknet's reorg_cpu as called by reorg_old_layer, on CHW arrays: out[a] = in[b].
Values historic_reorg(const Host& in, const Shape& out, std::int64_t stride) {
  const Shape& s = in.shape;
  const std::int64_t few = s.c / (stride * stride);
  Values v(to_size(out.size()));
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t k = 0; k < s.c; ++k)
      for (std::int64_t j = 0; j < s.h; ++j)
        for (std::int64_t i = 0; i < s.w; ++i) {
          const std::int64_t a = i + s.w * (j + s.h * k), offset = k / few;
          const std::int64_t x = i * stride + offset % stride, y = j * stride + offset / stride;
          const std::int64_t b = x + s.w * stride * (y + s.h * stride * (k % few));
          const std::int64_t oc = a / (out.h * out.w), oy = a / out.w % out.h, ox = a % out.w;
          const double value = in.at(n, b / s.w % s.h, b % s.w, b / (s.h * s.w));
          v[((n * out.h + oy) * out.w + ox) * out.c + oc] = value;
        }
  return v;
}

const bool kShapes = add_layer_samples({
    {.type = "upsample",
     .keys = "stride=2\nscale=.5\n",
     .in = {{2, 2, 3, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return .5 * in[0].at(n, y / 2, x / 2, c);
     })},
    {.type = "upsample",
     .keys = "stride=3\n",
     .in = {{1, 2, 2, 2}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y / 3, x / 3, c);
     })},
    {.type = "upsample",
     .keys = "stride=-2\nscale=2\n",
     .in = {{2, 4, 6, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       double sum = 0;
       for (int i = 0; i < 4; ++i) sum += in[0].at(n, 2 * y + i / 2, 2 * x + i % 2, c);
       return 2 * sum;
     })},
    {.type = "reorg",
     .keys = "stride=2\n",
     .in = {{2, 4, 6, 8}},
     .reference = [](const Hosts& in, const Hosts&,
                     const Shape& out) { return historic_reorg(in[0], out, 2); }},
    {.type = "reorg",
     .keys = "stride=2\nreverse=1\n",
     .in = {{1, 2, 3, 8}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y / 2, x / 2, (y % 2 * 2 + x % 2) * 2 + c);
     })},
    {.type = "reorg3d",
     .keys = "stride=2\n",
     .in = {{2, 4, 6, 3}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, 2 * y + c / 3 / 2, 2 * x + c / 3 % 2, c % 3);
     })},
    {.type = "reorg3d",
     .keys = "stride=2\nreverse=1\n",
     .in = {{1, 2, 3, 8}},
     .reference = each([](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
       return in[0].at(n, y / 2, x / 2, (y % 2 * 2 + x % 2) * 2 + c);
     })},
});

Values connected(const Hosts& in, const Hosts& p, const Shape& out, const std::string& activation) {
  const bool normalised = p.size() > 2;
  Values v = each([&](const Hosts& x, const Hosts&, auto n, auto, auto, auto o) {
    double sum = normalised ? 0 : p[0].v[o];
    const std::int64_t k = x[0].shape.features();
    for (std::int64_t i = 0; i < k; ++i)
      sum += static_cast<double>(x[0].v[n * k + i]) * p[1].v[o * k + i];
    return sum;
  })(in, p, out);
  if (normalised) normalise(v, out, p[0], p[2]);
  activate_all(v, activation);
  return v;
}

auto connected_with(const std::string& activation) {
  return [activation](const Hosts& in, const Hosts& p, const Shape& out) {
    return connected(in, p, out, activation);
  };
}

const bool kDense = add_layer_samples({
    {.type = "connected",
     .keys = "output=4\nactivation=leaky\n",
     .in = {{3, 2, 3, 4}},
     .reference = connected_with("leaky")},
    {.type = "connected",
     .keys = "output=3\nactivation=mish\n",
     .in = {{2, 1, 1, 6}},
     .reference = connected_with("mish")},
    {.type = "connected",
     .keys = "output=3\nactivation=tanh\nbatch_normalize=1\n",
     .in = {{5, 2, 1, 3}},
     .reference = connected_with("tanh"),
     .tolerance = 5e-3},
    {.type = "batchnorm",
     .in = {{2, 3, 4, 5}},
     .reference =
         [](const Hosts& in, const Hosts& p, const Shape& out) {
           Values v(in[0].v.begin(), in[0].v.end());
           normalise(v, out, p[0], p[1]);
           return v;
         }},
    {.type = "dropout", .keys = "probability=.3\n", .in = {{2, 5, 5, 4}}, .random = true},
    {.type = "dropout",
     .keys = "probability=.3\ndropblock=1\ndropblock_size_abs=3\n",
     .in = {{2, 5, 6, 40}},
     .random = true,
     .step = {{.iteration = kMaxBatches}}},
});

LayerSample activation_sample(const std::string& name) {
  return {.type = "activation",
          .keys = "activation=" + name + "\n",
          .in = {{2, 4, 5, 9}},
          .reference = each([name](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
            return activated(name, in[0].at(n, y, x, c));
          })};
}

LayerSample normalised_sample(const std::string& name) {
  return {.type = "convolutional",
          .keys = "filters=3\nsize=3\npad=1\nbatch_normalize=1\nactivation=" + name + "\n",
          .in = {{2, 5, 4, 2}},
          .reference = Conv{.padding = 1, .activation = name, .normalised = true}};
}

const bool kActivations = [] {
  std::vector<LayerSample> samples;
  for (const std::string& name : names_of<Activation>()) {
    samples.push_back(activation_sample(name));
    samples.push_back(normalised_sample(name));
  }
  return add_layer_samples(samples);
}();

// A softmax over the elements of an image for which same(y1, x1, c1, y2, x2, c2).
template <class F>
auto softmax(double temperature, F same) {
  return each([=](const Hosts& in, const Hosts&, auto n, auto y, auto x, auto c) {
    const Shape& s = in[0].shape;
    double sum = 0;
    for (std::int64_t i = 0; i < s.features(); ++i) {
      const std::int64_t k = i % s.c, xx = i / s.c % s.w, yy = i / s.c / s.w;
      if (same(y, x, c, yy, xx, k)) sum += std::exp(in[0].at(n, yy, xx, k) / temperature);
    }
    return std::exp(in[0].at(n, y, x, c) / temperature) / sum;
  });
}

// Element (n, y, x, c) of targets in CHW order.
float target_of(const Trial& t, std::int64_t i) {
  const Shape& s = t.sample.in[0];
  const std::int64_t c = i % s.c, p = i / s.c, area = s.h * s.w;
  return t.sample.targets[p / area * s.features() + c * area + p % area];
}

double cross_entropy(const Trial& t) {
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i)
    loss -= target_of(t, i) * std::log(t.out.data()[i]);
  return loss;
}

double focal_of_softmax(const Trial& t) {
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i) {
    const double p = t.out.data()[i];
    loss -= target_of(t, i) * std::pow(1 - p, 1.5) * std::log(p);
  }
  return loss;
}

double squared(const Trial& t) {
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i)
    loss += 1.5 * std::pow(t.out.data()[i] - target_of(t, i), 2) / 2;
  return loss;
}

double masked(const Trial& t) {
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i)
    if (target_of(t, i) != -1234) loss += std::pow(t.out.data()[i] - target_of(t, i), 2) / 2;
  return loss;
}

double smooth(const Trial& t) {
  double loss = 0;
  for (std::int64_t i = 0; i < t.out.size(); ++i) {
    const double d = std::fabs(t.out.data()[i] - target_of(t, i));
    loss += d < 1 ? d * d / 2 : d - .5;
  }
  return loss;
}

std::vector<float> ramp(int n, float first, float step) {
  std::vector<float> v;
  for (int i = 0; i < n; ++i) v.push_back(first + step * static_cast<float>(i));
  return v;
}

const bool kLosses = add_layer_samples({
    {.type = "softmax",
     .in = {{3, 1, 1, 7}},
     .reference = softmax(1, [](auto...) { return true; })},
    {.type = "softmax",
     .keys = "groups=2\ntemperature=.5\n",
     .in = {{2, 2, 3, 4}},
     .reference =
         softmax(.5, [](auto, auto, auto a, auto, auto, auto b) { return a / 2 == b / 2; })},
    {.type = "softmax",
     .keys = "spatial=1\n",
     .in = {{2, 2, 3, 4}},
     .reference = softmax(
         1, [](auto y, auto x, auto, auto yy, auto xx, auto) { return y == yy && x == xx; })},
    {.type = "softmax",
     .in = {{2, 1, 1, 4}},
     .objective = cross_entropy,
     .targets = {0, 0, 1, 0, .5f, .25f, .25f, 0}},
    {.type = "softmax",
     .keys = "cls_loss=focal\ncls_gamma=1.5\n",
     .in = {{2, 1, 1, 4}},
     .objective = focal_of_softmax,
     .targets = {0, 0, 1, 0, .5f, .25f, .25f, 0}},
    {.type = "softmax",  // noloss: the targets have no part in it
     .keys = "noloss=1\n",
     .in = {{2, 1, 1, 4}},
     .targets = {0, 0, 1, 0, 1, 0, 0, 0}},
    {.type = "cost", .keys = "type=sse\n", .in = {{2, 1, 1, 4}}},
    {.type = "cost",
     .keys = "type=sse\nscale=1.5\n",
     .in = {{2, 2, 3, 2}},
     .objective = squared,
     .targets = ramp(24, -1, .1f)},
    {.type = "cost",
     .keys = "type=masked\n",
     .in = {{2, 1, 1, 4}},
     .objective = masked,
     .targets = {0, -1234, 1, 0, 1, 0, -1234, 0}},
    {.type = "cost",
     .keys = "type=smooth\n",
     .in = {{2, 1, 1, 6}},
     .objective = smooth,
     .targets = ramp(12, -3, .5f)},
});

}  // namespace
}  // namespace darknet::testing_layers
