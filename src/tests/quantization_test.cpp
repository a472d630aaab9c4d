// Ranges of values, the file of `darknet quantize`, and networks in 8-bit integers.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "core/rng.h"
#include "eval/quantization_file.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
using testing_files::holds;

ValueHistogram histogram_of(const std::vector<float>& values) {
  ValueHistogram h;
  h.add(values);
  return h;
}

TEST(ValueHistogram, WidensWithoutLosingValues) {
  ValueHistogram h;
  h.add(std::vector<float>{.001f, -.002f, 0});
  h.add(std::vector<float>{3, -1000, .001f});
  EXPECT_EQ(h.count(), 6);
  EXPECT_EQ(h.min(), -1000);
  EXPECT_EQ(h.max(), 3);
  std::int64_t counted = 0;
  for (const std::int64_t n : h.bins()) counted += n;
  EXPECT_EQ(counted, 6);
  EXPECT_EQ(h.width(), .5);  // the narrowest power of two of which half the bins reach 1000
  const auto zero = to_size(ValueHistogram::kBins / 2);
  EXPECT_EQ(h.bins()[zero], 3);      // .001 twice, and 0
  EXPECT_EQ(h.bins()[zero - 1], 1);  // -.002
  EXPECT_EQ(h.bins()[zero + 6], 1);  // 3
  EXPECT_EQ(h.bins()[zero - 2000], 1);
}

TEST(ValueHistogram, RefusesValuesThatAreNotFinite) {
  ValueHistogram h;
  EXPECT_THROW(h.add(std::vector<float>{1, INFINITY}), Error);
  EXPECT_THROW(h.add(std::vector<float>{NAN}), Error);
}

TEST(ValueRange, MaxHoldsEverything) {
  const ValueRange r = range_of(histogram_of({-.5f, .25f, 8}), {.method = RangeMethod::max});
  EXPECT_EQ(r.low, -.5);
  EXPECT_EQ(r.high, 8);
}

TEST(ValueRange, PercentileLeavesOutThatShareOnEachSide) {
  std::vector<float> values;
  for (int i = 0; i < 10000; ++i) values.push_back(static_cast<float>(i) - 5000);
  const ValueRange r =
      range_of(histogram_of(values), {.method = RangeMethod::percentile, .percentile = 98});
  EXPECT_NEAR(r.low, -4900, 8);  // two bins
  EXPECT_NEAR(r.high, 4899, 8);
}

// Squared error of 8-bit integers, value by value.
double squared_error(const std::vector<float>& values, const ValueRange& r) {
  const ConvQuantization q = input_quantization(r);
  double sum = 0;
  for (const float x : values) {
    const float i =
        std::clamp(std::round(x / q.scale) + static_cast<float>(q.zero_point), 0.f, 255.f);
    sum += std::pow(double{x} - double{(i - static_cast<float>(q.zero_point)) * q.scale}, 2);
  }
  return sum;
}

// Many small values and few large ones, as behind an activation.
std::vector<float> long_tail() {
  std::vector<float> values;
  for (std::uint64_t i = 0; i < 400000; ++i) {
    const float u = random_uniform(7, 1, i) * 2 - 1;
    values.push_back(u > 0 ? -std::log(1 - u * .99999f) : .1f * u);
  }
  values.push_back(60);
  return values;
}

TEST(ValueRange, MseClipsATailWhereThatLowersTheError) {
  const std::vector<float> values = long_tail();
  const ValueHistogram h = histogram_of(values);
  const ValueRange all{h.min(), h.max()}, r = range_of(h, {.method = RangeMethod::mse});
  EXPECT_LT(r.high, 45);  // .51 high^2 + (60 - high)^2 is least at 40
  const double least = squared_error(values, r);
  EXPECT_LT(least, squared_error(values, all));
  for (const double factor : {.5, 1.5})
    EXPECT_LT(least, squared_error(values, {r.low, r.high * factor})) << factor;
}

TEST(ValueRange, MseKeepsWhatClippingWouldHurt) {
  std::vector<float> values;
  for (int i = -1000; i <= 1000; ++i) values.push_back(static_cast<float>(i) / 100);
  const ValueRange r = range_of(histogram_of(values), {.method = RangeMethod::mse});
  EXPECT_EQ(r.low, -10);
  EXPECT_EQ(r.high, 10);
}

TEST(ValueRange, ZeroIsAnInteger) {
  const ConvQuantization q = input_quantization({-1, 2});
  EXPECT_EQ(q.zero_point, 85);
  EXPECT_FLOAT_EQ(q.scale, 3 / 255.f);
  EXPECT_EQ(input_quantization({0, 4}).zero_point, 0);
  EXPECT_EQ(input_quantization({-4, 0}).zero_point, 255);
  const ConvQuantization nothing = input_quantization({0, 0});
  EXPECT_EQ(nothing.scale, 1);
  EXPECT_EQ(nothing.zero_point, 0);
}

