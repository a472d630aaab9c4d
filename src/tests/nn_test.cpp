#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <sstream>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/update.h"
#include "nn/memory_plan.h"
#include "nn/net_settings.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {

TEST(MemoryPlan, BlocksAliveTogetherNeverOverlap) {
  Rng rng(5);
  std::vector<Block> blocks;
  for (int i = 0; i < 200; ++i) {
    const std::int64_t begin = rng.below(100), length = rng.below(30);
    blocks.push_back({begin, begin + length, rng.below(10) == 0 ? 0 : 1 + rng.below(100000)});
  }
  const MemoryPlan plan = plan_memory(blocks);
  std::int64_t everything = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    everything += blocks[i].bytes;
    EXPECT_EQ(plan.offsets[i] % 64, 0);
    EXPECT_LE(plan.offsets[i] + blocks[i].bytes, plan.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const bool together = blocks[i].begin <= blocks[j].end && blocks[j].begin <= blocks[i].end;
      const bool apart = plan.offsets[i] + blocks[i].bytes <= plan.offsets[j] ||
                         plan.offsets[j] + blocks[j].bytes <= plan.offsets[i];
      const bool empty = blocks[i].bytes == 0 || blocks[j].bytes == 0;
      EXPECT_TRUE(apart || empty || !together) << i << " " << j;
    }
  }
  EXPECT_LT(plan.bytes, everything / 2);  // they do share
}

NetSettings net_of(const std::string& keys) {
  std::istringstream in("[net]\n" + keys);
  auto cfg = parse_cfg(in, "net.cfg");
  return read_net(cfg[0]);
}

TEST(NetSettings, ABatchThatDevicesCannotShareIsReportedWhereItWasSet) {
  std::istringstream in("[net]\nbatch=8\nsubdivisions=2\n");
  auto cfg = parse_cfg(in, "net.cfg");
  EXPECT_EQ(images_of_part(read_net(cfg[0]), 2, cfg[0]), 2);
  const std::string set = "net.0.batch=6";
  apply_overrides(cfg, {&set, 1});
  const NetSettings net = read_net(cfg[0]);
  EXPECT_EQ(images_of_part(net, 3, cfg[0]), 1);
  EXPECT_EQ(testing_files::error_of([&] { images_of_part(net, 2, cfg[0]); }),
            "-set net.0.batch=6: [net] batch: batch=6, but 2 devices with subdivisions=2 need a "
            "multiple of 4");
}

// Whatever key of [net] an error follows from, also one of a layer, the message names it.
TEST(NetSettings, AnErrorNamesTheKeyOfNetThatItFollowsFrom) {
  const std::string cfg =
      "[net]\nbatch=4\nsubdivisions=2\nwidth=32\nheight=32\nburn_in=9\nmax_batches=100\n"
      "[convolutional]\nfilters=8\nsize=3\nstride=8\npad=1\nactivation=leaky\n"
      "[convolutional]\nfilters=8\ngroups=4\nsize=4\npadding=0\nactivation=leaky\n"
      "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"
      "[yolo]\nmask=0\nanchors=6,6\nnum=1\nclasses=2\nobj_loss=focal\nobj_gamma_ramp=1\n";
  KeyDocs keys;
  keys.add(NetSettings{});
  std::set<std::string> behind_layers;  // keys that errors of layers followed from
  for (const KeyDoc& key : keys.docs())
    for (const char* value : {"0", "1", "8", "f16"}) {
      std::istringstream in(cfg);
      auto sections = parse_cfg(in, "net.cfg");
      const std::string set = cat("net.0.", key.key, "=", value);
      apply_overrides(sections, {&set, 1});
      const std::string error = testing_files::error_of(
          [&] { const Network net(std::move(sections), {.mode = Mode::training}); });
      EXPECT_TRUE(error.empty() || error.find("-set " + set) != error.npos) << set << '\n' << error;
      if (error.find("; changed by -set " + set) != error.npos) behind_layers.insert(key.key);
    }
  EXPECT_TRUE(behind_layers.contains("width"));
  EXPECT_TRUE(behind_layers.contains("burn_in"));
}

TEST(Schedule, BurnInThenStepsAsDarknet) {
  const NetSettings net =
      net_of("learning_rate=0.001\nburn_in=100\npolicy=steps\nsteps=400,450\nscales=.1,.1\n");
  EXPECT_FLOAT_EQ(learning_rate(net, 1, 0), 0.001f * std::pow(.01f, 4.f));
  EXPECT_FLOAT_EQ(learning_rate(net, 50, 0), 0.001f * std::pow(.5f, 4.f));
  EXPECT_FLOAT_EQ(learning_rate(net, 399, 0), 0.001f);
  EXPECT_FLOAT_EQ(learning_rate(net, 400, 0), 0.0001f);  // from it == steps[i] on
  EXPECT_FLOAT_EQ(learning_rate(net, 450, 0), 0.00001f);
}

