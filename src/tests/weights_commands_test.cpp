// weights info, average, fuse, normalize, reset and rescale: the values that they print and write,
// what the networks compute afterwards, what they refuse, and that nothing is half written.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/index.h"
#include "core/rng.h"
#include "nn/weights.h"
#include "nn/weights_file.h"

namespace darknet::test {
namespace {

// One of each kind of layer with batch normalisation, parameters that two layers share, and a
// [batchnorm], which has no weights. No comment may get lost.
const std::string kRichCfg = R"(# rich
[net]
width=8
height=8
channels=3

[conv]
batch_normalize=1  # of the stem
filters=4
size=3
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=4
groups=2
size=1
activation=mish

[convolutional]
batch_normalize=1
filters=4
groups=2
size=1
share_index=-1
activation=linear

[batchnorm]

[convolutional]
filters=2
size=1
activation=relu

[connected]
batch_normalize=1
output=5
activation=linear
)";

using ParameterValues = std::vector<std::vector<float>>;  // of each parameter

class WeightsCommand : public CliTest {
 protected:
  WeightsCommand() {
    work_.put("rich.cfg", kRichCfg);
    put_weights("rich.cfg", "rich.weights", 1);
  }

  // Random values, as training would leave them: variances are above 0.
  void put_weights(const std::string& cfg, const std::string& name, std::uint64_t seed,
                   std::uint64_t seen = 640) const {
    Network net(read_cfg(work_.path(cfg)), {});
    std::uint64_t stream = 0;
    for (Parameter* p : net.parameters()) {
      Rng rng(seed, ++stream);
      const bool positive = p->role == Role::scale || p->role == Role::rolling_variance;
      std::vector<float> values(to_size(p->value.size()));
      for (float& v : values) v = positive ? rng.uniform(.3f, 2.f) : rng.uniform(-1.f, 1.f);
      p->value.copy_from(net.stream(), values);
    }
    work_.put(name, weights_bytes(net, seen));
  }

  Network opened(const std::string& cfg, const std::string& weights) const {
    Network net(read_cfg(work_.path(cfg)), {});
    load_weights(work_.path(weights), net);
    net.parameters_changed();
    return net;
  }
  ParameterValues values(const std::string& cfg, const std::string& weights) const {
    const Network net = opened(cfg, weights);
    ParameterValues all;
    for (const Parameter* p : net.parameters()) all.push_back(p->value.to_host(net.stream()));
    return all;
  }

  // What the last layer makes of pixels that `pixel` gives by their place and channel.
  template <class Pixel>
  std::vector<float> outputs(const std::string& cfg, const std::string& weights,
                             const Pixel& pixel_at) const {
    Network net = opened(cfg, weights);
    const View<float> in = net.input().as<>();
    for (std::int64_t i = 0; i < in.shape.size(); ++i)
      in.data[i] = pixel_at(i / in.shape.c, i % in.shape.c);
    net.forward({.stream = net.stream()});
    return to_host(net.stream(), net.output(net.size() - 1));
  }
  std::vector<float> outputs(const std::string& cfg, const std::string& weights) const {
    return outputs(cfg, weights, pixel);
  }
  static float pixel(std::int64_t place, std::int64_t channel) {
    return static_cast<float>((place * 7 + channel * 13) % 32) / 31;
  }
  static void expect_equal(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    float largest = 0;
    for (const float v : a) largest = std::max(largest, std::abs(v));
    EXPECT_GT(largest, .01f);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5f * largest) << i;
  }

  CommandResult weights(std::vector<std::string> words, int exit_code = 0) const {
    words.insert(words.begin(), "weights");
    CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, exit_code) << ran.all();
    return ran;
  }
  std::uint64_t seen(const std::string& file) const {
    return WeightsFile(work_.path(file)).header().seen;
  }
};

// The words of the line that begins so, blanks aside.
std::vector<std::string> words_of_line(const std::string& text,
                                       const std::vector<std::string>& first) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::vector<std::string> all;
    for (std::string word; words >> word;) all.push_back(word);
    if (all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin()))
      return all;
  }
  return {};
}

