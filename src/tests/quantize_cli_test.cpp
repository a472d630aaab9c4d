// darknet quantize and -precision int8, on scenes and the network that comes with its weights.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/json.h"
#include "tests/cli_harness.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;
using testing_files::holds;

class QuantizeCommand : public testing::Test {
 protected:
  QuantizeCommand() {
    fs::copy_file(source_dir() / "cfg/scenes.cfg", work_.path("scenes.cfg"));
    fs::copy_file(source_dir() / "data/scenes.weights", work_.path("scenes.weights"));
    const CommandResult drawn =
        work_.darknet({"synth", "set", "-n", "64", "-test", "40", "-seed", "5"});
    EXPECT_EQ(drawn.exit_code, 0) << drawn.all();
  }
  CommandResult run(std::vector<std::string> command, std::vector<std::string> more = {}) const {
    command.insert(command.end(), more.begin(), more.end());
    return work_.darknet(command);
  }
  CommandResult quantize(std::vector<std::string> more = {}) const {
    return run({"quantize", "scenes.cfg", "scenes.weights", "set/scenes.data", "-sample", "4"},
               std::move(more));
  }
  CommandResult map(std::vector<std::string> more) const {
    return run({"detector", "map", "set/scenes.data", "scenes.cfg", "scenes.weights", "-nogpu"},
               std::move(more));
  }
  double map_of(const std::string& file) const {
    return parse_json(work_.get(file)).at("map").get<double>();
  }
  // Of the report's entries: how many hold the key.
  std::int64_t entries_with(const char* key) const {
    const json all = parse_json(work_.get("scenes.int8")).at("layers");
    return std::ranges::count_if(all, [&](const json& l) { return l.contains(key); });
  }
  Workspace work_;
};

TEST_F(QuantizeCommand, Int8DetectsAlmostAsWell) {
  const CommandResult made = quantize();
  ASSERT_EQ(made.exit_code, 0) << made.all();
  EXPECT_TRUE(holds(made.out, "f32 (before a head)")) << made.out;
  EXPECT_TRUE(holds(made.out, "-> scenes.int8")) << made.out;
  EXPECT_GE(entries_with("scale"), 4);
  const CommandResult f32 = map({"-out", "f32.json"});
  const CommandResult int8 = map({"-precision", "int8", "-out", "int8.json"});
  ASSERT_EQ(f32.exit_code, 0) << f32.all();
  ASSERT_EQ(int8.exit_code, 0) << int8.all();
  EXPECT_TRUE(holds(int8.out, "in int8 by scenes.int8")) << int8.all();
  EXPECT_GT(map_of("f32.json"), .8);
  EXPECT_NE(map_of("int8.json"), map_of("f32.json"));  // it did compute otherwise
  EXPECT_NEAR(map_of("int8.json"), map_of("f32.json"), .01);
}

TEST_F(QuantizeCommand, LayersStayInF32) {
  const CommandResult kept = quantize({"-images", "8", "-method", "max", "-keep", "0,1"});
  ASSERT_EQ(kept.exit_code, 0) << kept.all();
  EXPECT_TRUE(holds(kept.out, "f32 (asked for)")) << kept.out;
  const std::int64_t in_int8 = entries_with("scale");
  const CommandResult strict = quantize({"-images", "8", "-max_error", ".02"});
  ASSERT_EQ(strict.exit_code, 0) << strict.all();
  EXPECT_TRUE(holds(strict.out, "f32 (error)")) << strict.out;
  EXPECT_GT(in_int8, 0);
  EXPECT_GT(entries_with("scale"), 0);
  EXPECT_LE(parse_json(work_.get("scenes.int8")).at("error").get<double>(), .02);
  const CommandResult none = quantize({"-images", "8", "-max_error", "0"});
  EXPECT_EQ(none.exit_code, 1) << none.all();
  EXPECT_TRUE(holds(none.err, "no convolution is left")) << none.all();
  const CommandResult wrong = quantize({"-keep", "2,99"});
  EXPECT_EQ(wrong.exit_code, 1) << wrong.all();
  EXPECT_TRUE(holds(wrong.err, "-keep 99: ")) << wrong.all();
  EXPECT_EQ(quantize({"-keep", "2,x"}).exit_code, 2);
}

TEST_F(QuantizeCommand, RefusalsNameTheRemedy) {
  const CommandResult missing = map({"-precision", "int8"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_TRUE(holds(missing.err, "scenes.int8: there is no such file; darknet quantize writes one"))
      << missing.all();
  ASSERT_EQ(quantize({"-images", "4"}).exit_code, 0);
  fs::copy_file(work_.path("scenes.int8"), work_.path("others.int8"));
  const std::string sound = work_.get("scenes.int8");
  const auto damaged = [&](const char* key, const auto& value) {
    auto file = parse_json(sound);
    for (auto& layer : file.at("layers"))
      if (layer.contains(key)) layer[key] = value;
    work_.put("scenes.int8", dump_json(file, 1));
    const CommandResult ran = map({"-precision", "int8"});
    EXPECT_EQ(ran.exit_code, 1) << ran.all();
    EXPECT_TRUE(holds(ran.err, "scenes.int8: ")) << ran.all();
    EXPECT_TRUE(holds(ran.err, "darknet quantize")) << ran.all();
    return ran.err;
  };
  EXPECT_TRUE(holds(damaged("ranges", std::vector<float>{1}), "1 ranges for "));
  EXPECT_TRUE(holds(damaged("scale", 1e7), "not above 0 and below"));
  work_.put("scenes.int8", sound);
  std::string other = work_.get("scenes.weights");
  other.back() ^= 1;
  work_.put("others.weights", other);
  const CommandResult differs =
      run({"detect", "scenes.cfg", "others.weights", "set/images/scene-000000.jpg", "-precision",
           "int8", "-dont_show", "-nogpu"});
  EXPECT_EQ(differs.exit_code, 1) << differs.all();
  EXPECT_TRUE(holds(differs.err, "of other weights")) << differs.all();
  const CommandResult training =
      run({"detector", "train", "set/scenes.data", "scenes.cfg", "-precision", "int8"});
  EXPECT_EQ(training.exit_code, 2) << training.all();
  EXPECT_TRUE(holds(training.err, "-precision int8 is for inference")) << training.all();
}

TEST_F(QuantizeCommand, BenchNeedsNoFile) {
  const CommandResult ran =
      run({"bench", "scenes.cfg", "-precision", "int8", "-iterations", "1", "-nogpu"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(holds(ran.out, "int8")) << ran.out;
  for (const char* other : {"-train", "-reference"})
    EXPECT_EQ(run({"bench", "scenes.cfg", "-precision", "int8", other, "-nogpu"}).exit_code, 2);
}

}  // namespace
}  // namespace darknet::test
