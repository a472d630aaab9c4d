// Whole networks against OpenCV's dnn module, which reads the same files: stock cfgs with random
// weights, a synthetic and published networks with files of weights, and small networks for the
// remaining layers. Where OpenCV differs: see raise_variances and opencv_cfg.
#if defined(DARKNET_OPENCV_DNN)
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <opencv2/dnn.hpp>
#include <opencv2/dnn/all_layers.hpp>
#include <sstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "core/index.h"
#include "core/rng.h"
#include "detect/nms.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "paths.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;  // of the largest reference value

class TemporaryFolder {
 public:
  TemporaryFolder() { fs::create_directories(path_); }
  ~TemporaryFolder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_ = fs::temp_directory_path() / cat("darknet-dnn-", getpid());
};

// The worst difference of each kind of output, for the report.
class Worst {
 public:
  explicit Worst(std::string network) : network_(std::move(network)) {}
  ~Worst() {
    std::printf("  %-18s", network_.c_str());
    for (const auto& [what, error] : errors_) std::printf("  %s %.1e", what.c_str(), error);
    std::printf("\n");
  }

  void compare(const std::string& what, const std::vector<float>& ours,
               const std::vector<float>& reference) {
    ASSERT_EQ(ours.size(), reference.size()) << what;
    double largest = 0, difference = 0;
    std::int64_t zeros = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      ASSERT_TRUE(std::isfinite(reference[i]) && std::isfinite(ours[i])) << what << ' ' << i;
      largest = std::max(largest, std::fabs(double{reference[i]}));
      difference = std::max(difference, std::fabs(double{ours[i]} - reference[i]));
      zeros += reference[i] == 0;
    }
    ASSERT_GT(largest, 0) << what;
    EXPECT_LE(10 * zeros, std::ssize(reference)) << what << ": zeros compare nothing";
    EXPECT_LE(difference / largest, kTolerance) << what;
    errors_[what] = std::max(errors_[what], difference / largest);
  }

 private:
  std::string network_;
  std::map<std::string, double> errors_;
};

// What OpenCV needs to make every number comparable: no suppression and no threshold of its own
// (it takes [region] thresh, a training key, as one).
std::string opencv_cfg(const std::string& cfg, const Network& net) {
  std::istringstream in(cfg);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("width=") || line.starts_with("height=") || line.starts_with("thresh="))
      continue;
    out += line + "\n";
    if (line.starts_with("[net]"))
      out += cat("width=", net.settings().width, "\nheight=", net.settings().height, '\n');
    if (line.starts_with("[yolo]") || line.starts_with("[region]"))
      out += "thresh=0\nnms_threshold=0\n";
  }
  return out;
}

// OpenCV: epsilon 1e-6 of batch normalisation; Darknet and we: 1e-5.
void raise_variances(Network& net, float by) {
  for (Parameter* p : net.parameters()) {
    if (p->role != Role::rolling_variance) continue;
    std::vector<float> values = p->value.to_host(net.stream());
    for (float& v : values) v += by;
    p->value.copy_from(net.stream(), values);
  }
}

// Random biases, scales and statistics.
void randomise(Network& net) {
  net.initialise();
  Rng rng(7);
  const auto fill = [&](Parameter& p, float lo, float hi) {
    std::vector<float> values(to_size(p.value.size()));
    for (float& v : values) v = rng.uniform(lo, hi);
    p.value.copy_from(net.stream(), values);
  };
  for (Parameter* p : net.parameters()) {
    if (p->role == Role::bias) fill(*p, -.3f, .5f);
    if (p->role == Role::scale) fill(*p, .7f, 1.5f);
    if (p->role == Role::rolling_mean) fill(*p, -.2f, .2f);
    if (p->role == Role::rolling_variance) fill(*p, .2f, .6f);
  }
}

// Waves of several lengths and a little noise; NHWC.
std::vector<float> image_of(const Shape& s, std::uint64_t seed = 3) {
  std::vector<float> values;
  for (std::int64_t y = 0; y < s.h; ++y)
    for (std::int64_t x = 0; x < s.w; ++x)
      for (std::int64_t c = 0; c < s.c; ++c) {
        const auto fx = static_cast<float>(x), fy = static_cast<float>(y);
        const float wave = std::sin(fx / 9 + static_cast<float>(c + seed)) * std::cos(fy / 17) +
                           std::sin((fx + fy) / 41) * std::cos(fy / 5 - static_cast<float>(c));
        const float noise = random_uniform(seed, 0, static_cast<std::uint64_t>(values.size()));
        values.push_back(std::clamp(.4f + .15f * wave + .3f * noise, 0.f, 1.f));
      }
  return values;
}