TEST(FilterRanges, AreOfEachFilter) {
  const std::vector<float> weights{1, -2, .5f, .25f, -.125f, 0, 0, 0, 0};
  EXPECT_EQ(filter_ranges(weights, 3, RangeMethod::max), (std::vector<float>{2, .25f, 0}));
  std::vector<float> peak(5000, .0101f);
  peak[7] = .0201f;
  const float range = filter_ranges(peak, 1, RangeMethod::mse)[0];
  EXPECT_LE(range, .0201f);
  EXPECT_GE(range, .01f);
  EXPECT_EQ(filter_ranges(std::vector<float>(9), 1, RangeMethod::mse), std::vector<float>{0});
}

constexpr const char* kQuantizedCfg =
    "[net]\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=8\ngroups=4\nsize=3\npad=1\nactivation=relu\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

std::vector<Section> sections(const std::string& text = kQuantizedCfg) {
  std::istringstream in(text);
  return parse_cfg(in, "x.cfg");
}

// With weights, and noise as its input.
Network network(std::vector<Section> cfg = sections()) {
  Network net(std::move(cfg), {.seed = 3});
  net.initialise();
  net.parameters_changed();
  for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
    net.input().as().data[i] = random_uniform(5, 1, static_cast<std::uint64_t>(i));
  return net;
}

// `below`: the layer that the head reads.
std::vector<float> head_input(Network& net, std::int64_t below = 3) {
  struct Look final : LayerObserver {
    Look(Network& n, std::int64_t layer) : net(n), wanted(layer) {}
    void before(std::int64_t, bool) override {}
    void after(std::int64_t layer, bool) override {
      if (layer == wanted) values = to_host(net.stream(), net.output(layer));
    }
    Network& net;
    std::int64_t wanted;
    std::vector<float> values;
  } look(net, below);
  net.observe(&look);
  net.forward({.stream = net.stream()});
  net.observe(nullptr);
  return look.values;
}

double relative(const std::vector<float>& a, const std::vector<float>& b) {
  double apart = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    apart += std::pow(double{a[i]} - b[i], 2), length += std::pow(double{b[i]}, 2);
  return std::sqrt(apart / length);
}

TEST(QuantizedNetwork, ComputesNearlyTheSameAndReturnsToF32) {
  Network net = network();
  const std::vector<float> before = head_input(net);
  const Quantization q = quantization_for_input(net);
  ASSERT_EQ(q.size(), 2u);  // not the one before the head
  EXPECT_TRUE(q.contains(0) && q.contains(1));
  EXPECT_EQ(q.at(0).zero_point, 0);  // pixels are from 0 on
  net.set_quantization(q);
  net.parameters_changed();
  const std::vector<float> in_int8 = head_input(net);
  EXPECT_GT(relative(in_int8, before), 0);
  EXPECT_LT(relative(in_int8, before), .03);
  net.set_quantization({});
  net.parameters_changed();
  EXPECT_EQ(head_input(net), before);
}

// Layers 0 to 4 make integers; 5 is read by the f32 convolution before the head.
constexpr const char* kIntegersCfg =
    "[net]\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=16\nsize=3\npad=1\nactivation=mish\n"
    "[upsample]\nstride=2\n"
    "[route]\nlayers=-1,0\n"
    "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

// Of one image, in 8-bit integers with the ranges of its input; with keep_outputs tensors stay f32.
Network integer_network(bool keep_outputs, const char* cfg = kIntegersCfg) {
  Network net(sections(cfg), {.seed = 3, .keep_outputs = keep_outputs});
  net.initialise();
  net.parameters_changed();
  for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
    net.input().as().data[i] = random_uniform(5, 1, static_cast<std::uint64_t>(i));
  net.set_quantization(quantization_for_input(net));
  net.parameters_changed();
  return net;
}

TEST(QuantizedNetwork, KeepsIntegersBetweenConvolutions) {
  Network with = integer_network(false), without = integer_network(true);
  for (std::int64_t i = 0; i < with.size(); ++i) {
    EXPECT_EQ(with.output(i).dtype, i < 5 ? DType::u8 : DType::f32) << i;
    EXPECT_EQ(without.output(i).dtype, DType::f32) << i;
  }
  const std::vector<float> integers = head_input(with, 6), f32 = head_input(without, 6);
  EXPECT_GT(relative(integers, f32), 0);  // two readers share a range
  EXPECT_LT(relative(integers, f32), .02);
  without.set_quantization({});
  without.parameters_changed();
  EXPECT_LT(relative(integers, head_input(without, 6)), .03);
  with.set_quantization({});
  EXPECT_EQ(with.output(0).dtype, DType::f32);
}

