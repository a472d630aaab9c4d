// Winograd's convolutions, each tile size and direction, against obvious loops in double.
#include "cpu/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <span>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/threads.h"
#include "nn/network.h"
#include "tests/conv_loops.h"

namespace darknet {
namespace {

struct Results {
  std::vector<float> out, in_gradient, weight_gradient;

  bool operator==(const Results&) const = default;
};

// Threads of plans that are made while it lives, and of what they do on streams without a number.
class ThreadLimit {
 public:
  explicit ThreadLimit(int max) { limit_threads(max); }
  ~ThreadLimit() { limit_threads(before_); }

 private:
  int before_ = launch_threads();
};

using Filters = WinogradConv::Filters;

struct Problem {
  Conv c;
  Tensor in = random_tensor(c.s.in, 1), out_gradient = random_tensor(c.out, 3);
  Tensor weights = random_tensor({c.s.filters, 3, 3, c.in_group}, 2);
  Tensor bias = random_tensor(vector_shape(c.s.filters), 5);

  // leaky(conv + bias); the gradients are added to what random tensors hold.
  Results run(int m, const Stream& stream = {}, Filters filters = Filters::kept) const {
    WinogradConv forward(c.s, ConvDirection::forward, m, filters);
    WinogradConv data(c.s, ConvDirection::backward_data, m, filters);
    EXPECT_EQ(forward.packed_weights() > 0, filters == Filters::kept);
    EXPECT_EQ(data.packed_weights() > 0, filters == Filters::kept);
    const WinogradWeightGradient gradient(c.s, m);
    Tensor out(kChecked, c.out), dx = random_tensor(c.s.in, 4);
    Tensor dw = random_tensor(weights.shape(), 6);
    const Buffer forward_space(kChecked, forward.workspace());
    const Buffer data_space(kChecked, data.workspace());
    const Buffer gradient_space(kChecked, gradient.workspace());
    forward.set_weights(stream, weights.data());
    data.set_weights(stream, weights.data());
    forward.run(stream, in.data(), out.data(), {.bias = bias.data(), .slope = .1f},
                forward_space.data());
    data.run(stream, out_gradient.data(), dx.data(), {.add = true}, data_space.data());
    gradient.run(stream, in.data(), out_gradient.data(), dw.data(), gradient_space.data());
    for (const Buffer* b :
         {&out.buffer(), &dx.buffer(), &dw.buffer(), &forward_space, &data_space, &gradient_space})
      EXPECT_TRUE(b->guards_intact());
    return {out.to_host(stream), dx.to_host(stream), dw.to_host(stream)};
  }
};

ConvSpec padded(const Shape& in, std::int64_t filters, std::int64_t pad_y, std::int64_t pad_x,
                std::int64_t groups = 1) {
  return {in, filters, groups, 3, 3, 1, 1, 1, pad_y, pad_x};
}

const ConvSpec kSpecs[] = {
    padded({2, 13, 11, 16}, 32, 1, 1),  padded({1, 26, 26, 64}, 48, 1, 1),
    padded({3, 9, 7, 32}, 16, 0, 2),    padded({2, 5, 8, 64}, 32, 2, 0, 2),
    padded({1, 3, 3, 16}, 16, 0, 0),    padded({1, 1, 2, 48}, 96, 1, 1),
    padded({1, 24, 20, 16}, 16, 1, 1),  padded({4, 2, 2, 128}, 128, 1, 1),
    padded({2, 40, 37, 32}, 144, 1, 1),
};

TEST(Winograd, EqualsTheLoopsInEveryDirection) {
  for (const ConvSpec& s : kSpecs) {
    ASSERT_TRUE(winograd_fits(s));
    const Problem p{.c = Conv{s}};
    std::vector<double> y(to_size(p.c.out.size())), dx, dw;
    for (const float x : random_tensor(s.in, 4).to_host(kStream)) dx.push_back(x);
    for (const float x : random_tensor(p.weights.shape(), 6).to_host(kStream)) dw.push_back(x);
    p.c.visit([&](auto o, auto i, auto w) {
      y[o] += double{p.in.data()[i]} * p.weights.data()[w];
      dx[i] += double{p.out_gradient.data()[o]} * p.weights.data()[w];
      dw[w] += double{p.out_gradient.data()[o]} * p.in.data()[i];
    });
    for (std::size_t o = 0; o < y.size(); ++o) {
      y[o] += p.bias.data()[o % to_size(s.filters)];
      y[o] = std::max(y[o], .1 * y[o]);
    }
    for (const int m : {2, 4, 6}) {
      const std::string what = cat(to_string(s.in), " * ", s.filters, ", m ", m);
      const double bound = m == 2 ? 3e-6 : m == 4 ? 6e-6 : 2e-5;
      const Results r = p.run(m);
      expect_close(y, r.out.data(), what + " forward", bound);
      expect_close(dx, r.in_gradient.data(), what + " data", bound);
      expect_close(dw, r.weight_gradient.data(), what + " weights", bound);
    }
  }
}

TEST(Winograd, HasTheSameBitsWithAnyNumberOfThreadsAndInAnyOrder) {
  for (const ConvSpec& s : kSpecs) {
    const Problem p{.c = Conv{s}};
    const auto with = [&](int threads, const Stream& stream) {
      const ThreadLimit limit(threads);
      return p.run(4, stream);
    };
    const Results alone = with(1, {});
    for (const int n : {2, 3, 7}) {
      EXPECT_TRUE(with(n, {}) == alone) << n << " threads";
      EXPECT_TRUE(with(n, {.threads = 1}) == alone) << "planned for " << n << ", run by one";
      EXPECT_TRUE(with(n, {.order = Order::scattered}) == alone) << n << " threads, scattered";
    }
    EXPECT_TRUE(with(1, {.threads = 3}) == alone) << "planned for one thread, run by 3";
  }
}

TEST(Winograd, HasTheSameBitsWhenEachRunTransformsTheFilters) {
  for (const ConvSpec& s : kSpecs) {
    const Problem p{.c = Conv{s}};
    for (const int m : {2, 4, 6})
      for (const Order order : {Order::parallel, Order::scattered})
        EXPECT_TRUE(p.run(m, {.order = order}, Filters::per_run) == p.run(m))
            << to_string(s.in) << ", m " << m;
  }
}

// Two passes of two images, between which the weights change.
struct Trained {
  explicit Trained(int subdivisions);
  std::int64_t packed_bytes = 0;
  std::vector<std::vector<float>> results;  // outputs, and sums of gradients
};

Trained::Trained(int subdivisions) {
  const std::string layer =
      "[convolutional]\nbatch_normalize=1\nfilters=32\nsize=3\nstride=1\npad=1\n"
      "activation=leaky\n";
  std::istringstream cfg(cat("[net]\nbatch=", 2 * subdivisions, "\nsubdivisions=", subdivisions,
                             "\nwidth=20\nheight=20\nchannels=16\n", layer, layer));
  Network net(parse_cfg(cfg, "net.cfg"), {.mode = Mode::training, .seed = 3});
  packed_bytes = net.memory().packed_weights;
  for (const auto direction : {ConvDirection::forward, ConvDirection::backward_data})
    EXPECT_EQ(net.layer(1).convolution()->algorithms[to_size(direction)], "winograd4");
  net.initialise();
  const Pass pass{.stream = net.stream(), .mode = Mode::training};
  for (std::uint64_t k = 0; k < 2; ++k) {
    net.parameters_changed();
    std::ranges::copy(random_tensor(net.input_shape(), k).to_host(kStream), net.input().as().data);
    net.forward(pass);
    results.push_back(to_host(net.stream(), net.output(1)));
    std::ranges::copy(random_tensor(net.output_shape(1), 2 + k).to_host(kStream),
                      net.output_gradient(1).as().data);
    net.backward(pass);
    results.push_back(to_host(net.stream(), net.gradients()));
    for (const Parameter* p : net.parameters())
      if (p->role == Role::weights)
        for (float& w : std::span(p->value.data(), to_size(p->value.size()))) w *= -.5f;
  }
}

TEST(Winograd, ATrainingWithoutSubdivisionsKeepsNoFiltersAndHasTheSameBits) {
  const Trained one(1), two(2);
  EXPECT_EQ(one.packed_bytes, 0);
  EXPECT_GE(two.packed_bytes, 36 * (16 * 32 + 2 * 32 * 32) * std::int64_t{sizeof(float)});
  EXPECT_EQ(one.results, two.results);
  EXPECT_NE(one.results[0], one.results[2]);
}

TEST(Winograd, SaysWhatItCanCompute) {
  const Shape in{1, 8, 8, 16};
  EXPECT_TRUE(winograd_fits(spec(in, 16, 3, 1)));
  EXPECT_FALSE(winograd_fits(spec(in, 16, 3, 2)));        // stride
  EXPECT_FALSE(winograd_fits(spec(in, 16, 1, 1)));        // 1x1
  EXPECT_FALSE(winograd_fits(spec(in, 16, 3, 1, 1, 2)));  // dilation
  EXPECT_FALSE(winograd_fits(spec(in, 24, 3, 1)));        // filters
  EXPECT_FALSE(winograd_fits(spec(in, 32, 3, 1, 2)));     // channels of a group
  EXPECT_FALSE(winograd_fits(padded(in, 16, 3, 1)));      // padding
}

// The choice: never with -exact or in 16 bits, nor where tiles are mostly empty.
TEST(Winograd, IsChosenWhereItPays) {
  Ops& cpu = ops(DeviceType::cpu);
  const auto algorithm = [&](const ConvSpec& s, const PlanOptions& o) {
    return cpu.conv(s, {}, o)->algorithm(ConvDirection::forward);
  };
  EXPECT_EQ(algorithm(spec({1, 52, 52, 64}, 128, 3, 1), {}), "winograd4");
  EXPECT_EQ(algorithm(spec({1, 1, 1, 64}, 128, 3, 1), {}).find("winograd"), std::string::npos);
  EXPECT_NE(algorithm(spec({1, 52, 52, 64}, 128, 3, 1), {.exact = true}), "winograd4");
  EXPECT_NE(algorithm(spec({1, 52, 52, 64}, 128, 3, 2), {}), "winograd4");
  // Tiles of 4 x 4 would be mostly empty.
  EXPECT_EQ(algorithm(spec({4, 6, 6, 64}, 128, 3, 1), {}), "winograd2");
}

}  // namespace
}  // namespace darknet