// Statistics as a training run leaves them, from small images: with random ones the signal of a
// deep network vanishes, or is the same everywhere.
void settle_statistics(Network& net, std::vector<Section> cfg) {
  Network training(std::move(cfg),
                   {.mode = Mode::training, .batch = 2, .width = 128, .height = 96});
  copy_parameters(net, training);
  training.parameters_changed();
  const View<float> in = training.input().as<>();
  for (std::uint64_t step = 0; step < 20; ++step) {
    for (std::int64_t n = 0; n < 2; ++n) {
      const auto image =
          image_of(training.input().images(n, 1).shape, 2 * step + static_cast<std::uint64_t>(n));
      std::copy(image.begin(), image.end(), in.data + n * in.shape.features());
    }
    training.forward({.stream = training.stream()});
  }
  copy_parameters(training, net);
}

// Scales the parameters below each head so that its logits have a mean square of 1.5^2: sigmoids
// that are all 0 or 1 would compare nothing. `net` keeps its outputs.
void calibrate_heads(Network& net, const std::vector<float>& input) {
  net.parameters_changed();
  std::copy(input.begin(), input.end(), net.input().as<>().data);
  net.forward({.stream = net.stream()});
  for (const HeadAt& at : net.heads()) {
    const View<float> logits = net.output(at.layer - 1).as<>();
    double squares = 0;
    for (std::int64_t i = 0; i < logits.shape.size(); ++i)
      squares += double{logits.data[i]} * logits.data[i];
    const double rms = std::sqrt(squares / static_cast<double>(logits.shape.size()));
    for (Parameter* p : net.layer(at.layer - 1).parameters()) {
      std::vector<float> values = p->value.to_host(net.stream());
      for (float& v : values) v *= static_cast<float>(1.5 / rms);
      p->value.copy_from(net.stream(), values);
    }
  }
}

cv::Mat nchw(const std::vector<float>& nhwc, const Shape& s) {
  const std::vector<int> sizes{1, static_cast<int>(s.c), static_cast<int>(s.h),
                               static_cast<int>(s.w)};
  cv::Mat blob(sizes, CV_32F);
  auto* const to = blob.ptr<float>();
  for (std::int64_t pixel = 0; pixel < s.h * s.w; ++pixel)
    for (std::int64_t c = 0; c < s.c; ++c)
      to[c * s.h * s.w + pixel] = nhwc[to_size(pixel * s.c + c)];
  return blob;
}

std::vector<float> values_of(const cv::Mat& m) {
  return {m.ptr<float>(), m.ptr<float>() + m.total()};
}

// A kept output of ours in OpenCV's order.
std::vector<float> values_of(const TensorView& v) {
  const View<float> from = v.as<>();
  return values_of(nchw({from.data, from.data + from.shape.size()}, from.shape));
}

// Both sides of a comparison: a network and OpenCV's, of the same cfg and weights.
class Pair {
 public:
  // `weights`: a file; empty: random.
  Pair(const std::string& cfg, std::vector<std::string> overrides, const fs::path& weights)
      : cfg_(cfg), overrides_(std::move(overrides)) {
    Network net(sections(), {.seed = 5, .keep_outputs = true});
    input_ = image_of(net.input_shape());
    if (weights.empty()) {
      randomise(net);
      if (!net.heads().empty()) settle_statistics(net, sections());
      calibrate_heads(net, input_);
    } else {
      load_weights(weights, net);
    }
    save_weights(folder_ / "ours.weights", net, 0);
    raise_variances(net, 1e-5f - 1e-6f);
    save_weights(folder_ / "opencv.weights", net, 0);
    std::ofstream(folder_ / "opencv.cfg") << opencv_cfg(cfg_, net);
    opencv_ = cv::dnn::readNetFromDarknet((folder_ / "opencv.cfg").string(),
                                          (folder_ / "opencv.weights").string());
    opencv_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    if (const int id = opencv_.getLayerId("detection_out"); id >= 0)
      opencv_.getLayer(id).dynamicCast<cv::dnn::RegionLayer>()->nmsThreshold = 0;
    opencv_.setInput(nchw(input_, net.input_shape()));
  }

