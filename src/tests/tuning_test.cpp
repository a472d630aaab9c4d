// Tables of algorithms: their files, what plans and networks make of them, and how they are
// measured, on the CPU and through the CUDA devices, real or simulated.
#include "core/tuning.h"
#include "core/file.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "core/rng.h"
#include "nn/tuning_use.h"
#include "tests/other_algorithms.h"
#include "tests/temporary_folder.h"
#include "train/device_check.h"
#include "train/tune.h"

namespace darknet {
namespace {

using testing_files::error_of;

using testing_tuning::kDirections;
using testing_tuning::others_for;

// Large enough for Winograd to be among the choices.
ConvSpec square(std::int64_t images = 8) {
  return {
      .in = {images, 12, 12, 32}, .filters = 32, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
}

ConvUse use(ConvDirection d = ConvDirection::forward) {
  return conv_use(d, square(), {.mode = Mode::training});
}

TEST(Tuning, IsReadAsItWasWritten) {
  Tuning a("card 1, library 2"), b("another");
  for (const ConvDirection d : kDirections) a.put(use(d), {"1 fma", .25});
  ConvUse other = use();
  other.exact = true;
  a.put(other, {"2 \"x\"", 0});
  b.put(use(), {"7", 1});
  const auto all = parse_tunings(a.lines() + "\n" + b.lines(), "t");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].library(), "card 1, library 2");
  EXPECT_EQ(all[0].size(), 4);
  for (const ConvDirection d : kDirections) {
    ASSERT_TRUE(all[0].find(use(d)));
    EXPECT_EQ(all[0].find(use(d))->algorithm, "1 fma");
    EXPECT_EQ(all[0].find(use(d))->milliseconds, .25);
  }
  EXPECT_EQ(all[0].find(other)->algorithm, "2 \"x\"");
  EXPECT_EQ(all[1].find(use())->algorithm, "7");
  EXPECT_FALSE(all[1].find(other));
  EXPECT_EQ(all[0].lines() + all[1].lines(), a.lines() + b.lines());
}

Network network_of(const std::string& convolution) {
  std::istringstream cfg("[net]\nwidth=24\nheight=24\nchannels=32\n[convolutional]\n" +
                         convolution + "pad=1\nactivation=leaky\n");
  return Network(parse_cfg(cfg, "x.cfg"), {});
}

TEST(TuningWarning, SaysWhatAFileLacksForANetwork) {
  const std::string three = "filters=32\nsize=3\n", one = "filters=32\nsize=1\n";
  const Network net = network_of(three), without = network_of(one);
  const auto choice = [](const Network& of, const std::string& algorithm) {
    const auto work = of.layer(0).convolution();
    Tuning t(of.algorithms().library());
    t.put(conv_use(ConvDirection::forward, work->spec, work->options), {algorithm, 1});
    return t;
  };
  EXPECT_EQ(tuning_warning(net, Tuning(net.algorithms().library())), "");
  EXPECT_EQ(tuning_warning(net, choice(net, "winograd4")), "");
  EXPECT_NE(tuning_warning(net, choice(net, "direct"))
                .find("has no Winograd convolution, which "
                      "layer 0 [convolutional] (x.cfg:5)"),
            std::string::npos);
  EXPECT_EQ(tuning_warning(without, choice(without, "direct")), "");
  EXPECT_EQ(
      tuning_warning(net, choice(without, "direct")),
      "the tuning file has 1 choice, none for a convolution of x.cfg at inference with 1 image"
      " of 24 x 24 at a time; darknet bench -tune measures them");
}

TEST(Tuning, EveryPartOfAUseReportsItFromOthers) {
  std::vector<ConvUse> uses(18, use());
  uses[1].direction = ConvDirection::backward_data;
  uses[2].mode = Mode::inference;
  uses[3].precision = DType::bf16;
  uses[4].f32_output = true, uses[5].exact = true, uses[6].deterministic = true;
  std::int64_t ConvSpec::*const parts[] = {
      &ConvSpec::filters,  &ConvSpec::groups,   &ConvSpec::size_y, &ConvSpec::size_x,
      &ConvSpec::stride_y, &ConvSpec::stride_x, &ConvSpec::pad_y,  &ConvSpec::pad_x};
  for (std::size_t i = 0; i < std::size(parts); ++i) uses[7 + i].spec.*parts[i] += 1;
  uses[15].spec.dilation = 2, uses[16].spec.in.n = 9, uses[17].spec.in.h = 13;
  Tuning t("x");
  for (std::size_t i = 0; i < uses.size(); ++i) t.put(uses[i], {cat(i), 1});
  EXPECT_EQ(t.size(), 18);
  const auto read = parse_tunings(t.lines(), "t");
  for (std::size_t i = 0; i < uses.size(); ++i) EXPECT_EQ(read[0].find(uses[i])->algorithm, cat(i));
}

std::string with(std::string line, const std::string& from, const std::string& to) {
  const auto at = line.find(from);
  if (at == line.npos) fail("no ", from, " in ", line);
  return line.replace(at, from.size(), to);
}

TEST(Tuning, ErrorsNameFileAndLine) {
  Tuning t("card");
  t.put(use(), {"1 fma", .25});
  const std::string good = t.lines();
  const auto said = [&](const std::string& second) {
    return error_of([&] { parse_tunings("\n" + second, "a.tuning"); });
  };
  EXPECT_EQ(said(good), "");
  const std::pair<const char*, const char*> errors[] = {
      {"\"forward\"", "\"sideways\""},
      {"\"forward\"", "3"},
      {"[8,12,12,32]", "[8,12,12]"},
      {"[8,12,12,32]", "[8,12,0,32]"},
      {"[8,12,12,32]", "[8,12,1.5,32]"},
      {"[8,12,12,32]", "[8,12,99999999999999999999,32]"},
      {"\"filters\":32", "\"filters\":\"32\""},
      {"\"groups\":1", "\"groups\":-1"},
      {"\"f32\"", "\"f64\""},
      {"\"exact\":false", "\"exact\":0"},
      {"\"milliseconds\":0.25", "\"milliseconds\":-1"},
      {"\"milliseconds\":0.25", "\"milliseconds\":null"},
      {"\"algorithm\":\"1 fma\"", "\"algorithm\":\"\""},
      {"\"exact\"", "\"exactly\""},
      {"{\"library\"", "{\"more\":1,\"library\""},
      {"{\"library\"", "[{\"library\""},
  };
  for (const auto& [from, to] : errors)
    EXPECT_EQ(said(with(good, from, to)).substr(0, 12), "a.tuning:2: ") << to << ": " << said(good);
  EXPECT_EQ(said("[]").substr(0, 12), "a.tuning:2: ");
  EXPECT_EQ(error_of([&] { parse_tunings(good + good, "a.tuning"); }),
            "a.tuning:2: a second choice for the same convolution");
}

class TuningFileTest : public testing_files::InFolder {};

TEST_F(TuningFileTest, MergingKeepsWhatIsThere) {
  const auto path = folder_ / "t.tuning";
  Tuning first("first"), second("second");
  first.put(use(), {"1", 1});
  first.put(use(ConvDirection::backward_data), {"2", 1});
  merge_into_file(path, first);
  second.put(use(), {"3", 1});
  merge_into_file(path, second);
  Tuning newer("first");
  newer.put(use(), {"4", 1});
  merge_into_file(path, newer);
  const auto all = read_tunings(path);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].find(use())->algorithm, "4");
  EXPECT_EQ(all[0].find(use(ConvDirection::backward_data))->algorithm, "2");
  EXPECT_EQ(all[1].find(use())->algorithm, "3");
  const auto damaged = file("damaged", first.lines() + "{");
  EXPECT_THROW(merge_into_file(damaged, second), Error);
  EXPECT_EQ(read_file(damaged, 1 << 20), first.lines() + "{");
}