constexpr std::size_t kWeightsHeader = 20;
void put_value(std::string& bytes, std::size_t index, float value) {
  std::memcpy(bytes.data() + kWeightsHeader + index * sizeof value, &value, sizeof value);
}

// ---- info ----

TEST_F(WeightsCommand, InfoPrintsHeaderAndStatistics) {
  work_.put("one.cfg", std::string("[net]\nwidth=4\nheight=4\nchannels=1\n[convolutional]\nfilters="
                                   "2\nsize=1\nactivation=linear\n"));
  put_weights("one.cfg", "one.weights", 1, 123456789012);
  std::string bytes = work_.get("one.weights");
  const std::vector<float> written{1, 3, -.5f, .25f};  // two biases, two weights
  for (std::size_t i = 0; i < written.size(); ++i) put_value(bytes, i, written[i]);
  work_.put("one.weights", bytes);
  const CommandResult ran = weights({"info", "one.weights", "one.cfg"});
  EXPECT_TRUE(
      said(ran,
           "one.weights: version 0.2.5, 123456789012 images seen, 36 bytes: 4 values behind "
           "a header of 20 bytes"))
      << ran.all();
  using Words = std::vector<std::string>;
  EXPECT_EQ(words_of_line(ran.out, {"0", "convolutional", "biases"}),
            (Words{"0", "convolutional", "biases", "2", "1", "3", "2", "1", "0"}));
  EXPECT_EQ(words_of_line(ran.out, {"0", "convolutional", "weights"}),
            (Words{"0", "convolutional", "weights", "2", "-0.5", "0.25", "-0.125", "0.375", "0"}));
  EXPECT_TRUE(said(ran, "the file fills all of 1 layer")) << ran.all();
  EXPECT_EQ(words_of_line(weights({"info", "one.weights"}).out, {"all"}),
            (Words{"all", "4", "-0.5", "3", "0.9375", "1.304", "0"}));
}

TEST_F(WeightsCommand, InfoSaysThatStrayBytesAreDamage) {
  put_weights("rich.cfg", "rich.weights", 1, 8);
  work_.put("long.weights", work_.get("rich.weights") + "xyz");
  expect_refused(weights({"info", "long.weights"}, 1),
                 "long.weights: a value has 4 bytes, and 3 bytes follow the last one");
}

// Version 0.1.0 counts images in 32 bits.
TEST_F(WeightsCommand, InfoReadsTheOldHeader) {
  std::string bytes(16 + 8, '\0');
  const std::int32_t header[] = {0, 1, 0, 77};
  std::memcpy(bytes.data(), header, sizeof header);
  work_.put("old.weights", bytes + "xy");
  const CommandResult ran = weights({"info", "old.weights"}, 1);
  EXPECT_TRUE(said(ran,
                   "version 0.1.0, 77 images seen, 26 bytes: 2 values behind a header of 16 bytes, "
                   "and 2 bytes"))
      << ran.all();
}

TEST_F(WeightsCommand, InfoCountsWhatIsNotFinite) {
  std::string bytes = work_.get("rich.weights");
  put_value(bytes, 0, std::nanf(""));
  put_value(bytes, 1, std::numeric_limits<float>::infinity());
  put_value(bytes, 2, .5f);
  put_value(bytes, 3, .25f);
  work_.put("bad.weights", bytes);
  const CommandResult ran = weights({"info", "bad.weights", "rich.cfg"}, 1);
  EXPECT_EQ(
      words_of_line(ran.out, {"0", "conv", "biases"}),
      (std::vector<std::string>{"0", "conv", "biases", "4", "0.25", "0.5", "0.375", "0.125", "2"}))
      << ran.all();
  EXPECT_TRUE(said(ran, "values that are not finite: 2")) << ran.all();
  weights({"info", "bad.weights"}, 1);
}