  std::unique_ptr<Network> ours(const NetworkOptions& options) {
    auto owner = std::make_unique<Network>(sections(), options);
    Network& net = *owner;
    load_weights(folder_ / "ours.weights", net);
    net.parameters_changed();
    std::copy(input_.begin(), input_.end(), net.input().as<>().data);
    net.forward({.stream = net.stream()});
    return owner;
  }

  std::vector<cv::Mat> opencv(const std::vector<std::string>& names) {
    std::vector<cv::Mat> outputs;
    opencv_.forward(outputs, std::vector<cv::String>(names.begin(), names.end()));
    return outputs;
  }
  cv::Mat opencv() { return opencv_.forward(); }

 private:
  std::vector<Section> sections() const {
    std::istringstream in(cfg_);
    std::vector<Section> s = parse_cfg(in, "test.cfg");
    apply_overrides(s, overrides_);
    return s;
  }

  TemporaryFolder folder_;
  std::string cfg_;
  std::vector<std::string> overrides_;
  cv::dnn::Net opencv_;
  std::vector<float> input_;
};

// Every anchor of a network with its probability for every class, in the order of OpenCV's rows.
struct Anchors {
  std::vector<float> x, y, w, h, objectness, probability;
  void add(const Box& b, float o) {
    x.push_back(b.x), y.push_back(b.y), w.push_back(b.w), h.push_back(b.h);
    objectness.push_back(o);
  }
  void compare(Worst& worst, const Anchors& reference) const {
    worst.compare("x", x, reference.x);
    worst.compare("y", y, reference.y);
    worst.compare("w", w, reference.w);
    worst.compare("h", h, reference.h);
    worst.compare("objectness", objectness, reference.objectness);
    worst.compare("probability", probability, reference.probability);
  }
};

Anchors anchors_of(const Network& net) {
  Anchors all;
  for (const InputDetection& d : detections(net, 0, -1)) {
    if (d.class_id == 0) all.add(d.box, d.objectness);
    all.probability.push_back(d.probability);
  }
  return all;
}

std::vector<InputDetection> detections_of(const std::vector<cv::Mat>& heads, float threshold) {
  std::vector<InputDetection> all;
  for (const cv::Mat& m : heads)
    for (int i = 0; i < m.rows; ++i) {
      const float* const row = m.ptr<float>(i);
      for (int k = 0; k < m.cols - 5; ++k)
        if (row[5 + k] > threshold)
          all.push_back({{row[0], row[1], row[2], row[3]}, k, row[4], row[5 + k]});
    }
  return all;
}

Anchors anchors_of(const std::vector<cv::Mat>& heads) {
  Anchors all;
  for (const cv::Mat& m : heads)
    for (int i = 0; i < m.rows; ++i) {
      const float* const row = m.ptr<float>(i);
      all.add({row[0], row[1], row[2], row[3]}, row[4]);
      all.probability.insert(all.probability.end(), row + 5, row + m.cols);
    }
  return all;
}

// In the widest gap between the 1000th and the 2000th best probability (or the best quarter and
// half), so that rounding does not decide what is above it.
float threshold_in_a_gap(std::vector<float> p) {
  std::sort(p.begin(), p.end(), std::greater<>());
  const std::size_t first = std::min<std::size_t>(p.size() / 4, 1000);
  std::size_t best = first;
  for (std::size_t i = first; i < 2 * first; ++i)
    if (p[i] - p[i + 1] > p[best] - p[best + 1]) best = i;
  EXPECT_GT(p[best] - p[best + 1], 5e-5f * p[0]) << "no gap in the probabilities";
  return (p[best] + p[best + 1]) / 2;
}

constexpr float kNmsThreshold = .45f;

std::vector<InputDetection> suppressed_by_opencv(const std::vector<InputDetection>& all) {
  std::map<std::int32_t, std::vector<InputDetection>> by_class;
  for (const InputDetection& d : all) by_class[d.class_id].push_back(d);
  std::vector<InputDetection> kept;
  for (const auto& [id, list] : by_class) {
    std::vector<cv::Rect2d> boxes;
    std::vector<float> scores;
    for (const InputDetection& d : list) {
      boxes.emplace_back(d.box.left(), d.box.top(), d.box.w, d.box.h);
      scores.push_back(d.probability);
    }
    std::vector<int> indices;
    cv::dnn::NMSBoxes(boxes, scores, 0, kNmsThreshold, indices);
    for (const int i : indices) kept.push_back(list[to_size(i)]);
  }
  return kept;
}

