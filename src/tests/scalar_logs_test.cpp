// What a training run writes for other programs: NAME_results.csv and TensorBoard's event files.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "report/event_file.h"
#include "tests/cli_harness.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// The expected bytes were written by TensorBoard 2.21's RecordWriter.
TEST(EventFile, HasTheBytesOfTensorBoard) {
  EXPECT_EQ(hex(event_file_head(1.5)),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
  EXPECT_EQ(hex(event_of_start(1.5, 300)),
            "100000000000000095fbfe1809000000000000f83f10ad023a020801d17949d4");
  const std::vector<Scalar> scalars{{"loss", .25}, {"map", std::nan("")}, {"layer_3/mean_iou", -2}};
  EXPECT_EQ(hex(event_of_scalars(2.5, 301, scalars)),
            "34000000000000005e33175c09000000000000044010ad022a260a0b0a046c6f7373150000803e0a170a10"
            "6c617965725f332f6d65616e5f696f7515000000c0716021db");
}

class ScalarLogs : public test::CliTest {
 protected:
  void train(int batches, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{
        "detector", "train",   "x.data", "x.cfg", "-max_batches", std::to_string(batches),
        "-backup",  "weights", "-seed",  "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const test::CommandResult r = work_.darknet(arguments);
    ASSERT_EQ(r.exit_code, 0) << r.all();
  }
  std::vector<std::vector<std::string>> rows() const {
    std::istringstream in(work_.get("weights/x_results.csv"));
    std::vector<std::vector<std::string>> all;
    for (std::string line; std::getline(in, line);) {
      std::istringstream cells(line + ",");
      all.emplace_back();
      for (std::string cell; std::getline(cells, cell, ',');) all.back().push_back(cell);
    }
    return all;
  }
};

TEST_F(ScalarLogs, TheCsvHasALineForEachIterationAndResumes) {
  train(3);
  auto all = rows();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0][0], "iteration");
  EXPECT_EQ(all[0][1], "loss");
  for (const auto& row : all) EXPECT_EQ(row.size(), all[0].size());
  const auto iou = std::find(all[0].begin(), all[0].end(), "layer_3_mean_iou");
  EXPECT_NE(iou, all[0].end()) << work_.get("weights/x_results.csv");
  EXPECT_GT(std::stod(all[1][1]), 0);
  const std::string kept = work_.get("weights/x_results.csv");
  work_.put("weights/x_results.csv", kept + "4,9,9\n5,9,9\n2,");  // of steps that no state counts
  train(5, {"weights/x_last.weights"});
  all = rows();
  ASSERT_EQ(all.size(), 6u) << work_.get("weights/x_results.csv");
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)][0], std::to_string(i));
  EXPECT_EQ(work_.get("weights/x_results.csv").substr(0, kept.size()), kept);
  work_.put("weights/x_results.csv", "iteration,loss\n1,2\n");
  train(6, {"weights/x_last.weights"});
  EXPECT_EQ(rows().size(), 2u);  // other columns: begun anew
}

TEST_F(ScalarLogs, EachCallWritesAnEventFile) {
  train(2, {"-tensorboard", "board"});
  train(3, {"-tensorboard", "board", "weights/x_last.weights"});
  std::size_t files = 0;
  for (const auto& [name, bytes] : work_.tree("board")) {
    EXPECT_NE(name.find("events.out.tfevents."), std::string::npos) << name;
    EXPECT_NE(bytes.find("brain.Event:2"), std::string::npos);
    EXPECT_NE(bytes.find("layer_3/mean_iou"), std::string::npos);
    ++files;
  }
  EXPECT_EQ(files, 2u);
}

TEST_F(ScalarLogs, TheFolderIsCheckedBeforeTheTraining) {
  work_.put("board", std::string("a file"));
  test::expect_refused(work_.darknet({"detector", "train", "x.data", "x.cfg", "-backup", "weights",
                                      "-tensorboard", "board"}),
                       "board");
  EXPECT_FALSE(work_.has("weights/x_log.jsonl") || work_.has("weights/x_last.weights"));
}

}  // namespace
}  // namespace darknet