TEST_F(WeightsCommand, InfoSaysWhereAFileEnds) {
  const std::string bytes = work_.get("rich.weights");
  // Layer 0: 4 biases, 12 of batch normalisation, 108 weights; layer 1: 4 + 12 + 8.
  work_.put("cut.weights", bytes.substr(0, kWeightsHeader + 4 * (124 + 4 + 12 + 3) + 1));
  CommandResult ran = weights({"info", "cut.weights", "rich.cfg"}, 1);
  EXPECT_TRUE(said(ran,
                   "ends in the middle of layer 1 [convolutional] (rich.cfg:14): 3 of its 8 "
                   "weights are there"))
      << ran.all();
  work_.put("back.weights", bytes.substr(0, kWeightsHeader + 4 * 124));
  ran = weights({"info", "back.weights", "rich.cfg"});
  EXPECT_TRUE(said(ran, "the file ends with layer 0, of 6 layers: a backbone")) << ran.all();
  work_.put("none.weights", bytes.substr(0, kWeightsHeader));
  ran = weights({"info", "none.weights", "rich.cfg"}, 1);
  EXPECT_TRUE(said(ran, "none.weights: there are no values behind the header")) << ran.all();
  work_.put("long.weights", bytes + "more");
  ran = weights({"info", "long.weights", "rich.cfg"}, 1);
  EXPECT_TRUE(said(ran, "4 bytes follow the last layer of rich.cfg")) << ran.all();
  expect_refused(
      weights({"info", "rich.cfg"}, 1),
      "rich.cfg: this is not a .weights file: its first 12 bytes are no version number; it is "
      "a .cfg file");
  expect_refused(weights({"info", "rich.weights", "-set", "net.0.width=16"}, 2), "-set", 2);
}

// ---- average ----

TEST_F(WeightsCommand, AverageIsTheMeanOfEveryValue) {
  put_weights("rich.cfg", "b.weights", 2, 1280);
  put_weights("rich.cfg", "c.weights", 3, 1920);
  weights({"average", "mean.weights", "rich.cfg", "rich.weights", "b.weights", "c.weights"});
  const ParameterValues a = values("rich.cfg", "rich.weights"), b = values("rich.cfg", "b.weights"),
                        c = values("rich.cfg", "c.weights"),
                        mean = values("rich.cfg", "mean.weights");
  ASSERT_EQ(mean.size(), 21u);  // statistics too; 5 + 5, none of the third layer, 4, 2, 5
  for (std::size_t p = 0; p < mean.size(); ++p)
    for (std::size_t i = 0; i < mean[p].size(); ++i)
      EXPECT_NEAR(mean[p][i], (a[p][i] + b[p][i] + c[p][i]) / 3, 1e-6f);
  EXPECT_EQ(seen("mean.weights"), 640u) << "as Darknet: those of the first";
}

TEST_F(WeightsCommand, AverageRefusesWhatDoesNotFit) {
  put_tiny_weights(work_, "x.weights");
  work_.put("mean.weights", work_.get("rich.weights"));
  const auto average = [&](std::vector<std::string> more, int code) {
    more.insert(more.begin(), {"average", "mean.weights", "rich.cfg", "rich.weights"});
    return weights(more, code);
  };
  expect_refused(average({}, 2), "two weights files or more", 2);
  expect_refused(average({"rich.weights"}, 1), "mean.weights: the file exists; -force replaces it");
  expect_refused(average({"x.weights", "-force"}, 1), "x.weights: the file is too");
  EXPECT_EQ(work_.get("mean.weights"), work_.get("rich.weights")) << "a failure leaves it";
  expect_refused(average({"mean.weights", "-force"}, 1), "mean.weights");  // an input
  put_weights("rich.cfg", "b.weights", 2);
  average({"b.weights", "-force"}, 0);
  EXPECT_NE(work_.get("mean.weights"), work_.get("rich.weights"));
}

TEST_F(WeightsCommand, AverageRefusesAFileThatIsNamedTwice) {
  put_weights("rich.cfg", "b.weights", 2);
  std::filesystem::create_symlink("b.weights", work_.path("c.weights"));
  expect_refused(
      weights({"average", "mean.weights", "rich.cfg", "rich.weights", "b.weights", "./b.weights"},
              1),
      "./b.weights: is the same file as b.weights");
  expect_refused(weights({"average", "mean.weights", "rich.cfg", "b.weights", "c.weights"}, 1),
                 "c.weights: is the same file as b.weights");
  EXPECT_FALSE(work_.has("mean.weights"));
}