bool close(float a, float b) {
  return std::fabs(a - b) <= kTolerance * std::max(1.f, std::fabs(b));
}

bool equal(const InputDetection& a, const InputDetection& b) {
  return a.class_id == b.class_id && close(a.box.x, b.box.x) && close(a.box.y, b.box.y) &&
         close(a.box.w, b.box.w) && close(a.box.h, b.box.h) && close(a.objectness, b.objectness) &&
         std::fabs(a.probability - b.probability) <= kTolerance * b.probability;
}

void compare_detections(const Network& net, const std::vector<cv::Mat>& heads) {
  const float threshold = threshold_in_a_gap(anchors_of(heads).probability);
  const std::vector<InputDetection> found = detections_of(heads, threshold);
  const std::vector<InputDetection> expected = suppressed_by_opencv(found);
  std::vector<InputDetection> ours = detections(net, 0, threshold);
  EXPECT_EQ(ours.size(), found.size());
  nms(ours, NmsKind::by_class, kNmsThreshold, 0);
  EXPECT_EQ(ours.size(), expected.size());
  EXPECT_LT(expected.size(), found.size()) << "nothing overlapped: the test shows nothing";
  for (const InputDetection& e : expected)
    EXPECT_TRUE(std::any_of(ours.begin(), ours.end(), [&](const auto& d) { return equal(d, e); }))
        << "class " << e.class_id << " at " << e.box.x << ", " << e.box.y << ", p "
        << e.probability;
}

// The convolutions below the heads, then what the heads decode, then the detections.
void compare_detector(const std::string& name, Pair& pair) {
  Worst worst(name);
  const auto owner = pair.ours({.keep_outputs = true});
  Network& net = *owner;
  std::vector<std::string> convolutions, heads;
  for (const HeadAt& at : net.heads()) {
    convolutions.push_back(cat("conv_", at.layer - 1));
    heads.push_back(net.layer(at.layer).type() == "region" ? "detection_out"
                                                           : cat("yolo_", at.layer));
  }
  std::vector<std::string> names = convolutions;
  names.insert(names.end(), heads.begin(), heads.end());
  std::vector<cv::Mat> reference = pair.opencv(names);
  for (std::size_t i = 0; i < heads.size(); ++i)
    worst.compare("convolution", values_of(net.output(net.heads()[i].layer - 1)),
                  values_of(reference[i]));
  reference.erase(reference.begin(), reference.begin() + std::ssize(heads));
  const Anchors expected = anchors_of(reference);
  anchors_of(net).compare(worst, expected);
  compare_detections(net, reference);
  for (const bool exact : {false, true})  // buffers shared by liveness; direct convolutions
    anchors_of(*pair.ours({.exact = exact})).compare(worst, expected);
}

std::string text_of(const fs::path& path) { return read_file(path, 1 << 20); }

class StockNetwork : public testing::TestWithParam<const char*> {};

TEST_P(StockNetwork, EqualsOpencvWithRandomWeights) {
  const fs::path cfg = test::source_dir() / "cfg" / cat(GetParam(), ".cfg");
  // Not square: a width taken for a height shows.
  Pair pair(text_of(cfg), {"net.0.width=416", "net.0.height=320"}, {});
  compare_detector(GetParam(), pair);
}

std::string underscored(std::string name) {
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cfgs, StockNetwork,
                         testing::Values("yolov2-tiny-voc", "yolov3-tiny", "yolov4-tiny"),
                         [](const auto& info) { return underscored(info.param); });

TEST(SyntheticNetwork, EqualsOpencv) {
  const fs::path folder = test::test_data() / "synthetic";
  Pair pair(text_of(folder / "synthetic.cfg"), {}, folder / "synthetic.weights");
  compare_detector("synthetic", pair);
}

class PublishedNetwork : public testing::TestWithParam<const char*> {};

TEST_P(PublishedNetwork, EqualsOpencv) {
  const std::string name = GetParam();
  const fs::path folder = test::extra_data("models/" + name);
  if (!fs::exists(folder)) GTEST_SKIP() << test::why_no_extra_data(folder);
  Pair pair(text_of(folder / (name + ".cfg")), {}, folder / (name + ".weights"));
  compare_detector(name, pair);
}

INSTANTIATE_TEST_SUITE_P(Models, PublishedNetwork,
                         testing::Values("yolo-fastest-1.1", "yoloface-50k"),
                         [](const auto& info) { return underscored(info.param); });