TEST_F(TuningFileTest, OnlyTheDevicesOwnChoicesAreUsed) {
  const auto path = folder_ / "t.tuning";
  Tuning other("a card that is not here"), own(ops(DeviceType::cpu).name({}));
  other.put(use(), {"1", 1});
  merge_into_file(path, other);
  EXPECT_EQ(tuning_for(path, {}).size(), 0);
  EXPECT_EQ(tuning_for(path, {}).library(), own.library());
  own.put(use(), {"direct", 1});
  merge_into_file(path, own);
  EXPECT_EQ(tuning_for(path, {}).find(use())->algorithm, "direct");
  EXPECT_EQ(tuning_for("", {}).size(), 0);
  EXPECT_THROW(tuning_for(folder_ / "missing", {}), Error);
  EXPECT_THROW(own.add(other), Error);
}

std::vector<float> centred_noise(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(5, stream, i) - .5f;
  return v;
}

// What a plan makes of centred_noise in one direction.
std::vector<float> result_of(ConvPlan& plan, const ConvSpec& s, ConvDirection d) {
  const Stream stream;
  Tensor in({}, s.in), out({}, s.out()), weights({}, {s.filters, s.size_y, s.size_x, s.in.c});
  in.copy_from(stream, centred_noise(in.size(), 1));
  out.copy_from(stream, centred_noise(out.size(), 2));
  weights.copy_from(stream, centred_noise(weights.size(), 3));
  const Buffer workspace({}, std::max<std::int64_t>(1, plan.workspace()));
  plan.set_weights(stream, weights.data(), workspace.data());
  if (d == ConvDirection::forward) {
    const std::vector<float> bias = centred_noise(s.filters, 4);
    plan.forward(stream, in.view(), bias.data(), out.view(), workspace.data());
    if (is_linear(plan.fused().activation))
      for (std::int64_t i = 0; i < out.size(); ++i)
        out.data()[i] = std::max(.1f * out.data()[i], out.data()[i]);
    return out.to_host(stream);
  }
  if (d == ConvDirection::backward_data) {
    plan.backward_data(stream, out.view(), in.view(), false, workspace.data());
    return in.to_host(stream);
  }
  weights.zero(stream);
  plan.backward_weights(stream, in.view(), out.view(), weights.data(), workspace.data());
  return weights.to_host(stream);
}