TEST(Schedule, StepsOutOfOrderAreWarnedOfAndComeLate) {
  const auto said = [](const std::string& steps, NetSettings& net) {
    testing::internal::CaptureStderr();
    net = net_of("learning_rate=.001\npolicy=steps\nsteps=" + steps + "\nscales=.1,.5\n");
    return testing::internal::GetCapturedStderr();
  };
  NetSettings net;
  const std::string warned = said("450,400", net);
  EXPECT_NE(
      warned.find("net.cfg:1: [net] steps: not in ascending order; a step behind a larger one "
                  "comes late\n"),
      std::string::npos)
      << warned;
  EXPECT_FLOAT_EQ(learning_rate(net, 449, 0), .001f);
  EXPECT_FLOAT_EQ(learning_rate(net, 450, 0), .00005f);
  EXPECT_EQ(said("400,450", net), "");
  EXPECT_EQ(said("400,400", net), "");
}

TEST(Schedule, NegativeFirstStepIsAWarmUp) {  // yolov2-tiny-voc.cfg
  const NetSettings net = net_of("learning_rate=.001\npolicy=steps\nsteps=-1,100\nscales=.1,10\n");
  EXPECT_FLOAT_EQ(learning_rate(net, 1, 0), .0001f);
  EXPECT_FLOAT_EQ(learning_rate(net, 100, 0), .001f);
}

TEST(Schedule, EveryPolicyFollowsItsFormula) {
  EXPECT_FLOAT_EQ(
      learning_rate(net_of("learning_rate=2\npolicy=poly\nmax_batches=100\npower=2\n"), 50, 0),
      .5f);
  EXPECT_FLOAT_EQ(learning_rate(net_of("learning_rate=2\npolicy=poly\nmax_batches=100\n"), 100, 0),
                  0);
  EXPECT_FLOAT_EQ(learning_rate(net_of("learning_rate=1\npolicy=exp\ngamma=.5\n"), 3, 0), .125f);
  EXPECT_FLOAT_EQ(learning_rate(net_of("learning_rate=1\npolicy=step\nstep=10\nscale=.1\n"), 25, 0),
                  .01f);
  EXPECT_FLOAT_EQ(
      learning_rate(net_of("learning_rate=1\npolicy=sigmoid\nstep=10\ngamma=1\n"), 10, 0), .5f);
  const NetSettings sgdr = net_of(
      "learning_rate=1\nlearning_rate_min=0\npolicy=sgdr\nmax_batches=400\nsgdr_cycle=100\nsgdr_"
      "mult=2\n");
  EXPECT_NEAR(learning_rate(sgdr, 50, 0), .5f, 1e-6f);
  EXPECT_NEAR(learning_rate(sgdr, 200, 0), .5f, 1e-6f);  // second cycle: 100..300
  const NetSettings random = net_of("learning_rate=1\npolicy=random\n");
  EXPECT_EQ(learning_rate(random, 7, 3), learning_rate(random, 7, 3));
  EXPECT_NE(learning_rate(random, 7, 3), learning_rate(random, 8, 3));
}

