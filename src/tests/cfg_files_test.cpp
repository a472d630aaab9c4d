// The cfgs in cfg/: each builds at its own and at another size, the stock ones have the published
// size and cost, the other Darknet forks know all their keys, and a -focal file differs from its
// base only in the objectness keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <regex>
#include <utility>

#include "cfg/parse.h"
#include "core/error.h"
#include "nn/network.h"
#include "paths.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

const fs::path kCfgFolder = test::source_dir() / "cfg";
const fs::path kData = test::source_dir() / "data";

std::vector<std::string> cfg_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kCfgFolder))
    if (entry.path().extension() == ".cfg") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_focal(const std::string& name) { return name.ends_with("-focal"); }

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// AlexeyAB's weight of the objectness, a number; other obj_* keys are this program's own.
bool is_number_of_alexeyab(const std::string& line) {
  return line.starts_with("obj_normalizer=") && line.find("auto") == line.npos;
}

// Without comments, blank lines and obj_* keys.
std::vector<std::string> common_lines(const fs::path& path) {
  std::vector<std::string> lines = lines_of(path);
  std::erase_if(lines, [](const std::string& line) {
    return line.empty() || line[0] == '#' || line.starts_with("obj_");
  });
  return lines;
}

// AlexeyAB's count: also the comparisons of pools, without which yolov3-tiny has 5.565, and the
// sums of shortcuts.
double bflops(const Network& net) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const LayerSummary s = net.layer(i).summary();
    const std::int64_t outputs = net.output_shape(i).size();
    sum += 2 * s.multiply_adds;
    if (net.layer(i).type() == "shortcut") sum += outputs;
    if (net.layer(i).type() == "maxpool") {
      const std::int64_t side = std::stoll(s.size);
      sum += side * side * outputs;
    }
  }
  return static_cast<double>(sum) / 1e9;
}

std::int64_t parameter_count(const Network& net) {
  std::int64_t count = 0;
  for (const Parameter* p : net.parameters()) count += p->value.size();
  return count;
}

class CfgFile : public testing::TestWithParam<std::string> {
 protected:
  fs::path path() const { return kCfgFolder / (GetParam() + ".cfg"); }
};

TEST_P(CfgFile, RunsAtASmallSize) {
  std::vector<Section> cfg = read_cfg(path());
  apply_overrides(cfg, std::vector<std::string>{"net.0.width=96", "net.0.height=64"});
  Network net(std::move(cfg), {.seed = 1});
  EXPECT_EQ(net.input_shape(), (Shape{1, 64, 96, 3}));
  net.initialise();
  net.parameters_changed();
  const View<float> in = net.input().as<>();
  for (std::int64_t i = 0; i < in.shape.size(); ++i) in.data[i] = static_cast<float>(i % 7) / 7;
  net.forward({.stream = net.stream()});
  if (net.heads().empty()) {
    ASSERT_EQ(net.layer(net.size() - 1).type(), "softmax");
    const View<float> out = net.output(net.size() - 1).as<>();
    EXPECT_EQ(out.shape.c, 1000);
    EXPECT_NEAR(std::accumulate(out.data, out.data + out.shape.size(), 0.), 1, 1e-5);
  }
  for (const HeadAt& at : net.heads()) {
    const View<float> out = net.output(at.layer).as<>();
    EXPECT_TRUE(std::all_of(out.data, out.data + out.shape.size(),
                            [](float v) { return std::isfinite(v); }));
    EXPECT_EQ(at.head->candidates(net.input_shape()),
              out.shape.h * out.shape.w * at.head->settings().anchors);
  }
}

TEST_P(CfgFile, TrainsAsItStands) {
  std::vector<Section> cfg = read_cfg(path());
  apply_overrides(cfg, std::vector<std::string>{"net.0.width=64", "net.0.height=64"});
  const Network net(std::move(cfg), {.mode = Mode::training});
  const NetSettings& s = net.settings();
  EXPECT_GE(s.batch, 16);
  EXPECT_GE(net.input_shape().n, 8) << "batch normalisation needs more images at once";
  EXPECT_GT(s.max_batches, 0);
  EXPECT_TRUE(std::is_sorted(s.steps.begin(), s.steps.end()));
  EXPECT_EQ(s.steps.empty(), net.heads().empty()) << "the classifiers follow policy=poly";
  if (!s.steps.empty()) {
    EXPECT_LT(s.steps.back(), s.max_batches);
  }
}