// ---- fuse and normalize ----

TEST_F(WeightsCommand, FusedNetworksComputeTheSame) {
  const CommandResult ran = weights({"fuse", "rich.cfg", "rich.weights", "f.cfg", "f.weights"});
  EXPECT_TRUE(said(ran, "batch_normalize=0 in 4 layers -> f.cfg, f.weights")) << ran.all();
  expect_equal(outputs("rich.cfg", "rich.weights"), outputs("f.cfg", "f.weights"));
  EXPECT_EQ(seen("f.weights"), 640u);
  const std::string cfg = work_.get("f.cfg");
  EXPECT_EQ(cfg.find("batch_normalize=1"), std::string::npos) << cfg;
  EXPECT_EQ(cfg.find("# rich\n[net]"), 0u) << cfg;
  EXPECT_NE(cfg.find("batch_normalize=0  # of the stem\n"), std::string::npos) << cfg;
  // By hand: w s / sqrt(v + 1e-5) and b - m s / sqrt(v + 1e-5). In memory: 4 filters of 27 weights.
  const ParameterValues old = values("rich.cfg", "rich.weights"),
                        fused = values("f.cfg", "f.weights");
  for (std::size_t filter = 0; filter < 4; ++filter) {
    const float factor = old[1][filter] / std::sqrt(old[3][filter] + 1e-5f);
    EXPECT_NEAR(fused[0][filter], old[0][filter] - old[2][filter] * factor, 1e-5f);
    for (const std::size_t w : {27 * filter, 27 * filter + 26})
      EXPECT_NEAR(fused[1][w], old[4][w] * factor, 1e-5f);
  }
  expect_refused(weights({"fuse", "f.cfg", "f.weights", "g.cfg", "g.weights"}, 1),
                 "nothing to fold");
  EXPECT_FALSE(work_.has("g.cfg") || work_.has("g.weights"));
}

// YOLOR's values stand before what uses them, which a [route] leads back to.
const std::string kTransposedCfg =
    "[net]\nwidth=6\nheight=4\n"
    "[convolutional]\nbatch_normalize=1\nfilters=3\nactivation=linear\n"
    "[implicit_add]\nfilters=5\n[implicit_mul]\nfilters=5\n[route]\nlayers=0\n"
    "[deconvolutional]\nbatch_normalize=1\nfilters=5\nsize=4\nstride=2\npadding=1\n"
    "activation=leaky\n"
    "[shift_channels]\nfrom=1\n[control_channels]\nfrom=2\n";

TEST_F(WeightsCommand, TransposedConvolutionsAreFoldedToo) {
  work_.put("d.cfg", kTransposedCfg);
  put_weights("d.cfg", "d.weights", 6);
  const CommandResult ran = weights({"fuse", "d.cfg", "d.weights", "f.cfg", "f.weights"});
  EXPECT_TRUE(said(ran, "batch_normalize=0 in 2 layers -> f.cfg, f.weights")) << ran.all();
  expect_equal(outputs("d.cfg", "d.weights"), outputs("f.cfg", "f.weights"));
}

// pjreddie's Darknet: bias, scales, means, variances, then [channels][filters][y][x].
TEST_F(WeightsCommand, FilesHoldTransposedConvolutionsAsDarknetsDo) {
  work_.put("d.cfg", kTransposedCfg);
  put_weights("d.cfg", "d.weights", 6);
  const ParameterValues p = values("d.cfg", "d.weights");
  std::vector<float> file((work_.get("d.weights").size() - kWeightsHeader) / sizeof(float));
  std::memcpy(file.data(), work_.get("d.weights").data() + kWeightsHeader,
              file.size() * sizeof(float));
  const std::size_t first = 4 * 3 + 9 + 5 + 5;  // of the layers before
  ASSERT_EQ(file.size(), first + 4 * 5 + 3 * 5 * 16);
  EXPECT_EQ(file[first - 10], p[5][0]);
  EXPECT_EQ(file[first - 1], p[6][4]);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(file[first + i], p[7][i]);
  const std::vector<float>& weights = p.back();  // [channels][y][x][filters]
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t k = 0; k < 5; ++k)
      for (std::size_t at = 0; at < 16; ++at)
        EXPECT_EQ(file[first + 20 + (c * 5 + k) * 16 + at], weights[(c * 16 + at) * 5 + k]);
}