struct Small {
  std::string name, layers;
  friend std::ostream& operator<<(std::ostream& to, const Small& s) { return to << s.name; }
};

std::string conv(int filters, int size, const std::string& more = "activation=leaky") {
  return cat("[convolutional]\nbatch_normalize=1\nfilters=", filters, "\nsize=", size, "\npad=1\n",
             more, '\n');
}

// A last convolution leaves no zeros.
std::string last() { return "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"; }

std::vector<Small> small_networks() {
  const std::string start = conv(8, 3);
  std::vector<Small> all;
  for (const char* a : {"linear", "leaky", "relu", "logistic", "tanh", "mish", "swish"})
    all.push_back({a, start + conv(8, 3, cat("activation=", a)) + last()});
  const auto add = [&](const char* name, const std::string& layers) {
    all.push_back({name, start + layers});
  };
  add("plain",
      "[convolutional]\nfilters=9\nsize=3\nstride=2\npadding=1\nactivation=leaky\n" + last());
  add("size5_stride2", conv(9, 5, "stride=2\nactivation=leaky") + last());
  add("groups", conv(12, 3, "groups=4\nactivation=leaky") + last());
  add("depthwise", conv(8, 3, "groups=8\nactivation=leaky") + last());
  add("maxpool_2_2", "[maxpool]\nsize=2\nstride=2\n" + last());
  add("maxpool_2_1", "[maxpool]\nsize=2\nstride=1\n" + last());
  add("maxpool_3_2", "[maxpool]\nsize=3\nstride=2\n" + last());
  add("maxpool_5_1", "[maxpool]\nsize=5\nstride=1\n" + last());
  add("maxpool_padding", "[maxpool]\nsize=3\nstride=2\npadding=1\n" + last());
  add("avgpool", conv(6, 3) + "[avgpool]\n");
  add("shortcut", conv(8, 3) + "[shortcut]\nfrom=-2\nactivation=linear\n" + last());
  add("shortcut_leaky", conv(8, 3) + "[shortcut]\nfrom=0\nactivation=leaky\n" + last());
  add("shortcut_wider", conv(8, 3) + conv(12, 3) + "[shortcut]\nfrom=-2\n" + last());
  add("route", conv(5, 3) + conv(3, 1) + "[route]\nlayers=-1,0,-2\n" + last());
  add("route_one", conv(5, 3) + "[route]\nlayers=-2\n" + last());
  add("route_groups", "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" + last());
  add("route_first_group", "[route]\nlayers=-1\ngroups=4\ngroup_id=0\n" + last());
  add("upsample", conv(5, 3, "stride=2\nactivation=leaky") + "[upsample]\nstride=2\n" +
                      "[route]\nlayers=-1,0\n" + last());
  add("upsample_3", "[upsample]\nstride=3\n" + conv(4, 3));
  add("reorg", "[reorg]\nstride=2\n" + last());
  add("dropout", "[dropout]\nprobability=.5\n" + last());
  add("scale_channels", conv(6, 3) + "[avgpool]\n" +
                            "[convolutional]\nfilters=6\nsize=1\nactivation=logistic\n" +
                            "[scale_channels]\nfrom=-3\n" + last());
  add("sam", conv(8, 1, "activation=logistic") + "[sam]\nfrom=-2\n" + last());
  add("connected",
      "[connected]\noutput=11\nactivation=leaky\n"
      "[connected]\noutput=5\nactivation=linear\n");
  add("softmax", "[connected]\noutput=9\nactivation=linear\n[softmax]\n");
  add("softmax_pixels", conv(5, 1) + "[avgpool]\n[softmax]\n");
  add("cost", conv(5, 3) + "[cost]\ntype=sse\n");
  return all;
}

class SmallNetwork : public testing::TestWithParam<Small> {};

TEST_P(SmallNetwork, EqualsOpencv) {
  const std::string cfg = "[net]\nbatch=1\nwidth=26\nheight=18\nchannels=3\n" + GetParam().layers;
  Pair pair(cfg, {}, {});
  Worst worst(GetParam().name);
  const std::vector<float> expected = values_of(pair.opencv());
  for (const bool exact : {false, true}) {
    const auto net = pair.ours({.exact = exact});
    worst.compare("output", values_of(net->output(net->size() - 1)), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, SmallNetwork, testing::ValuesIn(small_networks()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace darknet
#endif