TEST_P(CfgFile, FocalEqualsItsBaseButForObjectnessKeys) {
  const std::string name = GetParam();
  if (name == "scenes") return;  // its weights are this program's own
  if (!is_focal(name)) {
    for (const std::string& line : lines_of(path()))
      EXPECT_FALSE(line.starts_with("obj_") && !is_number_of_alexeyab(line))
          << "no other Darknet knows " << line;
    return;
  }
  const fs::path base = kCfgFolder / (name.substr(0, name.size() - 6) + ".cfg");
  ASSERT_TRUE(fs::exists(base)) << base;
  EXPECT_EQ(common_lines(path()), common_lines(base));
  std::size_t heads = 0, focal = 0;
  for (const std::string& line : lines_of(path())) {
    heads += line == "[yolo]" || line == "[region]";
    focal += line.starts_with("obj_loss=focal");
    if (line.starts_with("obj_")) {
      EXPECT_NE(line.find(" # "), std::string::npos) << line;
    }
  }
  EXPECT_GT(heads, 0u);
  EXPECT_EQ(focal, heads);
  const Network trained(read_cfg(path()), {.mode = Mode::training, .width = 64, .height = 64});
  for (const HeadAt& at : trained.heads()) {
    EXPECT_EQ(at.head->settings().objectness_loss, "focal");
    EXPECT_TRUE(at.head->start().prior.automatic);
  }
}

