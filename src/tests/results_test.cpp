// The formats of results, each through every command that writes them.
#include <gtest/gtest.h>

#include "cli_harness.h"
#include "core/json.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/result_writer.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;
using testing_files::holds;

class ResultsTest : public CliTest {
 protected:
  ResultsTest() {
    put_tiny_weights(work_, "x.weights");
    work_.put("x.data", work_.get("x.data") + "results = r\n");
  }
  CommandResult detector(const char* name, std::vector<std::string> more,
                         const CommandOptions& options = {}) const {
    more.insert(more.begin(), {"detector", name, "x.data", "x.cfg", "x.weights"});
    return work_.darknet(more, options);
  }
  // All files of an output, without the record of what was written.
  std::vector<std::string> written(const char* out) const {
    if (!fs::is_directory(work_.path(out))) return {work_.get(out)};
    std::vector<std::string> all;
    for (const auto& [name, bytes] : work_.tree(out))
      if (!holds(name, ".darknet_labels")) all.push_back(bytes);
    return all;
  }
};

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text)
    if (std::string_view(" ,:[]{}\n").find(c) == std::string_view::npos)
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  return words;
}

// The same words, and numbers that differ by no more than rounding: batches of other sizes may be
// computed by other algorithms.
void expect_same(const std::string& a, const std::string& b) {
  const auto left = words_of(a), right = words_of(b);
  ASSERT_EQ(left.size(), right.size()) << a << "\n----\n" << b;
  for (std::size_t i = 0; i < left.size(); ++i) {
    double x = 0, y = 0;
    if (read_number(left[i], x) && read_number(right[i], y)) {
      EXPECT_NEAR(x, y, 1e-3 * std::max(1., std::abs(x))) << i;
    } else {
      EXPECT_EQ(left[i], right[i]) << i;
    }
  }
}

TEST_F(ResultsTest, EveryFormatIsTheSameFromBothCommands) {
  for (const ResultFormat& format : result_formats()) {
    const std::vector<std::string> common{"-format", format.name, "-thresh", ".2", "-nms", ".45"};
    const CommandResult valid = detector("valid", common);
    ASSERT_EQ(valid.exit_code, 0) << format.name << valid.all();
    std::vector<std::string> more{"train.txt", "-dont_show", "-out", "t"};
    more.insert(more.end(), common.begin(), common.end());
    const CommandResult test = detector("test", more);
    ASSERT_EQ(test.exit_code, 0) << format.name << test.all();
    const auto of_valid = written("r"), of_test = written("t");
    ASSERT_EQ(of_valid.size(), of_test.size()) << format.name;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < of_valid.size(); ++i) {
      SCOPED_TRACE(format.name);
      expect_same(of_valid[i], of_test[i]);
      bytes += of_valid[i].size();
    }
    EXPECT_GT(bytes, 400u) << format.name;  // something was found
    work_.remove("r"), work_.remove("t");
  }
}

TEST_F(ResultsTest, HelpListsTheFormats) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"detector", "test"}, {"detect"}, {"detector", "valid"}}) {
    std::vector<std::string> words = command;
    words.emplace_back("--help");
    const CommandResult ran = work_.darknet(words);
    std::string help;  // in one line
    for (const std::string& word : words_of(ran.out)) help += word + " ";
    for (const ResultFormat& format : result_formats()) {
      std::string line = cat(format.name, " ");
      for (const std::string& word : words_of(format.help))
        line += word + (word.empty() ? "" : " ");
      EXPECT_TRUE(holds(help, line.substr(0, line.size() - 1))) << line << ran.out;
    }
  }
  expect_refused(detector("valid", {"-format", "xml"}), "xml", 2);
  expect_refused(detector("test", {"images/0.png", "-format", "xml"}), "xml", 2);
}

TEST_F(ResultsTest, JsonOfNoImagesIsAnEmptyArray) {
  for (const char* format : {"darknet", "coco"}) {
    const CommandResult ran = detector("test", {"-out", "o.json", "-format", format});  // no input
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_EQ(parse_json(work_.get("o.json")), json::array());
    work_.remove("o.json");
  }
}

TEST_F(ResultsTest, CocoIdsOfTypedImagesAreTheirPlaces) {
  const auto ids = [&](std::vector<std::string> images, const char* typed) {
    images.insert(images.end(),
                  {"-out", "o.json", "-format", "coco", "-thresh", "0", "-dont_show"});
    const CommandResult ran = detector("test", images, {.input = typed});
    std::vector<int> all;
    for (const json& entry : parse_json(work_.get("o.json")))
      if (all.empty() || all.back() != entry["image_id"]) all.push_back(entry["image_id"]);
    return all;
  };
  EXPECT_EQ(ids({"images/5.png", "images/2.png"}, ""), (std::vector{5, 2}));
  EXPECT_EQ(ids({}, "images/5.png\nno.png\nimages/2.png\n"), (std::vector{1, 3}));
}

// The list counts, not the images that could be read.
TEST_F(ResultsTest, CocoIdsAreThoseOfTheList) {
  work_.put("images/a.png", std::string("no image"));
  const CommandResult ran = detector("test", {"images/7.png", "images/a.png", "images/5.png",
                                              "-out", "o.json", "-format", "coco", "-thresh", "0"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  const json entries = parse_json(work_.get("o.json"));
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.front()["image_id"], 1);
  EXPECT_EQ(entries.back()["image_id"], 3);
}

TEST_F(ResultsTest, AFailedRunLeavesTheEarlierFiles) {
  for (const char* format : {"darknet", "coco", "voc"})
    ASSERT_EQ(detector("valid", {"-format", format}).exit_code, 0);
  const auto before = work_.tree("r");
  EXPECT_EQ(before.size(), 5u);
  work_.put("images/7.png", std::string("no image"));
  for (const char* format : {"darknet", "coco", "voc"})
    expect_refused(detector("valid", {"-format", format}), "images/7.png");
  EXPECT_EQ(work_.tree("r"), before);
}

// Temporaries of a run that was killed, and of one that may still be at work.
TEST_F(ResultsTest, LeftoversAreRemoved) {
  const std::string dead = ".tmp2147483647", living = cat(".tmp", ::getpid());
  for (const char* name : {"r/coco_results.json", "r/comp4_det_test_red.txt"}) {
    work_.put(name + dead, "[");
    work_.put(name + living, "[");
  }
  for (const char* format : {"coco", "voc"})
    ASSERT_EQ(detector("valid", {"-format", format}).exit_code, 0);
  EXPECT_EQ(work_.tree("r").size(), 6u);
  for (const auto& [name, bytes] : work_.tree("r")) EXPECT_FALSE(name.ends_with(dead)) << name;
}

}  // namespace
}  // namespace darknet::test