std::string error_of_net(const std::string& keys) {
  try {
    net_of(keys);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

// What the command line gave is what the user changed last.
TEST(Net, ContradictionsNameTheCommandLineFirst) {
  std::istringstream in("[net]\npolicy=steps\nsteps=1,2\nscales=.1,.1\n[convolutional]\n");
  std::vector<Section> cfg = parse_cfg(in, "net.cfg");
  const std::vector<std::string> set{"net.0.steps=1,2,3"};
  apply_overrides(cfg, set);
  try {
    read_net(cfg.front());
    FAIL();
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with(
        "-set net.0.steps=1,2,3: [net] steps: 2 scales for 3 steps"))
        << e.what();
  }
}

TEST(Net, ContradictionsNameLineAndReason) {
  EXPECT_EQ(error_of_net("batch=4\nsubdivisions=3\n"),
            "net.cfg:3: [net] subdivisions: batch=4 is not a multiple of subdivisions=3");
  EXPECT_EQ(error_of_net("policy=steps\nsteps=1,2\nscales=.1\n"),
            "net.cfg:4: [net] scales: 1 scale for 2 steps; give scales= and steps= as many "
            "numbers: with policy=steps each step multiplies the learning rate by its scale");
  EXPECT_NE(error_of_net("policy=steps\nsteps=1,2\n")
                .find("net.cfg:3: [net] steps: 0 scales for 2 steps"),
            std::string::npos);
  EXPECT_NE(
      error_of_net("scales=1\npolicy=steps\n").find("net.cfg:2: [net] scales: 1 scale for 0 steps"),
      std::string::npos);
  EXPECT_NE(
      error_of_net("batch=4\npolicy=steps\n").find("net.cfg:3: [net] policy: policy=steps needs"),
      std::string::npos);
  EXPECT_NE(
      error_of_net("batch=4\npolicy=poly\n").find("net.cfg:3: [net] policy: policy=poly needs"),
      std::string::npos);
  EXPECT_EQ(error_of_net("steps=1,2\n"), "") << "no policy asks for them";
  EXPECT_NE(error_of_net("policy=foo\n").find("net.cfg:2: [net] policy: 'foo' is none of"),
            std::string::npos);
  EXPECT_NE(error_of_net("batch=0\n").find("net.cfg:2"), std::string::npos);
}

struct UpdateCase {
  std::vector<float> w{1, -2, 3}, g{.5f, .25f, -4};
  std::vector<std::vector<float>> states{{.1f, .2f, .3f}, {.1f, .1f, .1f}};
  float decay = .01f;
  StepState state{{.iteration = 2, .learning_rate = .1f}};
  UpdateCase() { states.resize(kMaxOptimizerStates, {0, 0, 0}); }
  void start() { states.assign(kMaxOptimizerStates, {0, 0, 0}), decay = 0; }
  UpdateArrays arrays() {
    UpdateArrays a{w.data(), g.data(), {}, 3, 2.f, decay, 1.f};
    for (std::size_t k = 0; k < kMaxOptimizerStates; ++k) a.states[k] = states[k].data();
    return a;
  }
  void update(const OptimizerRule& rule) {
    char shared[kOptimizerStepBytes];
    update_parameters({}, {{}, {arrays()}}, {rule, 4, shared}, &state);
  }
};

// A checkpoint of one optimizer is not taken for another's.
TEST(Optimizers, KeepStatesOfDifferentNames) {
  std::set<std::vector<std::string_view>> states;
  for (const OptimizerRule& rule : all_of<OptimizerRule>())
    EXPECT_TRUE(states.insert(states_of(rule)).second) << name_of(rule);
}

// With a gradient of zero and no decay, and from states of zero, nothing is to be done.
TEST(Optimizers, StandStillWithoutAGradient) {
  for (const OptimizerRule& rule : all_of<OptimizerRule>()) {
    UpdateCase c;
    c.start();
    c.g = {0, 0, 0};
    c.update(rule);
    EXPECT_EQ(c.w, (std::vector<float>{1, -2, 3})) << name_of(rule);
  }
}

// Downhill on w^2 / 2 from 1, whose gradient is w.
TEST(Optimizers, DescendAParabola) {
  for (const OptimizerRule& rule : all_of<OptimizerRule>()) {
    UpdateCase c;
    c.start();
    c.w = {1, -1, .5f}, c.state.learning_rate = .01f;
    for (c.state.iteration = 1; c.state.iteration <= 1000; ++c.state.iteration) {
      for (std::size_t i = 0; i < 3; ++i) c.g[i] = 4 * c.w[i];  // summed over 4 images
      c.update(rule);
    }
    for (const float w : c.w) EXPECT_LT(std::abs(w), .1f) << name_of(rule);
  }
}

TEST(Optimizers, AreChosenByName) {
  const auto chosen = [](const std::string& keys) {
    return std::string(name_of(net_of(keys).optimizer.rule()));
  };
  EXPECT_EQ(chosen(""), "sgd");
  for (const std::string& name : names_of<OptimizerRule>())
    EXPECT_EQ(chosen("optimizer=" + name + "\n"), name);
  EXPECT_EQ(chosen("adam=1\n"), "adam");
  EXPECT_EQ(chosen("adam=1\noptimizer=adam\n"), "adam");
  EXPECT_EQ(std::get<optimizers::Adam>(net_of("adam=1\nB1=.5\neps=.25\n").optimizer.rule()).b1,
            .5f);
  EXPECT_EQ(error_of_net("adam=1\noptimizer=sgd\n"),
            "net.cfg:3: [net] optimizer: adam=1 asks for adam, optimizer=sgd for another; remove "
            "one of them");
}

TEST(Update, SgdIsDarknetsRule) {
  UpdateCase c;
  c.update(optimizers::Sgd{.9f});
  const double g[] = {.5, .25, -1}, w[] = {1, -2, 3}, m[] = {.1, .2, .3};  // clipped to 1
  for (int i = 0; i < 3; ++i) {
    const double v = .9 * m[i] + g[i] + .01 * 4 * w[i];
    EXPECT_NEAR(c.w[i], w[i] - .1 * 2 / 4 * v, 1e-6);
    EXPECT_EQ(c.g[i], 0);
  }
}

TEST(Update, AdamIsTheBiasCorrectedRule) {
  UpdateCase c;
  c.update(optimizers::Adam{.9f, .999f, 1e-6f});
  const double g[] = {.5, .25, -1}, w[] = {1, -2, 3}, m0[] = {.1, .2, .3};
  for (int i = 0; i < 3; ++i) {
    const double mean = g[i] / 4 + .01 * w[i], m = .9 * m0[i] + .1 * mean;
    const double v = .999 * .1 + .001 * mean * mean;
    const double step = m / (1 - .81) / (std::sqrt(v / (1 - .999 * .999)) + 1e-6);
    EXPECT_NEAR(c.w[i], w[i] - .1 * 2 * step, 2e-4);
  }
}

// The first has batch normalisation, which the key needs.
TEST(Update, CentredGradientsMoveNoFiltersMean) {
  const auto moved = [](const std::string& first) {
    std::istringstream in(
        "[net]\nwidth=8\nheight=8\ndecay=0\nlearning_rate=1\n[convolutional]\n"
        "filters=3\nsize=3\n" +
        first + "[convolutional]\nfilters=2\ngrad_centr=1\n");
    Network net(parse_cfg(in, "net.cfg"), {.mode = Mode::training});
    Optimizer optimizer(net, net.settings());
    net.initialise();
    const auto filter_sums = [&] {
      std::vector<double> sums;
      for (const std::int64_t layer : {0, 1}) {
        const Tensor& w = net.layer(layer).parameters().back()->value;
        const std::vector<float> values = w.to_host({});
        const auto size = to_size(w.size() / w.shape().n);
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (i % size == 0) sums.push_back(0);
          sums.back() += values[i];
        }
      }
      return sums;
    };
    std::vector<double> before = filter_sums();
    const View<float> gradients = net.gradients().as<>();
    for (std::int64_t i = 0; i < gradients.shape.size(); ++i)
      gradients.data[i] = random_uniform(1, 2, static_cast<std::uint64_t>(i));
    StepState state{{.iteration = 1, .learning_rate = 1}};
    optimizer.step(&state, 1, false);
    const std::vector<double> after = filter_sums();
    for (std::size_t i = 0; i < before.size(); ++i) before[i] = after[i] - before[i];
    return before;
  };
  const auto centred = moved("batch_normalize=1\ngrad_centr=1\n");
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(centred[i], 0, 1e-5);
  for (std::size_t i = 3; i < 5; ++i) EXPECT_LT(centred[i], -.3);
  for (const double d : moved("batch_normalize=1\n")) EXPECT_LT(d, -.3);
}

