// Where the disk is full a command ends with a sentence, and files of an earlier run stay whole. A
// limit on the size of files stands for the disk.
#include <sstream>

#include "cli_harness.h"
#include "core/json.h"
#include "image/canvas.h"
#include "image/video.h"

namespace darknet::test {
namespace {
using nlohmann::json;

struct Output {
  const char* name;
  std::vector<std::string> arguments;
  std::uint64_t room;  // bytes, too few for `file`
  const char* file;    // that cannot be written
};

class FullDiskOutputs : public CliTest, public testing::WithParamInterface<Output> {
 protected:
  FullDiskOutputs() { put_tiny_weights(work_, "x.weights"); }
  // What commands wrote, without the streams.
  std::map<std::string, std::string> outputs() const {
    auto files = work_.tree(".");
    for (const char* stream : {".in", ".out", ".err"}) files.erase(stream);
    return files;
  }
};

TEST_P(FullDiskOutputs, LeaveTheEarlierFileWhole) {
  if (!has_canvas()) GTEST_SKIP() << "its warning fills the file before the message";
  auto [name, arguments, room, file] = GetParam();
  const bool computes = std::count(arguments.begin(), arguments.end(), "x.weights") > 0;
  if (computes) arguments.push_back("-nogpu");  // a build with CUDA else says that there is no GPU
  EXPECT_EQ(train({"-map", "-backup", "b"}).exit_code, 0);  // a log for the chart
  const CommandResult first = work_.darknet(arguments);
  ASSERT_EQ(first.exit_code, 0) << first.all();
  const auto before = outputs();
  ASSERT_TRUE(before.contains(file));
  ASSERT_GT(before.at(file).size(), room);
  const CommandResult full = work_.darknet(arguments, {.max_file = room});
  expect_refused(full, cat(file, ": cannot write this file: "));
  EXPECT_EQ(std::count(full.err.begin(), full.err.end(), '\n'), 1) << full.all();
  EXPECT_TRUE(outputs() == before);
}

const Output kOutputs[] = {
    {"recall_csv",
     {"detector", "recall", "x.data", "x.cfg", "x.weights", "-out", "r"},
     200,
     "r.csv"},
    {"recall_svg",
     {"detector", "recall", "x.data", "x.cfg", "x.weights", "-out", "r"},
     1000,
     "r.svg"},
    {"map_json",
     {"detector", "map", "x.data", "x.cfg", "x.weights", "-out", "m.json"},
     300,
     "m.json"},
    {"map_errors",
     {"detector", "map", "x.data", "x.cfg", "x.weights", "-errors", "e"},
     200,
     "e/errors.csv"},
    {"map_curves",
     {"detector", "map", "x.data", "x.cfg", "x.weights", "-curves", "c"},
     1500,
     "c/0-red.csv"},
    {"chart", {"chart", "b/x_log.jsonl", "-out", "c"}, 1000, "c.svg"},
    {"anchors",
     {"detector", "calc_anchors", "x.data", "-num_of_clusters", "2", "-out", "a"},
     1000,
     "a.svg"},
    {"test_json",
     {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-thresh", ".01",
      "-dont_show", "-out", "t.json", "-prefix", "p"},
     200,
     "t.json"},
    {"test_image",
     {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-dont_show", "-prefix",
      "p"},
     200,
     "p.jpg"},
    {"valid",
     {"detector", "valid", "x.data", "x.cfg", "x.weights", "-format", "darknet"},
     1000,
     "results/darknet_results.json"},
    {"demo_image",
     {"detector", "demo", "x.data", "x.cfg", "x.weights", "images/0.png", "-dont_show", "-prefix",
      "p"},
     200,
     "p_00000001.jpg"},
};
INSTANTIATE_TEST_SUITE_P(Cli, FullDiskOutputs, testing::ValuesIn(kOutputs),
                         [](const auto& info) { return std::string(info.param.name); });

class FullDiskDemo : public CliTest {
 protected:
  FullDiskDemo() { put_tiny_weights(work_, "x.weights"); }
  CommandResult demo(std::vector<std::string> more, std::uint64_t room = 0) const {
    more.insert(more.begin(), {"detector", "demo", "x.data", "x.cfg", "x.weights"});
    more.insert(more.end(), {"-dont_show", "-nogpu", "-thresh", "0.01"});
    return work_.darknet(more, {.max_file = room});
  }
};

TEST_F(FullDiskDemo, KeepsTheRecordsThatHadRoom) {
  constexpr std::uint64_t kRoom = 500 << 10;
  for (const char* name : {"x.json", "x.jsonl"}) {
    const CommandResult full = demo({"synth:64x64?frames=5000", "-json_file_output", name}, kRoom);
    expect_refused(full, cat(name, ": cannot write"));
    const std::string text = work_.get(name);
    EXPECT_GT(text.size(), kRoom / 2);
    json frames = json::array();
    std::istringstream lines(text);
    if (std::string(name) == "x.json")
      frames = parse_json(text);
    else
      for (std::string line; std::getline(lines, line);) frames.push_back(parse_json(line));
    ASSERT_GT(frames.size(), 2u) << name;
    for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(frames[i]["frame_id"], i + 1);
    EXPECT_TRUE(text.ends_with("\n"));
  }
}

TEST_F(FullDiskDemo, WithoutRoomForARecordTheEarlierOnesStay) {
  for (const char* name : {"x.json", "x.jsonl"}) {
    ASSERT_EQ(demo({"images", "-json_file_output", name}).exit_code, 0);
    const std::string before = work_.get(name);
    ASSERT_GT(before.find('\n', 2), 200u);
    expect_refused(demo({"images", "-json_file_output", name}, 200),
                   cat(name, ": cannot write this file: "));
    EXPECT_EQ(work_.get(name), before);
  }
}

#if defined(DARKNET_OPENCV)
TEST_F(FullDiskDemo, SaysThatAVideoIsIncomplete) {
  for (const char* name : {"x.avi", "x.mkv", "x.mp4"}) {
    const std::vector<std::string> arguments{"synth:320x240?frames=40", "-out_filename", name,
                                             "-dontdraw_bbox"};
    EXPECT_EQ(demo(arguments).exit_code, 0) << name;
    const auto whole = work_.get(name).size();
    const CommandResult full = demo(arguments, whole / 2);
    expect_refused(full, cat(name, ": this video is incomplete: "));
    EXPECT_LE(work_.get(name).size(), whole / 2);
    EXPECT_EQ(demo(arguments, 2 * whole + (128 << 10)).exit_code, 0) << name;
  }
}
#endif

}  // namespace
}  // namespace darknet::test
