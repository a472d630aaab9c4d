// Commands of other Darknet forks: those that have another name here run it, the others say what to
// use instead; and the flags that people type behind every command.
#include <iterator>
#include <sstream>

#include "cli_harness.h"
#include "core/file.h"
#include "paths.h"

namespace darknet::test {
namespace {

class OldCommands : public CliTest {
 protected:
  OldCommands() { put_tiny_weights(work_, "x.weights"); }
  // Both, in folders' names apart; what they wrote must be the same.
  void expect_same(const std::vector<std::string>& old, const std::vector<std::string>& now,
                   const std::string& wrote) const {
    const CommandResult first = work_.darknet(old);
    EXPECT_EQ(first.exit_code, 0) << first.all();
    EXPECT_TRUE(said(first, "' runs darknet ")) << first.all();
    const std::string bytes = work_.get(wrote);
    work_.remove(wrote);
    const CommandResult second = work_.darknet(now);
    EXPECT_EQ(second.exit_code, 0) << second.all();
    EXPECT_EQ(work_.get(wrote), bytes) << old[0];
    work_.remove(wrote);
  }
};

TEST_F(OldCommands, RunUnderTheirNewNames) {
  put_tiny_weights(work_, "y.weights", 9);
  expect_same({"average", "x.cfg", "o", "x.weights", "y.weights"},
              {"weights", "average", "o", "x.cfg", "x.weights", "y.weights"}, "o");
  expect_same({"rgbgr", "x.cfg", "x.weights", "o"},
              {"weights", "rescale", "x.cfg", "x.weights", "o", "-rgbgr"}, "o");
  expect_same({"rescale", "x.cfg", "x.weights", "o"},
              {"weights", "rescale", "x.cfg", "x.weights", "o", "-scale", "2", "-shift", "-1"},
              "o");
  expect_same({"reset", "x.cfg", "x.weights", "o"},
              {"weights", "reset", "x.cfg", "x.weights", "o", "-statistics", "-keep_seen"}, "o");
  expect_same({"denormalize", "x.cfg", "x.weights", "d.weights"},
              {"weights", "fuse", "x.cfg", "x.weights", "d.cfg", "d.weights", "-force"},
              "d.weights");
  EXPECT_TRUE(work_.has("d.cfg"));
  const CommandResult statistics = work_.darknet({"statistics", "x.cfg", "x.weights"});
  EXPECT_TRUE(said(statistics, "the file fills all of 4 layers")) << statistics.all();
  EXPECT_TRUE(said(work_.darknet({"ops", "x.cfg"}), "BFLOPs per image"));
  const CommandResult speed = work_.darknet({"speed", "x.cfg", "-iterations", "1"});
  EXPECT_EQ(speed.exit_code, 0) << speed.all();
  const CommandResult yolo =
      work_.darknet({"yolo", "test", "x.cfg", "x.weights", "images/0.png", "-dont_show"});
  EXPECT_EQ(yolo.exit_code, 0) << yolo.all();
  EXPECT_TRUE(work_.has("predictions.jpg"));
  const CommandResult anchors =
      work_.darknet({"detector", "calcanchors", "x.data", "-num_of_clusters", "2"});
  EXPECT_EQ(anchors.exit_code, 0) << anchors.all();
}

TEST_F(OldCommands, SayWhatIsMissing) {
  expect_refused(work_.darknet({"average"}),
                 "'average' is 'weights average' here, and arguments are missing", 2);
  expect_refused(work_.darknet({"rgbgr", "x.cfg", "x.weights"}), "see darknet weights rescale", 2);
  // What the new command refuses, the old one does.
  work_.put("o", work_.get("x.weights"));
  expect_refused(work_.darknet({"rgbgr", "x.cfg", "x.weights", "o"}), "o: the file exists");
}

std::vector<std::string> words_in(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

TEST_F(OldCommands, SayWhatToUseInsteadAndThePageDoesToo) {
  const std::string page = read_file(source_dir() / "docs/darknet-compat.md", 1 << 20);
  int gone = 0;
#define RENAMED(words, now) EXPECT_NE(page.find("`" words "`"), std::string::npos) << (words);
#define GONE(words, instead)                                                   \
  EXPECT_NE(page.find("`" words "`"), std::string::npos) << (words);           \
  expect_refused(work_.darknet(words_in(words)), "is not there: " instead, 2); \
  ++gone;
#include "cli/old_commands.def"
#undef RENAMED
#undef GONE
  EXPECT_GT(gone, 20);
  expect_refused(work_.darknet({"nonsense"}), "unknown command 'nonsense'", 2);
}

TEST_F(OldCommands, HelpSaysTheSame) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"visualize", "-h"}, {"help", "visualize"}}) {
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_NE(ran.out.find("'visualize' is not there: filters are not drawn"), std::string::npos)
        << ran.all();
  }
  const CommandResult test = work_.darknet({"classifier", "test", "--help"});
  EXPECT_NE(test.out.find("'classifier test' is not there: use classifier predict"),
            std::string::npos)
      << test.all();
  const CommandResult renamed = work_.darknet({"denormalize", "--help"});
  EXPECT_EQ(renamed.out.find("'denormalize' is 'weights fuse' here\n"), 0u) << renamed.all();
  EXPECT_NE(renamed.out.find("fold batch normalisation"), std::string::npos);
  EXPECT_NE(work_.darknet({"detector", "train", "--help"}).out.find("darknet detector train"),
            std::string::npos);
}

