// What a cfg for a new data set should hold, worked out by hand; the text of a cfg that is edited;
// the length of a run and what scales with it.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "cfg/cfg_text.h"
#include "cfg/parse.h"
#include "cfg/shipped.h"
#include "core/error.h"
#include "core/file.h"
#include "paths.h"
#include "train/length.h"
#include "train/plan.h"

namespace darknet::test {
namespace {

TEST(Plan, PercentilesAreByNearestRank) {
  std::vector<double> twenty;
  for (int i = 20; i > 0; --i) twenty.push_back(i);
  EXPECT_EQ(percentile(twenty, .05), 1);
  EXPECT_EQ(percentile(twenty, .06), 2);
  EXPECT_EQ(percentile(twenty, .5), 10);
  EXPECT_EQ(percentile(twenty, 1), 20);
  EXPECT_EQ(percentile({}, .5), 0);
}

// The usual area in the images' shape: sqrt(76800 * 4 / 3) = 320, sqrt(76800 * 3 / 4) = 240.
TEST(Plan, InputTakesTheShapeOfTheImages) {
  const InputPlan p = plan_input({.smallest = .1, .aspect = 4. / 3, .usual_pixels = 76'800});
  EXPECT_EQ(p.width, 320);
  EXPECT_EQ(p.height, 256);  // 240 is no multiple of 32
  EXPECT_NEAR(p.smallest, 28.62, .01);
  EXPECT_FALSE(p.raised || p.limited);
}

// A hundredth of the image needs 800 x 800 pixels to be 8 pixels large.
TEST(Plan, InputGrowsUntilSmallObjectsHaveEightPixels) {
  const InputPlan square = plan_input({.smallest = .01, .aspect = 1});
  EXPECT_EQ(square.width, 800);
  EXPECT_EQ(square.height, 800);
  EXPECT_TRUE(square.raised && !square.limited);
  const InputPlan wide = plan_input({.smallest = .01, .aspect = 2});
  EXPECT_EQ(wide.width, 1152);  // 1131.4 and 565.7, rounded up
  EXPECT_EQ(wide.height, 576);
  EXPECT_GE(wide.smallest, kMinObjectPixels);
}

TEST(Plan, InputStaysBelowItsLimit) {
  const InputPlan square = plan_input({.smallest = .004, .aspect = 1});
  EXPECT_EQ(square.width, 1024);
  EXPECT_EQ(square.height, 1024);
  EXPECT_NEAR(square.smallest, 4.096, 1e-6);
  EXPECT_TRUE(square.raised && square.limited);
  const InputPlan wide = plan_input({.smallest = .004, .aspect = 2});
  EXPECT_EQ(wide.width, 1440);  // 1448.2 and 724.1, rounded down
  EXPECT_EQ(wide.height, 704);
  const InputPlan poor = plan_input({.smallest = .1, .aspect = 1, .max_pixels = 10'000});
  EXPECT_EQ(poor.width, 96);
  EXPECT_FALSE(poor.raised);
}

using Split = std::vector<std::vector<std::int64_t>>;
Split split(const std::vector<AnchorShape>& anchors, const std::vector<std::int64_t>& strides) {
  return split_anchors(anchors, strides);
}

// The stock anchors of the published networks fall to the heads that their authors gave them.
TEST(Plan, AnchorsGoToTheHeadOfTheirStride) {
  EXPECT_EQ(split({{10, 14}, {23, 27}, {37, 58}, {81, 82}, {135, 169}, {344, 319}}, {16, 32}),
            (Split{{0, 1, 2}, {3, 4, 5}}));
  EXPECT_EQ(
      split({{10, 13}, {16, 30}, {33, 23}, {30, 61}, {62, 45}, {116, 90}, {156, 198}}, {8, 16, 32}),
      (Split{{0, 1, 2}, {3, 4}, {5, 6}}));
}

TEST(Plan, EveryHeadGetsAnAnchor) {
  EXPECT_EQ(split({{10, 10}, {12, 12}, {14, 14}}, {8, 16}), (Split{{0, 1}, {2}}));
  EXPECT_EQ(split({{200, 200}, {300, 300}}, {8, 16}), (Split{{0}, {1}}));
  EXPECT_EQ(split({{5, 5}, {300, 300}, {400, 400}}, {8}), (Split{{0, 1, 2}}));
  EXPECT_THROW(split({{5, 5}}, {8, 16}), Error);
}

TEST(Plan, SidesAreFoundAsWords) {
  const auto hold = [](const char* name) {
    const std::vector<std::string> names{"person", name};
    return names_hold_sides(names);
  };
  for (const char* name : {"turn left", "arrow_right", "LeftHand", "RIGHT", "hand-left-2"})
    EXPECT_TRUE(hold(name)) << name;
  for (const char* name : {"leftover", "bright", "upright", "Copyright"})
    EXPECT_FALSE(hold(name)) << name;
}

TEST(Plan, SubdivisionsFitTheMemory) {
  EXPECT_EQ(plan_subdivisions(16, 100, 10, 1000), 1);
  EXPECT_EQ(plan_subdivisions(16, 100, 10, 180), 2);  // 100 + 8 * 10
  EXPECT_EQ(plan_subdivisions(16, 100, 10, 179), 4);
  EXPECT_EQ(plan_subdivisions(12, 0, 10, 45), 3);  // 4 images; 12 has the divisor 3
  EXPECT_EQ(plan_subdivisions(16, 100, 10, 50), 16);
}

TEST(Plan, LengthAndBatch) {
  EXPECT_EQ(usual_iterations(292, 16), 1825);       // 100 epochs of 18.25
  EXPECT_EQ(usual_iterations(100, 16), 1500);       // 240 epochs
  EXPECT_EQ(usual_iterations(50, 16), 938);         // 300 epochs
  EXPECT_EQ(usual_iterations(10000, 16), 20000);    // 32 epochs
  EXPECT_EQ(usual_iterations(160000, 16), 100000);  // 10 epochs
  EXPECT_EQ(plan_batch(64, 64 * 4000), 64);
  EXPECT_EQ(plan_batch(64, 64 * 4000 - 1), 32);
  EXPECT_EQ(plan_batch(64, 1000), 16);
  EXPECT_EQ(plan_batch(8, 1), 8);
  EXPECT_DOUBLE_EQ(rate_for_batch(.00261, 64, 16), .001305);
}

TEST(RunLength, EpochsAndHours) {
  EXPECT_EQ(iterations_of_epochs(2.5, 100, 16), 16);  // 15.625
  EXPECT_EQ(iterations_of_epochs(.001, 100, 16), 1);
  EXPECT_EQ(iterations_of_hours(1, .5), 7200);
  EXPECT_EQ(iterations_of_hours(1e-4, 10), 1);
  const Schedule s = schedule_of(1500);
  EXPECT_EQ(s.burn_in, 100);
  EXPECT_EQ(s.first_step, 1200);
  EXPECT_EQ(s.second_step, 1350);
  EXPECT_EQ(schedule_of(100000).burn_in, 1000);
}

Section net_of(const std::string& keys) {
  std::istringstream in("[net]\n" + keys);
  return parse_cfg(in, "x.cfg").front();
}

TEST(RunLength, TheScheduleScalesAlong) {
  Section net = net_of("max_batches=1000\nburn_in=100\npolicy=steps\nsteps=-1,750,900\nstep=3\n");
  set_run_length(net, 500, {"-epochs", 0});
  EXPECT_EQ(net.integer("max_batches", 0), 500);
  EXPECT_EQ(net.integer("burn_in", 0), 50);
  EXPECT_EQ(net.integer("step", 0), 2);  // 1.5
  EXPECT_EQ(net.integers("steps"), (std::vector<std::int64_t>{-1, 375, 450}));
  EXPECT_FALSE(net.has("sgdr_cycle"));
}

TEST(RunLength, WithoutALengthThereIsNoProportion) {
  Section net = net_of("burn_in=100\n");
  set_run_length(net, 500, {"-epochs", 0});
  EXPECT_EQ(net.integer("max_batches", 0), 500);
  EXPECT_EQ(net.integer("burn_in", 0), 100);
}

TEST(CfgText, KeepsOrderAndChangesKeys) {
  CfgText cfg("# what it is\n[net]\nbatch = 4 # few\n\n[yolo]\nmask=0,1\nanchors= 1,2, 3,4\n");
  ASSERT_EQ(cfg.size(), 2u);
  EXPECT_EQ(cfg.type(1), "yolo");
  EXPECT_EQ(cfg.value(0, "batch"), "4");
  EXPECT_EQ(cfg.value(0, "width"), "");
  cfg.set(0, "batch", "8");
  cfg.set(0, "width", "32", "pixels");
  cfg.remove(1, "anchors");
  EXPECT_EQ(cfg.text(), "[net]\nbatch=8  # few\nwidth=32  # pixels\n\n[yolo]\nmask=0,1\n");
}

TEST(CfgText, KnowsTheCommentsThatAReaderOfCfgsKnows) {
  CfgText cfg("; a=1\n[ net ] ; x=2\nbatch=4 ; few # or not\n;width=3\n# b=4\n");
  ASSERT_EQ(cfg.size(), 1u);
  EXPECT_EQ(cfg.type(0), "net");
  EXPECT_EQ(cfg.value(0, "batch"), "4");
  EXPECT_EQ(cfg.text(), "[net]\nbatch=4  # few # or not\n");
}

TEST(ShippedCfgs, AreTheFilesOfTheFolder) {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(source_dir() / "cfg")) {
    if (file.path().extension() != ".cfg") continue;
    ++files;
    EXPECT_TRUE(shipped_cfg(file.path().stem().string()) == read_file(file.path(), 1 << 20))
        << file.path();
  }
  EXPECT_GE(files, 4);
  EXPECT_THROW(shipped_cfg("none"), Error);
}

}  // namespace
}  // namespace darknet::test