INSTANTIATE_TEST_SUITE_P(Cfgs, CfgFile, testing::ValuesIn(cfg_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// What is published of a network at `input` x `input`.
struct Known {
  const char* name;
  std::int64_t input, parameters;
  double bflops, within;  // 0: none published
  double megabytes;       // of the .weights file, in units of 2^20 bytes; 0: none published
  std::int64_t bytes;     // of the same file, where they are known exactly
  const char* source;
};

constexpr const char* kReadme = "AlexeyAB's README";
constexpr const char* kImagenet = "pjreddie.com/darknet/imagenet";

// yolov2-voc: pjreddie.com/darknet/yolov2 has 34.90 of the first release, which has no convolution
// before its [reorg]. yolov7: the paper counts what its deployed form does not compute.
constexpr Known kKnown[] = {
    {"yolov2-tiny-voc", 416, 15867885, 6.977, .0005, 0, 63471556, "AlexeyAB's program"},
    {"yolov2-voc", 416, 50676061, 0, 0, 194, 0, kReadme},
    {"yolov3-tiny", 416, 8858734, 5.571, .0005, 33.7, 35434956, "AlexeyAB's program"},
    {"yolov3", 416, 62001757, 65.9, .05, 236, 248007048, kReadme},
    {"yolov3", 608, 62001757, 140.69, .05, 0, 0, "pjreddie.com/darknet/yolo"},
    {"yolov3-spp", 608, 63052381, 141.5, .05, 240, 0, kReadme},
    {"yolov4-tiny", 416, 6062814, 6.910, .0005, 23.1, 24251276, "AlexeyAB's program"},
    {"yolov4-tiny-3l", 608, 6334045, 0, 0, 0, 0, "none"},
    {"yolov4", 608, 64429405, 128.5, .05, 245, 257717640, kReadme},
    {"yolov4", 512, 64429405, 91.1, .05, 0, 0, kReadme},
    {"yolov4", 416, 64429405, 60.1, .05, 0, 0, kReadme},
    {"yolov4", 320, 64429405, 35.5, .1, 0, 0, kReadme},
    {"yolov4-csp", 512, 52986205, 77, .5, 202, 0, kReadme},
    {"yolov4-csp", 640, 52986205, 120, .5, 0, 0, kReadme},
    {"yolov7", 640, 36974557, 104.7, .2, 0, 0, "arXiv:2207.02696, table 1"},
    {"yolov7-tiny", 416, 6241885, 5.8, .05, 0, 0, "arXiv:2207.02696, table 1"},
    {"gaussian_yolov3", 512, 61646347, 0, 0, 0, 0, "none"},
    {"darknet19", 256, 20856776, 7.29, .01, 80, 0, kImagenet},
    {"darknet19", 224, 20856776, 5.58, .01, 0, 0, "arXiv:1612.08242"},
    {"darknet53", 256, 41645640, 18.57, .02, 159, 0, kImagenet},
    {"csdarknet53", 512, 27677512, 52, .5, 0, 0, "arXiv:2004.10934, table 1"}};

TEST(StockCfgs, HaveThePublishedCostAndSize) {
  for (const Known& k : kKnown) {
    SCOPED_TRACE(cat(k.name, " at ", k.input, ", ", k.source));
    const Network net(read_cfg(kCfgFolder / (std::string(k.name) + ".cfg")),
                      {.width = k.input, .height = k.input});
    EXPECT_EQ(parameter_count(net), k.parameters);
    if (k.bflops > 0) {
      EXPECT_NEAR(bflops(net), k.bflops, k.within);
    }
    const std::int64_t bytes = parameter_count(net) * 4;
    if (k.megabytes > 0) {
      EXPECT_NEAR(static_cast<double>(bytes) / (1 << 20), k.megabytes, 1);
    }
    // The header: older files count images in 32 bits.
    if (k.bytes > 0) {
      EXPECT_TRUE(k.bytes - bytes == 16 || k.bytes - bytes == 20) << bytes;
    }
  }
}

// What the first lines of a cfg say of its network is what the network has.
TEST(StockCfgs, SayWhatTheirNetworkHas) {
  const std::regex said(R"(# (?:.*\. )?(\d+)x(\d+), (\d[\d,]*) parameters, (\d+\.\d\d) BFLOPs.*)");
  for (const std::string& name : cfg_names()) {
    const std::string base = is_focal(name) ? name.substr(0, name.size() - 6) : name;
    if (std::ranges::none_of(kKnown, [&](const Known& k) { return base == k.name; })) continue;
    SCOPED_TRACE(name);
    const fs::path path = kCfgFolder / (name + ".cfg");
    std::smatch found;
    const auto lines = lines_of(path);
    const auto line = std::ranges::find_if(
        lines, [&](const std::string& l) { return std::regex_match(l, found, said); });
    ASSERT_NE(line, lines.end());
    const Network net(read_cfg(path), {});
    EXPECT_EQ(cat(net.input_shape().w, "x", net.input_shape().h), cat(found[1], "x", found[2]));
    std::string count = found[3];
    std::erase(count, ',');
    EXPECT_EQ(count, cat(parameter_count(net)));
    EXPECT_NEAR(bflops(net), std::stod(found[4]), .2);  // pools and shortcuts count in some
  }
}

TEST(StockCfgs, HaveTheClassesOfTheirData) {
  for (const auto& [name, names] : {std::pair{"yolov2-tiny-voc", "voc"},
                                    {"yolov2-voc", "voc"},
                                    {"yolov3-tiny", "coco"},
                                    {"yolov3", "coco"},
                                    {"yolov3-spp", "coco"},
                                    {"yolov4-tiny", "coco"},
                                    {"yolov4-tiny-3l", "coco"},
                                    {"yolov4", "coco"},
                                    {"yolov4-csp", "coco"},
                                    {"yolov7", "coco"},
                                    {"yolov7-tiny", "coco"}}) {
    const Network net(read_cfg(kCfgFolder / (std::string(name) + ".cfg")),
                      {.width = 64, .height = 64});
    for (const HeadAt& at : net.heads())
      EXPECT_EQ(at.head->settings().classes,
                std::ssize(lines_of(kData / (std::string(names) + ".names"))))
          << name;
  }
}

TEST(DataFiles, NameWhatATrainingNeeds) {
  for (const char* name : {"voc", "coco", "bccd", "scenes"}) {
    const auto lines = lines_of(kData / (std::string(name) + ".data"));
    for (const char* key : {"classes = ", "train = ", "valid = ", "names = ", "backup = "})
      EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                              [&](const std::string& line) { return line.starts_with(key); }),
                1)
          << name << ".data: " << key;
  }
}

TEST(NamesFiles, HoldTheStandardClassesInOrder) {
  const auto voc = lines_of(kData / "voc.names"), coco = lines_of(kData / "coco.names");
  ASSERT_EQ(voc.size(), 20u);
  EXPECT_TRUE(std::is_sorted(voc.begin(), voc.end()));
  EXPECT_EQ(voc[14], "person");
  ASSERT_EQ(coco.size(), 80u);
  EXPECT_EQ(coco[0], "person");
  EXPECT_EQ(coco[16], "dog");
  EXPECT_EQ(coco[39], "bottle");
  EXPECT_EQ(coco[79], "toothbrush");
}

}  // namespace
}  // namespace darknet