TEST_F(WeightsCommand, FusingKeepsDetections) {
  put_weights("x.cfg", "x.weights", 4);
  weights({"fuse", "x.cfg", "x.weights", "f.cfg", "f.weights", "-set", "net.0.width=64"});
  EXPECT_NE(work_.get("f.cfg").find("width=64"), std::string::npos);
  work_.put("x.cfg", replaced(kTinyCfg, "width=32", "width=64"));
  expect_equal(outputs("x.cfg", "x.weights"), outputs("f.cfg", "f.weights"));
}

TEST_F(WeightsCommand, NormalizeIsTheReverse) {
  put_weights("x.cfg", "x.weights", 4);
  weights({"fuse", "x.cfg", "x.weights", "f.cfg", "f.weights"});
  weights({"normalize", "f.cfg", "f.weights", "n.cfg", "n.weights"});
  EXPECT_EQ(work_.get("n.cfg"), kTinyCfg) << "the layer that [yolo] reads has none again";
  expect_equal(outputs("x.cfg", "x.weights"), outputs("n.cfg", "n.weights"));
  const ParameterValues n = values("n.cfg", "n.weights");
  EXPECT_EQ(n[1], std::vector<float>(4, 1));  // scales
  EXPECT_EQ(n[2], std::vector<float>(4, 0));  // means
  EXPECT_EQ(n[3], std::vector<float>(4, 1));  // variances
  expect_refused(weights({"normalize", "x.cfg", "x.weights", "m.cfg", "m.weights"}, 1),
                 "nothing to normalise");
}

TEST_F(WeightsCommand, NothingIsReplacedUnasked) {
  const std::vector<std::string> fuse{"fuse", "rich.cfg", "rich.weights", "f.cfg", "f.weights"};
  work_.put("f.cfg", std::string("[net]\n"));
  expect_refused(weights(fuse, 1), "f.cfg: the file exists; -force replaces it");
  EXPECT_FALSE(work_.has("f.weights"));
  std::vector<std::string> forced = fuse;
  forced.emplace_back("-force");
  weights(forced);
  EXPECT_NE(work_.get("f.cfg"), "[net]\n");
  work_.put("notes", std::string("mine\n"));
  expect_refused(weights({"fuse", "rich.cfg", "rich.weights", "notes", "g.weights", "-force"}, 1),
                 "notes: would replace a text file");
  expect_refused(weights({"fuse", "rich.cfg", "rich.weights", "rich.cfg", "g", "-force"}, 1),
                 "rich.cfg");
  const CommandResult swapped =
      work_.darknet({"weights", "fuse", "rich.cfg", "rich.weights", "g.weights", "g.cfg"});
  expect_refused(swapped, "g.weights: a .cfg file would be written to it; mind the order", 2);
  // A disk that is full leaves no half file.
  const CommandResult full = work_.darknet(
      {"weights", "fuse", "rich.cfg", "rich.weights", "h.cfg", "h.weights"}, {.max_file = 100});
  EXPECT_EQ(full.exit_code, 1) << full.all();
  EXPECT_FALSE(work_.has("h.cfg") || work_.has("h.weights"));
}

// ---- reset and rescale ----