// Layers 0 to 3 make integers, of which 3 adds two; 5 adds f32 and integers into f32.
constexpr const char* kResidualCfg =
    "[net]\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=8\nsize=1\nactivation=leaky\n"
    "[convolutional]\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-3\nactivation=linear\n"
    "[convolutional]\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-2\nactivation=linear\n"
    "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

TEST(QuantizedNetwork, AddsIntegers) {
  Network with = integer_network(false, kResidualCfg),
          without = integer_network(true, kResidualCfg);
  for (std::int64_t i = 0; i < with.size(); ++i)
    EXPECT_EQ(with.output(i).dtype, i < 4 ? DType::u8 : DType::f32) << i;
  EXPECT_LT(relative(head_input(with, 6), head_input(without, 6)), .03);
}

// Layer 3 adds what is twice the half of a side: the same size where the side is even.
constexpr const char* kHalfAndBackCfg =
    "[net]\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=16\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[upsample]\nstride=2\n"
    "[shortcut]\nfrom=-3\nactivation=linear\n"
    "[convolutional]\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

TEST(QuantizedNetwork, AddsInF32WhereASizeDoesNotFitExactly) {
  Network net = integer_network(false, kHalfAndBackCfg);
  const auto at_size = [&](std::int64_t size) {
    net.resize(1, size, size);
    net.parameters_changed();
    for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
      net.input().as().data[i] = random_uniform(5, 2, static_cast<std::uint64_t>(i));
    return head_input(net, 5);
  };
  const std::vector<float> even = at_size(16);
  EXPECT_EQ(net.output(3).dtype, DType::u8);
  const std::vector<float> odd = at_size(17);
  EXPECT_EQ(net.output(3).dtype, DType::f32);
  EXPECT_EQ(at_size(16), even);
  EXPECT_EQ(net.output(3).dtype, DType::u8);
  net.set_quantization({});
  EXPECT_GT(relative(odd, at_size(17)), 0);
  EXPECT_LT(relative(odd, at_size(17)), .03);
}

TEST(QuantizedNetwork, LeavesOutDepthwiseConvolutions) {
  std::string text = kQuantizedCfg;
  text.replace(text.find("groups=4"), 8, "groups=8");
  Network net = network(sections(text));
  EXPECT_EQ(quantization_for_input(net).size(), 1u);
}

TEST(QuantizedNetwork, KeepsItsRangesAtAnotherSize) {
  Network net = network();
  net.set_quantization(quantization_for_input(net));
  net.parameters_changed();
  net.resize(1, 32, 32);
  net.parameters_changed();
  for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
    net.input().as().data[i] = random_uniform(5, 2, static_cast<std::uint64_t>(i));
  const std::vector<float> in_int8 = head_input(net);
  net.set_quantization({});
  net.parameters_changed();
  const std::vector<float> in_f32 = head_input(net);
  EXPECT_GT(relative(in_int8, in_f32), 0);
  EXPECT_LT(relative(in_int8, in_f32), .03);
}

TEST(QuantizedNetwork, RefusesWhatDoesNotFit) {
  Network net = network();
  const ConvQuantization q = quantization_for_input(net).at(0);
  const auto refusal = [&](Network& to, Quantization all) {
    return testing_files::error_of([&] { to.set_quantization(std::move(all)); });
  };
  EXPECT_EQ(refusal(net, {{0, q}}), "");
  EXPECT_TRUE(holds(refusal(net, {{2, q}}), "has no convolution"));
  EXPECT_TRUE(holds(refusal(net, {{5, q}}), "no layer 5"));
  EXPECT_TRUE(holds(refusal(net, {{3, q}}), "8 ranges for 6 filters"));
  ConvQuantization wrong = q;
  wrong.scale = 0;
  EXPECT_TRUE(holds(refusal(net, {{0, wrong}}), "its scale is 0; expected a number above 0"));
  wrong = q, wrong.zero_point = 256;
  EXPECT_TRUE(holds(refusal(net, {{0, wrong}}), "its zero point is 256; expected 0 to 255"));
  wrong = q, wrong.ranges[1] = NAN;
  EXPECT_TRUE(holds(refusal(net, {{0, wrong}}), "its range of a filter is nan; expected a number"));
  Network training(sections(), {.mode = Mode::training});
  EXPECT_TRUE(holds(refusal(training, {{0, q}}), "trained in f32"));
  Network reference(sections(), {.reference = true});
  EXPECT_TRUE(holds(refusal(reference, {{0, q}}), "8-bit integers are for the CPU"));
}

