// Layers that stopbackward, onlyforward, dont_update and train_only_bn freeze: which they are, that
// nothing of them moves, what passes through them, and where freezing ends.
#include "nn/freezing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/all_reduce.h"
#include "train/device_check.h"
#include "train/random_batch.h"
#include "train/step.h"

namespace darknet {
namespace {

using Indices = std::vector<std::int64_t>;
using Values = std::vector<std::vector<float>>;

constexpr std::int64_t kFrozenBatch = 4;
constexpr std::int64_t kForGood = std::int64_t{1} << 40;

std::string convolution(const std::string& keys, const char* activation = "leaky") {
  return cat("[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=",
             activation, "\n", keys);
}

// Layers 0 to 2 with batch normalisation, 3 without, and a head.
std::vector<Section> cfg_of(const std::array<std::string, 3>& keys, const std::string& net = "") {
  std::istringstream in(cat("[net]\nbatch=", kFrozenBatch,
                            "\nsubdivisions=2\nwidth=32\nheight=32\nmomentum=.9\ndecay=.005\n", net,
                            convolution(keys[0]), convolution(keys[1], "mish"),
                            convolution(keys[2]),
                            "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
                            "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=1\n"));
  return parse_cfg(in, "net.cfg");
}

Indices frozen_at(Network& net, std::int64_t iteration) {
  net.set_iteration(iteration);
  return net.frozen_layers();
}

Network training_network(std::vector<Section> cfg, const NetworkOptions& more = {}) {
  NetworkOptions options = more;
  options.mode = Mode::training;
  Network net(std::move(cfg), options);
  net.initialise();
  net.parameters_changed();
  return net;
}

TEST(Freezing, KeysSayWhichLayersAndHowLong) {
  Network stop = training_network(cfg_of({"", "stopbackward=3\n", ""}));
  EXPECT_EQ(stop.frozen_layers(), Indices{}) << "before any step the largest plan is made";
  EXPECT_EQ(frozen_at(stop, 1), (Indices{0, 1}));
  EXPECT_EQ(frozen_at(stop, 3), (Indices{0, 1}));
  EXPECT_EQ(frozen_at(stop, 4), Indices{});
  EXPECT_EQ(frozen_at(stop, 2), (Indices{0, 1}));
  Network good = training_network(cfg_of({"", "stopbackward=1\n", ""}));
  EXPECT_EQ(good.frozen_layers(), (Indices{0, 1}));
  EXPECT_EQ(frozen_at(good, kForGood), (Indices{0, 1}));
  Network alone = training_network(cfg_of({"", "dont_update=1\n", "dont_update=2\n"}));
  EXPECT_EQ(frozen_at(alone, 2), (Indices{1, 2}));
  EXPECT_EQ(frozen_at(alone, 3), Indices{1});
  // No gradient comes to layer 0 any more: it would only decay.
  Network forward = training_network(cfg_of({"", "onlyforward=1\n", ""}));
  EXPECT_EQ(frozen_at(forward, kForGood), (Indices{0, 1}));
  EXPECT_EQ(show_ranges(Indices{0, 1, 2, 5, 7, 8}), "0-2, 5, 7-8");
  EXPECT_EQ(show_ranges({}), "");
}

TEST(Freezing, ALayerThatIsReadElsewhereIsTrained) {
  std::istringstream in(cat("[net]\nwidth=32\nheight=32\n", convolution(""),
                            convolution("onlyforward=1\n"), "[route]\nlayers=-2\n", convolution(""),
                            "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
                            "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=1\n"));
  Network net = training_network(parse_cfg(in, "net.cfg"));
  EXPECT_EQ(frozen_at(net, 1), Indices{1});
}

// What lies in memory where nobody writes a gradient.
struct Garbage final : LayerObserver {
  explicit Garbage(Network& n) : net(n) {}
  void before(std::int64_t layer, bool backward) override {
    if (!backward || layer < 4) return;
    const View<float> gradient = net.output_gradient(layer).as<>();
    std::fill_n(gradient.data, gradient.shape.size(), 100.f);
  }
  void after(std::int64_t, bool) override {}
  Network& net;
};

// Layers behind the heads that nobody reads get no gradient, and give none.
TEST(Freezing, ATailWithoutALossChangesNothing) {
  const auto trained = [](const std::string& tail) {
    std::istringstream in(cat("[net]\nbatch=2\nwidth=32\nheight=32\n", convolution(""),
                              convolution(""),
                              "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n"
                              "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=1\n",
                              tail));
    Network net = training_network(parse_cfg(in, "net.cfg"), {.exact = true, .seed = 5});
    Garbage garbage(net);
    net.observe(&garbage);
    Optimizer optimizer(net, net.settings());
    TrainingStep step(net, optimizer, 1);
    const auto pixels = random_pixels(net.input_shape().size(), 3);
    const StepResult result = step.run({pixels, random_truths(2, 1, 4)},
                                       {.iteration = 1, .learning_rate = .01f}, 0, false);
    EXPECT_TRUE(result.finite) << tail << result.error;
    Values all;
    for (const Parameter* p : net.parameters(3)) all.push_back(p->value.to_host(net.stream()));
    return all;
  };
  const Values expected = trained("");
  for (const char* tail :
       {"[route]\nlayers=1\n[contrastive]\n", "[route]\nlayers=1\n[empty]\n", "[empty]\n",
        "[route]\nlayers=0\n", "[empty]\n[route]\nlayers=1\n[empty]\n"})
    EXPECT_EQ(trained(tail), expected) << tail;
}

// Networks on several devices that are trained together.
struct Training {
  explicit Training(const std::array<std::string, 3>& keys,
                    const std::vector<Device>& devices = {{}}, const std::string& net_keys = "",
                    std::int64_t part = 0) {
    if (part == 0) part = 2 / std::ssize(devices);
    std::vector<Replica> replicas;
    for (const Device& d : devices) {
      nets.push_back(std::make_unique<Network>(
          training_network(cfg_of(keys, cat("ema_alpha=.9\n", net_keys)), {.device = d,
                                                                           .exact = true,
                                                                           .deterministic = true,
                                                                           .batch = part,
                                                                           .replicas = 1,
                                                                           .seed = 5})));
      spoil_statistics(*nets.back());
      optimizers.push_back(std::make_unique<Optimizer>(*nets.back(), nets.back()->settings()));
      replicas.push_back({nets.back().get(), optimizers.back().get()});
    }
    step = std::make_unique<TrainingStep>(replicas, 3);
  }
  // As after a training: a rolling mean of zero would hide what moves it.
  static void spoil_statistics(Network& net) {
    std::uint64_t seed = 1;
    for (Parameter* p : net.parameters()) {
      if (p->role == Role::weights) continue;
      std::vector<float> values = random_pixels(p->value.size(), ++seed);
      for (float& v : values) v += .5f;
      p->value.copy_from(net.stream(), values);
    }
    net.parameters_changed();
  }
  void begin(std::int64_t k) {
    const std::vector<float> pixels = random_pixels(
        kFrozenBatch * nets[0]->input_shape().features(), static_cast<std::uint64_t>(k));
    const auto truths = random_truths(kFrozenBatch, 1, static_cast<std::uint64_t>(k));
    step->begin({pixels, truths}, {.iteration = k + 1, .learning_rate = .01f}, k * kFrozenBatch,
                true);
  }
  double run(std::int64_t k) {
    begin(k);
    return step->finish().loss;
  }
  Values layer(std::int64_t i, std::size_t member = 0) {
    Values all;
    Network& net = *nets[member];
    for (const Parameter* p : net.layer(i).parameters())
      all.push_back(p->value.to_host(net.stream()));
    return all;
  }
  std::vector<std::unique_ptr<Network>> nets;
  std::vector<std::unique_ptr<Optimizer>> optimizers;
  std::unique_ptr<TrainingStep> step;
};

// Every way to be trained: one device and two, SGD and Adam.
struct Setting {
  std::vector<Device> devices;
  std::string net;
};
std::vector<Setting> settings() {
  std::vector<Setting> all{{{{}}, ""}, {{{}}, "adam=1\n"}, {{{}, {}}, ""}};
  if (device_count(DeviceType::cuda) > 1) {
    const Device one{.type = DeviceType::cuda}, two{.type = DeviceType::cuda, .index = 1};
    all.push_back({{one}, ""}), all.push_back({{one, two}, ""});
  }
  return all;
}

TEST(Freezing, NothingOfAFrozenLayerMoves) {
  for (const char* key : {"stopbackward=1\n", "stopbackward=100\n", "onlyforward=1\n"})
    for (const Setting& s : settings()) {
      Training t({"", key, ""}, s.devices, s.net);
      const Values first[] = {t.layer(0), t.layer(1), t.layer(2)};
      for (std::int64_t k = 0; k < 5; ++k) t.run(k);
      for (std::size_t m = 0; m < t.nets.size(); ++m) {
        EXPECT_EQ(t.layer(0, m), first[0]) << key;
        EXPECT_EQ(t.layer(1, m), first[1]) << key;
        EXPECT_NE(t.layer(2, m), first[2]) << key;
        t.optimizers[m]->swap_average();
        EXPECT_EQ(t.layer(0, m), first[0]) << key << "the averaged weights";
        EXPECT_EQ(t.layer(1, m), first[1]) << key << "the averaged weights";
      }
    }
}

TEST(Freezing, OnlyTheLayerItselfWithDontUpdate) {
  for (const Setting& s : settings()) {
    Training t({"", "dont_update=3\n", ""}, s.devices, s.net);
    const Values first[] = {t.layer(0), t.layer(1)};
    for (std::int64_t k = 0; k < 3; ++k) t.run(k);
    EXPECT_NE(t.layer(0), first[0]);
    EXPECT_EQ(t.layer(1), first[1]);
    t.run(3);
    EXPECT_NE(t.layer(1), first[1]);
  }
}

// train_only_bn holds for the layers before it too, as in Darknet; their statistics are trained.
TEST(Freezing, OnlyBatchNormalisationIsTrained) {
  Training t({"", "train_only_bn=1\n", ""});
  const Values first[] = {t.layer(0), t.layer(1), t.layer(2)};
  for (std::int64_t k = 0; k < 3; ++k) t.run(k);
  t.optimizers[0]->swap_average();
  for (const std::int64_t i : {0, 1}) {
    EXPECT_EQ(t.layer(i).back(), first[i].back()) << "weights of layer " << i;
    for (std::size_t p = 0; p < 4; ++p) EXPECT_NE(t.layer(i)[p], first[i][p]) << i << ' ' << p;
  }
  EXPECT_NE(t.layer(2).back(), first[2].back());
}

TEST(Freezing, EndsWithItsIteration) {
  for (const Setting& s : settings()) {
    Training t({"", "stopbackward=3\n", ""}, s.devices, s.net);
    const Values first[] = {t.layer(0), t.layer(1)};
    for (std::int64_t k = 0; k < 3; ++k) t.run(k);
    EXPECT_EQ(t.layer(0), first[0]);
    EXPECT_EQ(t.layer(1), first[1]);
    for (std::int64_t k = 3; k < 6; ++k) t.run(k);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t p = 0; p < 5; ++p)
        EXPECT_NE(t.layer(static_cast<std::int64_t>(i))[p], first[i][p]) << i << ' ' << p;
    for (std::size_t m = 1; m < t.nets.size(); ++m) EXPECT_EQ(t.layer(1, m), t.layer(1));
  }
}

// Adam's first update is the learning rate in every element (m/(1-b1) = g, v/(1-b2) = g^2),
// whenever it comes.
TEST(Freezing, AdamCountsTheUpdatesOfALayer) {
  Training t({"", "stopbackward=3\n", "dont_update=2\n"}, {{}}, "adam=1\n");
  const auto largest_change = [&](std::int64_t layer, std::int64_t step) {
    const std::vector<float> before = t.layer(layer).back();
    t.run(step);
    const std::vector<float> after = t.layer(layer).back();
    float max = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      max = std::max(max, std::abs(after[i] - before[i]));
    return max;
  };
  EXPECT_NEAR(largest_change(3, 0), .01f, 1e-4f);
  EXPECT_EQ(largest_change(2, 1), 0);
  EXPECT_NEAR(largest_change(2, 2), .01f, 1e-4f);
  EXPECT_NEAR(largest_change(1, 3), .01f, 1e-4f);
}

// What was captured while layers were frozen is not replayed afterwards, also by a step that is
// asked for before the last frozen one is done.
TEST(Freezing, EndsAlikeOnEveryDeviceAndAhead) {
  for (const Setting& s : settings()) {
    if (!s.net.empty()) continue;
    Training t({"", "stopbackward=3\n", ""}, s.devices);
    Training expected({"", "stopbackward=3\n", ""}, {{}}, "", t.nets[0]->input_shape().n);
    for (std::int64_t k = 0; k < 8; k += 2) {
      const double a = expected.run(k), b = expected.run(k + 1);
      t.begin(k);
      t.begin(k + 1);
      EXPECT_NEAR(t.step->finish().loss, a, 1e-4 * a) << k;
      EXPECT_NEAR(t.step->finish().loss, b, 1e-4 * b) << k + 1;
    }
    // Rounding puts an element of layer 0 on the other side of leaky's kink in the fifth step; an
    // update that is left out makes a difference of more than a tenth.
    for (std::int64_t i = 0; i < 4; ++i)
      for (std::size_t p = 0; p < t.layer(i).size(); ++p)
        EXPECT_LE(difference(t.layer(i)[p], expected.layer(i)[p]).relative, 1e-2) << i << ' ' << p;
  }
}

// Frozen layers compute in training what they compute at test time.
TEST(Freezing, WorksAsAtTestTime) {
  for (const char* key : {"stopbackward=1\n", "dont_update=1\n"}) {
    Network training(cfg_of({"dont_update=1\n", key, ""}),
                     {.mode = Mode::training, .batch = 2, .seed = 4, .keep_outputs = true});
    Network inference(cfg_of({"", "", ""}), {.batch = 2, .seed = 4, .keep_outputs = true});
    const auto pixels = random_pixels(training.input_shape().size(), 7);
    for (Network* net : {&training, &inference}) {
      net->initialise();
      Training::spoil_statistics(*net);
      std::copy(pixels.begin(), pixels.end(), net->input().as<>().data);
      net->forward({.stream = net->stream(), .mode = net->options().mode});
    }
    for (const std::int64_t i : {0, 1})
      EXPECT_LE(difference(to_host(training.stream(), training.output(i)),
                           to_host(inference.stream(), inference.output(i)))
                    .relative,
                1e-5)
          << key << i;
    EXPECT_GT(difference(to_host(training.stream(), training.output(2)),
                         to_host(inference.stream(), inference.output(2)))
                  .relative,
              1e-2)
        << "the batch's statistics";
  }
}

// The gradient through a frozen layer is that of the plain layer with its statistics folded in.
std::vector<float> gradient_below(const std::string& type, const std::string& keys, bool folded) {
  const std::string first = "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=mish\n";
  std::istringstream in(cat("[net]\nwidth=6\nheight=6\nbatch=2\n", first, "[", type, "]\n", keys,
                            "dont_update=1\n", folded ? "" : "batch_normalize=1\n"));
  Network net = training_network(parse_cfg(in, "net.cfg"), {.seed = 2});
  Network whole = [&] {
    std::istringstream again(cat("[net]\nwidth=6\nheight=6\nbatch=2\n", first, "[", type, "]\n",
                                 keys, "dont_update=1\nbatch_normalize=1\n"));
    return training_network(parse_cfg(again, "net.cfg"), {.seed = 2});
  }();
  Training::spoil_statistics(whole);
  const auto of = [&](Network& n, std::int64_t layer, Role role) -> Tensor& {
    for (Parameter* p : n.layer(layer).parameters())
      if (p->role == role) return p->value;
    throw Error("no such parameter");
  };
  of(net, 0, Role::bias).copy_from({}, of(whole, 0, Role::bias).to_host({}));
  for (const Role role : {Role::scale, Role::bias, Role::rolling_mean, Role::rolling_variance})
    if (!folded) of(net, 1, role).copy_from({}, of(whole, 1, role).to_host({}));
  if (folded) {
    const bool transposed = type == "deconvolutional";  // its filters are the innermost
    auto weights = of(whole, 1, Role::weights).to_host({}),
         bias = of(whole, 1, Role::bias).to_host({});
    const auto scale = of(whole, 1, Role::scale).to_host({}),
               mean = of(whole, 1, Role::rolling_mean).to_host({}),
               variance = of(whole, 1, Role::rolling_variance).to_host({});
    const std::size_t row = weights.size() / bias.size();
    for (std::size_t o = 0; o < bias.size(); ++o) {
      const float factor = scale[o] / std::sqrt(variance[o] + 1e-5f);
      for (std::size_t k = 0; k < row; ++k)
        weights[transposed ? k * bias.size() + o : o * row + k] *= factor;
      bias[o] -= mean[o] * factor;
    }
    of(net, 1, Role::weights).copy_from({}, weights);
    of(net, 1, Role::bias).copy_from({}, bias);
  }
  net.parameters_changed();
  const auto pixels = random_pixels(net.input_shape().size(), 3);
  std::copy(pixels.begin(), pixels.end(), net.input().as<>().data);
  const Pass pass{.stream = net.stream(), .mode = Mode::training};
  net.forward(pass);
  const View<float> above = net.output_gradient(1).as<>();
  const auto from_above = random_pixels(above.shape.size(), 9);
  std::copy(from_above.begin(), from_above.end(), above.data);
  net.backward(pass);
  return to_host(Stream{}, net.layer(0).parameters().back()->gradient);
}

TEST(Freezing, GradientsPassAsThroughTheFoldedLayer) {
  for (const char* activation : {"leaky", "mish", "logistic"})
    for (const auto& [type, keys] :
         {std::pair<std::string, std::string>{"convolutional", "filters=5\nsize=3\npad=1\n"},
          {"deconvolutional", "filters=5\nsize=4\nstride=2\n"},
          {"connected", "output=7\n"}}) {
      const std::string all = cat(keys, "activation=", activation, "\n");
      const auto frozen = gradient_below(type, all, false), plain = gradient_below(type, all, true);
      EXPECT_LE(difference(frozen, plain).relative, 1e-5) << type << ' ' << activation;
      EXPECT_GT(std::abs(frozen.front()), 1e-6) << type;
    }
}

TEST(Freezing, KeepsLessMemory) {
  Network net = training_network(cfg_of({"", "stopbackward=3\n", ""}), {.batch = 2});
  const std::int64_t whole = net.memory().activations;
  net.set_iteration(1);
  EXPECT_LT(net.memory().activations, whole);
  const std::int64_t reshapes = net.reshapes();
  net.set_iteration(2);
  EXPECT_EQ(net.reshapes(), reshapes) << "nothing is planned anew where nothing changes";
  net.set_iteration(4);
  EXPECT_EQ(net.memory().activations, whole);
}

}  // namespace
}  // namespace darknet