TEST_F(WeightsCommand, ResetForgetsTheImagesSeen) {
  weights({"reset", "rich.cfg", "rich.weights", "r.weights"});
  EXPECT_EQ(seen("r.weights"), 0u);
  EXPECT_EQ(work_.get("r.weights").substr(kWeightsHeader),
            work_.get("rich.weights").substr(kWeightsHeader));
  weights({"reset", "rich.cfg", "rich.weights", "s.weights", "-statistics", "-keep_seen"});
  EXPECT_EQ(seen("s.weights"), 640u);
  expect_equal(outputs("rich.cfg", "rich.weights"), outputs("rich.cfg", "s.weights"));
  const ParameterValues s = values("rich.cfg", "s.weights");
  EXPECT_EQ(s[1], std::vector<float>(4, 1));
  EXPECT_EQ(s[2], std::vector<float>(4, 0));
  EXPECT_EQ(s[3], std::vector<float>(4, 1));
  expect_refused(weights({"reset", "rich.cfg", "rich.weights", "t", "-keep_seen"}, 2), "-keep_seen",
                 2);
  expect_refused(weights({"reset", "rich.cfg", "rich.weights", "r.weights"}, 1), "-force");
}

TEST_F(WeightsCommand, ResetNeedsStatistics) {
  put_weights("x.cfg", "x.weights", 4);
  weights({"fuse", "x.cfg", "x.weights", "f.cfg", "f.weights"});
  expect_refused(weights({"reset", "f.cfg", "f.weights", "r.weights", "-statistics"}, 1),
                 "f.cfg: -statistics: nothing to reset");
  EXPECT_FALSE(work_.has("r.weights"));
}

// The first convolution's parameters are those of another one, too.
TEST_F(WeightsCommand, RescaleRefusesSharedParameters) {
  const std::string layer = "[convolutional]\nfilters=3\nsize=1\nactivation=linear\n";
  work_.put("s.cfg", "[net]\nwidth=8\nheight=8\n" + layer + layer + "share_index=0\n");
  put_weights("s.cfg", "s.weights", 1);
  for (const std::vector<std::string>& change :
       {std::vector<std::string>{"-rgbgr"}, {"-scale", "2", "-shift", "-1"}}) {
    std::vector<std::string> words{"rescale", "s.cfg", "s.weights", "t.weights"};
    words.insert(words.end(), change.begin(), change.end());
    expect_refused(weights(words, 1), "has the parameters of layer 0 [convolutional]");
  }
  EXPECT_FALSE(work_.has("t.weights"));
}

TEST_F(WeightsCommand, RescaleSwapsRedAndBlue) {
  weights({"rescale", "rich.cfg", "rich.weights", "bgr.weights", "-rgbgr"});
  const auto swapped = [](std::int64_t place, std::int64_t c) { return pixel(place, 2 - c); };
  expect_equal(outputs("rich.cfg", "rich.weights"), outputs("rich.cfg", "bgr.weights", swapped));
  EXPECT_EQ(seen("bgr.weights"), 640u);
  work_.put("grey.cfg", replaced(kRichCfg, "channels=3", "channels=1"));
  put_weights("grey.cfg", "grey.weights", 1);
  expect_refused(weights({"rescale", "grey.cfg", "grey.weights", "g", "-rgbgr"}, 1),
                 "reads 1 channels with each filter");
  expect_refused(weights({"rescale", "rich.cfg", "rich.weights", "g"}, 2), "nothing to do", 2);
}

// With batch normalisation and without; no padding, at which the two would differ.
TEST_F(WeightsCommand, RescaleTakesAnotherRange) {
  const auto from_minus_one = [](std::int64_t place, std::int64_t c) {
    return 2 * pixel(place, c) - 1;
  };
  const std::string unpadded = replaced(kRichCfg, "pad=1\n", "");
  work_.put("bn.cfg", unpadded);
  work_.put("plain.cfg", replaced(unpadded, "batch_normalize=1  # of the stem", ""));
  for (const std::string name : {"bn", "plain"}) {
    put_weights(name + ".cfg", name + ".weights", 5);
    weights({"rescale", name + ".cfg", name + ".weights", name + "2.weights", "-scale", "2",
             "-shift", "-1"});
    expect_equal(outputs(name + ".cfg", name + ".weights", from_minus_one),
                 outputs(name + ".cfg", name + "2.weights"));
  }
}

}  // namespace
}  // namespace darknet::test
