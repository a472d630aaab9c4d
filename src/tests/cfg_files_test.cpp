// The cfgs in cfg/: each builds at its own and at another size, the stock ones have the published
// size and cost, the other Darknet forks know all their keys, and a -focal file differs from its
// base only in the objectness keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "cfg/parse.h"
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

// Without comments, blank lines and obj_* keys.
std::vector<std::string> common_lines(const fs::path& path) {
  std::vector<std::string> lines = lines_of(path);
  std::erase_if(lines, [](const std::string& line) {
    return line.empty() || line[0] == '#' || line.starts_with("obj_");
  });
  return lines;
}

// AlexeyAB's count: also the comparisons of 2x2 pools, without which yolov3-tiny has 5.565.
double bflops(const Network& net) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    sum += 2 * net.layer(i).summary().multiply_adds;
    if (net.layer(i).type() == "maxpool") sum += 4 * net.output_shape(i).size();
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
  ASSERT_FALSE(net.heads().empty());
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
  EXPECT_LT(s.steps.back(), s.max_batches);
}

TEST_P(CfgFile, FocalEqualsItsBaseButForObjectnessKeys) {
  const std::string name = GetParam();
  if (name == "scenes") return;  // its weights are this program's own
  if (!is_focal(name)) {
    for (const std::string& line : lines_of(path()))
      EXPECT_FALSE(line.starts_with("obj_")) << "no other Darknet knows " << line;
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

struct Known {
  const char* name;
  double bflops;
  std::int64_t weights_bytes;  // of the published .weights file
  std::int64_t header;         // older files count images in 32 bits
  const char* names;
};

TEST(StockCfgs, HaveThePublishedCostAndSize) {
  for (const Known& k : {Known{"yolov2-tiny-voc", 6.977, 63471556, 16, "voc"},
                         Known{"yolov3-tiny", 5.571, 35434956, 20, "coco"},
                         Known{"yolov4-tiny", 6.910, 24251276, 20, "coco"}}) {
    const Network net(read_cfg(kCfgFolder / (std::string(k.name) + ".cfg")), {});
    EXPECT_EQ(net.input_shape(), (Shape{1, 416, 416, 3})) << k.name;
    EXPECT_NEAR(bflops(net), k.bflops, .0005) << k.name;
    EXPECT_EQ(parameter_count(net) * 4 + k.header, k.weights_bytes) << k.name;
    const auto names = lines_of(kData / (std::string(k.names) + ".names"));
    for (const HeadAt& at : net.heads())
      EXPECT_EQ(at.head->settings().classes, std::ssize(names)) << k.name;
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
