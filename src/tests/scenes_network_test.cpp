// The README's first minute: the network that comes with its weights finds what is in
// data/scene.png.
#include <gtest/gtest.h>

#include <algorithm>

#include "cfg/data_file.h"
#include "core/index.h"
#include "core/json.h"
#include "dataset/scene_shapes.h"
#include "dataset/scenes.h"
#include "detect/overlap.h"
#include "tests/cli_harness.h"
#include "tests/paths.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

// darknet synth folder -n 16 -seed 2026 -objects 5..6: the sixth of these scenes.
std::vector<Truth> ground_truths() {
  SceneSettings s{.min_objects = 5, .max_objects = 6, .min_size = 17, .max_size = 58};
  s.seed = 2026;
  return scene_truths(s, 5);
}

class ScenesNetwork : public testing::Test {
 protected:
  ScenesNetwork() {
    for (const char* name : {"cfg/scenes.cfg", "data/scenes.weights", "data/scenes.names",
                             "data/scenes.data", "data/scene.png"}) {
      fs::create_directories(work_.path(name).parent_path());
      fs::copy_file(source_dir() / name, work_.path(name));
    }
  }
  Workspace work_;
};

TEST_F(ScenesNetwork, IsSmall) {
  EXPECT_LT(fs::file_size(work_.path("data/scenes.weights")), 1500u * 1000);
  EXPECT_LT(fs::file_size(work_.path("data/scene.png")), 320u * 1000);
}

TEST_F(ScenesNetwork, HasTheNamesThatScenesHave) {
  const auto names = read_names(work_.path("data/scenes.names"), 0);
  EXPECT_TRUE(std::equal(names.begin(), names.end(), kSceneClasses.begin()));
  EXPECT_EQ(names.size(), to_size(SceneSettings{}.classes));
}

Box box_of(const nlohmann::json& object) {
  const auto& at = object.at("relative_coordinates");
  return {at.at("center_x"), at.at("center_y"), at.at("width"), at.at("height")};
}

// Every object once, at its place and by its name, and nothing else.
TEST_F(ScenesNetwork, FindsEveryObjectOfTheScene) {
  const CommandResult ran = work_.darknet({"detect", "cfg/scenes.cfg", "data/scenes.weights",
                                           "data/scene.png", "-dont_show", "-out", "found.json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("predictions.jpg"));
  const auto frames = parse_json(work_.get("found.json"));
  ASSERT_EQ(frames.size(), 1u);
  const auto& objects = frames[0].at("objects");
  const std::vector<Truth> truths = ground_truths();
  EXPECT_EQ(truths.size(), 6u);
  for (const Truth& t : truths) {
    const std::string name = kSceneClasses[to_size(t.class_id)];
    EXPECT_NE(ran.out.find(name + ": "), ran.out.npos) << ran.all();
    EXPECT_EQ(std::count_if(objects.begin(), objects.end(),
                            [&](const auto& o) {
                              return o.at("name") == name && iou(box_of(o), t.box) > .5f;
                            }),
              1)
        << name << " at " << t.box.x << ", " << t.box.y << "\n"
        << ran.out;
  }
  EXPECT_EQ(objects.size(), truths.size()) << ran.out;
}

}  // namespace
}  // namespace darknet::test