// Darknet's detector commands take all flags; of those without a meaning here one is told.
TEST_F(OldCommands, FlagsWithoutAMeaningWarn) {
  const std::vector<std::string> flags{"-hier",    "0.5",         "-benchmark_layers",
                                       "-verbose", "-iou_thresh", ".5"};
  for (std::vector<std::string> words :
       {std::vector<std::string>{"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png",
                                 "-dont_show"},
        {"detector", "valid", "x.data", "x.cfg", "x.weights"},
        {"detector", "recall", "x.data", "x.cfg", "x.weights"},
        {"detector", "calc_anchors", "x.data", "-num_of_clusters", "2", "-show"}}) {
    words.insert(words.end(), flags.begin(), flags.end());
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    for (const char* flag : {"-hier 0.5", "-benchmark_layers", "-verbose", "-iou_thresh .5"})
      EXPECT_TRUE(said(ran, cat(flag, " has no effect: "))) << words[1] << flag << ran.all();
  }
  const CommandResult ran = train({"-max_batches", "1", "-thresh", ".3", "-letter_box"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "-letter_box has no effect: -set net.0.letter_box=1 does it"));
}

// As AlexeyAB's calc_anchors writes them.
TEST_F(OldCommands, CalcAnchorsWritesItsTextFiles) {
  const std::vector<std::string> words{"detector", "calc_anchors", "x.data", "-num_of_clusters",
                                       "1",        "-width",       "64",     "-height",
                                       "64"};
  for (int again = 0; again < 2; ++again) {  // it replaces its own
    const CommandResult ran = work_.darknet(words);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    const std::string anchors = work_.get("anchors.txt");
    EXPECT_TRUE(said(ran, "\nanchors= " + anchors)) << ran.all() << anchors;
    // The eight squares have the classes 0, 1, 2, 0, ...
    EXPECT_EQ(work_.get("counters_per_class.txt"), "counters_per_class = 3, 3, 2\n");
    EXPECT_TRUE(said(ran, "anchors.txt, counters_per_class.txt")) << ran.all();
  }
  work_.put("anchors.txt", std::string("0 .5 .5 .1 .1\n"));
  expect_refused(work_.darknet(words), "anchors.txt: would replace a label file");
}

}  // namespace
}  // namespace darknet::test
