// Whole networks in 16 bits against themselves in f32: inference, gradients, and training runs
// through the built program. bf16 by oneDNN, f16 by the reference, the only one here that has it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "core/rng.h"
#include "nn/weights.h"
#include "paths.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

bool cpu_has_bf16() {
  try {
    ops(DeviceType::cpu).accept_precision(DType::bf16, {});
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<Section> in_precision(std::vector<Section> cfg, const std::string& precision) {
  cfg.front().set("precision", precision, {"test", 0});
  return cfg;
}

// Blobs of many sizes, nearer to an image than noise is: sums of waves.
void put_image(const Network& net) {
  const Shape s = net.input_shape();
  std::vector<float> pixels(to_size(s.size()));
  for (std::int64_t p = 0; p < s.pixels(); ++p)
    for (std::int64_t c = 0; c < s.c; ++c) {
      const auto x = static_cast<float>(p % s.w), y = static_cast<float>(p / s.w % s.h);
      const float wave = std::sin(x * .13f + static_cast<float>(c)) * std::cos(y * .21f) +
                         std::sin((x + 2 * y) * .037f);
      pixels[to_size(p * s.c + c)] = .5f + .25f * wave;
    }
  memory(DeviceType::cpu)
      .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a.at(i)} - b[i], 2);
    length += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / length);
}

class Bf16 : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
};

// What the heads read and make of it: logits in the sense of the Euclidean norm, and every
// probability.
void compare_heads(const Network& half, const Network& wide, double tolerance) {
  for (const HeadAt& at : wide.heads()) {
    const TensorView logits = half.output(at.layer - 1);
    EXPECT_EQ(logits.dtype, DType::f32);
    EXPECT_LT(relative_difference(to_host({}, logits), to_host({}, wide.output(at.layer - 1))),
              tolerance)
        << wide.layer(at.layer).title();
    const auto a = to_host({}, half.output(at.layer)), b = to_host({}, wide.output(at.layer));
    const auto entries = to_size(5 + at.head->settings().classes);
    for (std::size_t i = 0; i < b.size(); ++i)
      if (i % entries >= 4) {
        ASSERT_NEAR(a[i], b[i], .1) << "value " << i;
      }
  }
}

struct Precision {
  DType type;
  bool reference;
  double logits;  // relative difference that is allowed
};
constexpr Precision kBf16{DType::bf16, false, .03}, kF16{DType::f16, true, .004};

// Bytes of what the layers give, without what their libraries need meanwhile: oneDNN's AMX kernels
// need more than small layers give.
double output_bytes(const Network& net) {
  std::int64_t bytes = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const TensorView out = net.output(i);
    bytes += out.shape.size() * size_of(out.dtype);
  }
  return static_cast<double>(bytes);
}

// `memory`: of the outputs, as a share of that in f32.
void compare_inference(const std::vector<Section>& cfg, const fs::path& weights, const Precision& p,
                       double memory = .6) {
  const std::string name(name_of(p.type));
  Network wide(cfg, {.keep_outputs = true}),
      half(in_precision(cfg, name), {.reference = p.reference, .keep_outputs = true});
  for (Network* net : {&wide, &half}) {
    net->initialise();
    if (!weights.empty()) load_weights(weights, *net);
    net->parameters_changed();
    put_image(*net);
    net->forward({.stream = net->stream()});
  }
  EXPECT_EQ(half.output(0).dtype, p.type);
  EXPECT_LT(output_bytes(half), memory * output_bytes(wide));
  compare_heads(half, wide, p.logits);
  Network shared(in_precision(cfg, name), {.reference = p.reference});  // buffers by liveness
  shared.initialise();
  if (!weights.empty()) load_weights(weights, shared);
  shared.parameters_changed();
  put_image(shared);
  shared.forward({.stream = shared.stream()});
  for (const HeadAt& at : half.heads())
    EXPECT_EQ(to_host({}, shared.output(at.layer)), to_host({}, half.output(at.layer)));
}

void compare_stock_networks(const Precision& p) {
  for (const char* name : {"yolov3-tiny", "yolov4-tiny", "yolov2-tiny-voc"}) {
    SCOPED_TRACE(name);
    std::vector<Section> cfg = read_cfg(source_dir() / "cfg" / cat(name, ".cfg"));
    const int size = p.reference ? 96 : 160;  // plain loops take their time
    apply_overrides(cfg, std::vector<std::string>{cat("net.0.width=", size), "net.0.height=96"});
    compare_inference(cfg, {}, p);
  }
}

TEST_F(Bf16, StockNetworkDetectsWhatItDoesInF32) { compare_stock_networks(kBf16); }
TEST(F16, StockNetworkDetectsWhatItDoesInF32) { compare_stock_networks(kF16); }

void compare_synthetic(const Precision& p) {
  const fs::path folder = test_data() / "synthetic";
  // In a small network the input and the heads, which stay f32, weigh more.
  compare_inference(read_cfg(folder / "synthetic.cfg"), folder / "synthetic.weights", p, .65);
}

TEST_F(Bf16, SpreadWeightsDetectWhatTheyDoInF32) { compare_synthetic(kBf16); }
TEST(F16, SpreadWeightsDetectWhatTheyDoInF32) { compare_synthetic(kF16); }

void compare_published(const Precision& p) {
  for (const std::string name : {"yolo-fastest-1.1", "yoloface-50k"}) {
    SCOPED_TRACE(name);
    const fs::path folder = extra_data("models/" + name);
    if (!fs::exists(folder)) GTEST_SKIP() << why_no_extra_data(folder);
    compare_inference(read_cfg(folder / (name + ".cfg")), folder / (name + ".weights"), p);
  }
}