TEST(TunedPlans, TakeTheTablesChoiceAndComputeTheSame) {
  Ops& cpu = ops(DeviceType::cpu);
  const Epilogue epilogue{.bias = true, .activation = activations::Leaky{}};
  for (const ConvDirection d : kDirections) {
    PlanOptions o{.mode = Mode::training};
    const auto by_rule = cpu.conv(square(), epilogue, o);
    const auto expected = result_of(*by_rule, square(), d);
    const auto words = by_rule->algorithms(d);
    EXPECT_NE(std::find(words.begin(), words.end(), by_rule->algorithm(d)), words.end());
    EXPECT_GE(words.size(), 2u);
    EXPECT_EQ(by_rule->description().find("tuned"), std::string::npos);
    bool other_bits = false;
    for (const std::string& word : words) {
      Tuning tuning(cpu.name({}));
      tuning.put(use(d), {word, 1});
      o.tuning = &tuning;
      const auto plan = cpu.conv(square(), epilogue, o);
      EXPECT_EQ(plan->algorithm(d), word);
      EXPECT_NE(plan->description().find(" (tuned)"), std::string::npos) << plan->description();
      const auto got = result_of(*plan, square(), d);
      EXPECT_LT(difference(expected, got).relative, 1e-4) << word;
      other_bits |= got != expected;
    }
    EXPECT_TRUE(other_bits) << "direct and Winograd agree to the last bit";
  }
}

TEST(TunedPlans, WhatIsOnlyRememberedIsNotCalledTuned) {
  Tuning tuning(ops(DeviceType::cpu).name({}));
  tuning.put(use(), {"blocked", 0});
  const auto plan =
      ops(DeviceType::cpu).conv(square(), {}, {.mode = Mode::training, .tuning = &tuning});
  EXPECT_EQ(plan->algorithm(ConvDirection::forward), "blocked");
  EXPECT_EQ(plan->description().find("tuned"), std::string::npos);
}

TEST(TunedPlans, AChoiceThatCannotBeTakenLeavesTheRule) {
  PlanOptions o{.mode = Mode::training, .exact = true};
  const auto by_rule = ops(DeviceType::cpu).conv(square(), {}, o);
  Tuning tuning(ops(DeviceType::cpu).name({}));
  for (const char* word : {"winograd4", "nonsense"})
    for (const ConvDirection d : kDirections) {
      tuning.put(conv_use(d, square(), o), {word, 1});
      o.tuning = &tuning;
      EXPECT_EQ(ops(DeviceType::cpu).conv(square(), {}, o)->description(), by_rule->description());
    }
}

// 18 filters: kernels/stem_conv.h, which has no choice, takes none of these.
constexpr const char* kTunedCfg =
    "[net]\nbatch=8\nwidth=24\nheight=24\nlearning_rate=.01\n"
    "[convolutional]\nbatch_normalize=1\nfilters=18\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=5,7\nnum=1\nclasses=2\n";