class QuantizationFile : public testing_files::InFolder {
 protected:
  std::string refusal(const NetworkIdentity& network) const {
    return testing_files::error_of([&] { read_quantization(file_, network); });
  }
  QuantizationReport report() const {
    return {.layers = {{0, Kept::int8, .01, {.1f, 7, {1, 1.f / 3, 0}}},
                       {1, Kept::error, .5, {}},
                       {4, Kept::int8, .02, {3e-5f, 0, {2}}},
                       {5, Kept::before_head, 0, {}}},
            .error = .015,
            .images = 20,
            .rule = {}};
  }
  std::filesystem::path file_ = quantization_path(folder_ / "x_best.weights");
  NetworkIdentity network_{.weights = 0xFEDCBA9876543210u, .layers = 5};
};

TEST_F(QuantizationFile, KeepsEveryNumber) {
  EXPECT_EQ(file_.filename(), "x_best.int8");
  write_quantization(file_, network_, report());
  const Quantization read = read_quantization(file_, network_), written = report().chosen();
  ASSERT_EQ(read.size(), 2u);
  for (const auto& [layer, q] : written) {
    EXPECT_EQ(read.at(layer).scale, q.scale);
    EXPECT_EQ(read.at(layer).zero_point, q.zero_point);
    EXPECT_EQ(read.at(layer).ranges, q.ranges);
  }
}

TEST_F(QuantizationFile, OfAnotherNetworkIsRefusedWithTheRemedy) {
  EXPECT_EQ(refusal(network_),
            file_.string() + ": there is no such file; darknet quantize writes one");
  write_quantization(file_, network_, report());
  EXPECT_EQ(refusal(network_), "");
  EXPECT_TRUE(holds(refusal({network_.weights + 1, network_.layers}), "of other weights"));
  EXPECT_TRUE(holds(refusal({network_.weights, network_.layers + 1}), "with other layers"));
}

TEST_F(QuantizationFile, DamagedIsRefused) {
  write_quantization(file_, network_, report());
  const auto sound = parse_json(read_file(file_, 1 << 20));
  const auto refused = [&](const nlohmann::json& changed) {
    remove_file(file_);
    write_file_atomically(file_, dump_json(changed));
    return refusal(network_);
  };
  EXPECT_EQ(refused(sound), "");
  using Pairs = std::vector<std::pair<std::string, nlohmann::json>>;
  for (const auto& [key, value] : Pairs{{"int8", 2},
                                        {"layers", 1},
                                        {"layers", {1}},
                                        {"weights_checksum", 7},
                                        {"network_checksum", nullptr}}) {
    nlohmann::json changed = sound;
    changed[key] = value;
    EXPECT_NE(refused(changed), "") << changed;
  }
  for (const auto& [key, value] : Pairs{{"layer", -1},
                                        {"layer", 4},
                                        {"layer", "0"},
                                        {"scale", 0},
                                        {"scale", -1},
                                        {"scale", 1e300},
                                        {"scale", nullptr},
                                        {"zero_point", 256},
                                        {"zero_point", -1},
                                        {"zero_point", .5},
                                        {"ranges", 1},
                                        {"ranges", {-1}},
                                        {"ranges", {"1"}},
                                        {"ranges", {1e300}}}) {
    nlohmann::json changed = sound;
    changed["layers"][0][key] = value;
    EXPECT_NE(refused(changed), "") << changed;
  }
  remove_file(file_);
  write_file_atomically(file_, "{");
  EXPECT_TRUE(holds(refusal(network_), "not a JSON object"));
}

TEST(NetworkIdentity, IsOfLayersAndNotOfTheInputsSize) {
  const auto identity = [](const std::string& text) {
    return identity_of(Network(sections(text), {}), 1);
  };
  const auto with = [](const char* from, const char* to) {
    std::string text = kQuantizedCfg;
    const auto at = text.find(from);
    if (at == text.npos) fail("no ", from);
    return text.replace(at, std::string(from).size(), to);
  };
  const NetworkIdentity own = identity(kQuantizedCfg);
  EXPECT_EQ(identity(with("width=16", "width=32")), own);
  EXPECT_FALSE(identity(with("activation=leaky", "activation=relu")) == own);
  EXPECT_FALSE(identity(with("groups=4", "groups=2")) == own);
  EXPECT_FALSE(identity(with("size=2\nstride=2", "size=3\nstride=2")) == own);
}

}  // namespace
}  // namespace darknet