TEST_F(Bf16, PublishedWeightsDetectWhatTheyDoInF32) { compare_published(kBf16); }
TEST(F16, PublishedWeightsDetectWhatTheyDoInF32) { compare_published(kF16); }

// Element types meet at the input, at [connected] in the middle of convolutions, and at layer 1,
// which layers of both types read.
const char* const kMixed = R"([net]
batch=2
width=12
height=10
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
pad=1
activation=leaky
[convolutional]
filters=6
size=3
pad=1
stride=2
activation=mish
[connected]
output=6
activation=logistic
[scale_channels]
from=1
[convolutional]
filters=6
size=1
activation=swish
[shortcut]
from=1
activation=leaky
[connected]
output=5
activation=linear
[softmax]
)";

std::vector<std::vector<float>> gradients_of(const std::string& precision, bool reference) {
  std::istringstream text(kMixed);
  Network net(in_precision(parse_cfg(text, "net.cfg"), precision),
              {.mode = Mode::training, .reference = reference});
  net.initialise();
  net.parameters_changed();
  put_image(net);
  Tensor targets({}, {2, 1, 1, 5});
  targets.copy_from({}, std::vector<float>{1, 0, 0, 0, 0, 0, 0, 1, 0, 0});
  const Pass pass{.stream = net.stream(), .mode = Mode::training, .targets = targets.view()};
  for (int run = 0; run < 2; ++run) {  // the second must not see the first
    const TensorView sums = net.gradients();
    std::fill_n(sums.as<>().data, sums.shape.size(), 0.f);
    net.forward(pass);
    net.backward(pass);
  }
  std::vector<std::vector<float>> all;
  for (const Parameter* p : net.parameters())
    if (p->gradient) all.push_back(to_host(Stream{}, p->gradient));
  return all;
}

void compare_gradients(const Precision& p, double tolerance) {
  const auto wide = gradients_of("f32", p.reference),
             half = gradients_of(std::string(name_of(p.type)), p.reference);
  ASSERT_EQ(wide.size(), half.size());
  for (std::size_t i = 0; i < wide.size(); ++i)  // biases' sums cancel; a lost term is far more
    EXPECT_LT(relative_difference(half[i], wide[i]), tolerance) << "parameter " << i;
}

TEST_F(Bf16, GradientsCrossTheBordersOfElementTypes) { compare_gradients(kBf16, .2); }
TEST(F16, GradientsCrossTheBordersOfElementTypes) { compare_gradients(kF16, .025); }

// A network is refused by whoever computes it.
TEST(F16, TheReferenceAcceptsWhatTheCpuRefuses) {
  std::istringstream text(kMixed);
  const auto cfg = in_precision(parse_cfg(text, "net.cfg"), "f16");
  EXPECT_THROW(Network(cfg, {}), Error);
  EXPECT_NO_THROW(Network(cfg, {.reference = true}));
}

class Bf16Training : public CliTest {
 protected:
  void SetUp() override {
    if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
  std::vector<double> losses(const std::string& folder) const {
    std::vector<double> all;
    std::istringstream in(work_.get(folder + "/x_log.jsonl"));
    for (std::string line; std::getline(in, line);) all.push_back(parse_json(line)["loss"]);
    return all;
  }
  void train_into(const std::string& folder, std::vector<std::string> flags) const {
    flags.insert(flags.end(), {"-backup", folder, "-set", "net.0.learning_rate=.01"});
    const CommandResult ran = train(flags);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
  }
};

double mean(const std::vector<double>& v, std::size_t begin, std::size_t end) {
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += v.at(i);
  return sum / static_cast<double>(end - begin);
}

TEST_F(Bf16Training, LossFallsAsInF32) {
  train_into("wide", {"-max_batches=300"});
  train_into("half", {"-max_batches=300", "-precision", "bf16"});
  const auto wide = losses("wide"), half = losses("half");
  EXPECT_LT(mean(half, 250, 300), .5 * mean(half, 0, 20));
  EXPECT_NEAR(mean(half, 0, 5) / mean(wide, 0, 5), 1, .1);
  EXPECT_NEAR(mean(half, 250, 300) / mean(wide, 250, 300), 1, .25);
  EXPECT_NE(half, wide);
}

TEST_F(Bf16Training, ResumesBitForBitInItsPrecisionOnly) {
  train_into("whole", {"-max_batches=60", "-precision=bf16"});
  train_into("parts", {"-max_batches=30", "-precision=bf16"});
  expect_refused(train({"parts/x_last.weights", "-max_batches=60", "-backup", "parts"}),
                 "that training ran with precision=bf16, not f32");
  train_into("parts", {"parts/x_last.weights", "-max_batches=60", "-precision=bf16"});
  EXPECT_TRUE(work_.get("whole/x_final.weights") == work_.get("parts/x_final.weights"));
  EXPECT_EQ(losses("whole"), losses("parts"));
}

TEST_F(CliTest, PrecisionsThatTheCpuLacksAreRefused) {
  expect_refused(train({"-precision=f16"}),
                 "[net] precision: f16: the CPU does not compute in f16; use f32, or bf16");
  expect_refused(train({"-precision=f64"}), "'f64' is none of f32,bf16,f16", 2);
  work_.put("x.cfg", replaced(kTinyCfg, "[net]\n", "[net]\nprecision=half\n"));
  expect_refused(train(), "x.cfg:2: [net] precision: 'half' is none of f32,bf16,f16");
}

}  // namespace
}  // namespace darknet::test