std::vector<Section> sections() {
  std::istringstream in(kTunedCfg);
  return parse_cfg(in, "net.cfg");
}

std::vector<Device> all_devices() {
  std::vector<Device> all(1);
  for (int i = 0; i < device_count(DeviceType::cuda); ++i)
    all.push_back({.type = DeviceType::cuda, .index = i});
  return all;
}

void expect_taken(const Network& net, const Tuning& tuning) {
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const auto work = net.layer(i).convolution();
    if (!work) continue;
    for (const ConvDirection d : kDirections) {
      const ConvChoice* const c = tuning.find(conv_use(d, work->spec, work->options));
      if (!c) continue;
      EXPECT_EQ(work->algorithms[to_size(d)], c->algorithm) << "layer " << i;
    }
  }
}

TEST(TunedNetworks, TakeTheirTableOnEveryDevice) {
  for (const Device& device : all_devices()) {
    NetworkOptions o{.device = device, .mode = Mode::training};
    Network by_rule(sections(), o);
    EXPECT_EQ(by_rule.algorithms().size(), 8);  // nobody wants the pixels' gradient
    o.tuning = others_for(by_rule);
    EXPECT_GE(o.tuning.size(), 3) << to_string(device);
    const Network tuned(sections(), o);
    expect_taken(tuned, o.tuning);
    EXPECT_NE(tuned.algorithms().lines(), by_rule.algorithms().lines());
    by_rule.set_algorithms(tuned.algorithms());
    expect_taken(by_rule, o.tuning);
    EXPECT_EQ(by_rule.algorithms().lines(), tuned.algorithms().lines());
    EXPECT_THROW(by_rule.set_algorithms(Tuning("another card")), Error);
    Tuning elsewhere("another card");
    elsewhere.put(use(), {"direct", 1});
    o.tuning = elsewhere;
    EXPECT_EQ(Network(sections(), o).algorithms().size(), 8);
  }
}

TEST(TunedNetworks, RememberEverySize) {
  Network net(sections(), {.mode = Mode::training});
  const std::string first = net.algorithms().lines();
  net.resize(8, 48, 48);
  EXPECT_EQ(net.algorithms().size(), 16);
  net.resize(8, 24, 24);
  EXPECT_EQ(net.algorithms().size(), 16);
  std::istringstream lines(first);
  for (std::string line; std::getline(lines, line);)
    EXPECT_NE(net.algorithms().lines().find(line), std::string::npos) << line;
}

TEST(Tune, MeasuresEveryChoiceOnEveryKindOfDevice) {
  std::vector<Device> devices = all_devices();
  devices.resize(std::min<std::size_t>(devices.size(), 2));
  for (const Device& device : devices)
    for (const Mode mode : {Mode::inference, Mode::training}) {
      if (mode == Mode::inference && device.type != DeviceType::cpu) continue;
      const Network net(sections(), {.device = device, .mode = mode, .batch = 2});
      const TuneReport r = tune(net, 3);
      EXPECT_EQ(r.tuning.library(), ops(device.type).name(device));
      EXPECT_EQ(r.tuning.size(), std::ssize(r.convolutions));
      EXPECT_GE(r.tuning.size(), mode == Mode::training ? 3 : 1) << to_string(device);
      for (const TunedConvolution& t : r.convolutions) {
        EXPECT_GE(t.timed.size(), 2u);
        EXPECT_GT(t.seconds_of(t.heuristic), 0);
        EXPECT_LE(t.seconds_of(t.chosen), t.seconds_of(t.heuristic));
        for (const TimedAlgorithm& a : t.timed) {
          EXPECT_GT(a.seconds, 0) << a.algorithm;
          EXPECT_GE(1.0001 * a.seconds, .97 * t.seconds_of(t.chosen)) << a.algorithm;
        }
      }
      const NetworkOptions o{.device = device, .mode = mode, .batch = 2, .tuning = r.tuning};
      expect_taken(Network(sections(), o), r.tuning);
      const TuneReport part = tune(net, 1, [asked = 0]() mutable { return ++asked > 1; });
      EXPECT_EQ(part.tuning.size(), 1) << "interrupted after the first";
    }
}

}  // namespace
}  // namespace darknet