TEST(Update, AStepThatIsNotFiniteChangesNothing) {
  UpdateCase c;
  c.g[1] = std::nanf("");
  std::vector<char> scratch(to_size(check_finite_scratch(3)));
  check_finite({}, c.g.data(), 3, &c.state, scratch.data());
  EXPECT_EQ(c.state.status, StepStatus::non_finite);
  c.update(optimizers::Sgd{.9f});
  update_averages({}, {{}, {{c.states[0].data(), c.w.data(), 3, .5f}}}, &c.state);
  EXPECT_EQ(c.w, (std::vector<float>{1, -2, 3}));
  EXPECT_EQ(c.states[0], (std::vector<float>{.1f, .2f, .3f}));
  EXPECT_EQ(c.g[0], .5f);  // the gradients stay for whoever asks which layer it was
}

TEST(Update, TryFixNanTakesZeroForWhatIsNotFinite) {
  UpdateCase c;
  c.g = {.5f, std::nanf(""), -INFINITY};
  std::vector<char> scratch(to_size(check_finite_scratch(3)));
  zero_not_finite({}, c.g.data(), 3, &c.state, scratch.data());
  EXPECT_EQ(c.state.status, StepStatus::update);
  EXPECT_EQ(c.state.fixed, 2);
  EXPECT_EQ(c.g, (std::vector<float>{.5f, 0, 0}));
  c.g[1] = INFINITY;  // of a scaled loss: the step is done again with a smaller scale
  c.state.loss.scale = 2;
  zero_not_finite({}, c.g.data(), 3, &c.state, scratch.data());
  EXPECT_EQ(c.state.status, StepStatus::overflow);
  EXPECT_EQ(c.state.fixed, 2);
}

}  // namespace
}  // namespace darknet
