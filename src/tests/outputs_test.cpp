// What the program writes: never over its inputs or over ground truth, checked before the work, one
// training of a name in a folder, nothing that steers a terminal, nothing lost without a word.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "cli_harness.h"
#include "core/file.h"
#include "core/json.h"
#include "core/lock_file.h"
#include "core/protected_files.h"
#include "core/text.h"
#include "dataset/label_files.h"
#include "image/codec.h"
#include "paths.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

// ---- Inputs ----

using ProtectedFilesTest = testing_files::InFolder;

TEST_F(ProtectedFilesTest, AreNotWrittenToUnderAnyName) {
  const fs::path cfg = file("x.cfg", "[net]"), image = file("images/1.png", "pixels");
  fs::create_symlink("x.cfg", folder_ / "link");
  fs::create_hard_link(image, folder_ / "hard");
  {
    ProtectedFiles inputs(
        {{"the cfg", cfg}, {"the weights file", ""}, {"the list", folder_ / "none"}});
    const fs::path images[] = {image};
    const auto kind = inputs.add_kind("an image");
    for (const fs::path& image : images) inputs.add(kind, image);
    for (const fs::path& to : {cfg, folder_ / "link", folder_ / "images/../x.cfg"}) {
      const std::string why = error_of([&] { write_file_atomically(to, "new"); });
      EXPECT_TRUE(holds(why, to.string()) && holds(why, "the cfg " + cfg.string())) << why;
      EXPECT_NE(error_of([&] { AppendedFile(to).append("x"); }), "");
      EXPECT_NE(error_of([&] { require_writable_file(to, kTextFormat); }), "");
    }
    for (const fs::path& to : {image, folder_ / "hard"})
      EXPECT_TRUE(holds(error_of([&] { write_file_atomically(to, "new"); }), "an image"));
    write_file_atomically(folder_ / "other", "new");
  }
  EXPECT_EQ(read_file(cfg, 10) + read_file(image, 10), "[net]pixels");
  write_file_atomically(cfg, "[new]");  // the run is over
}

using LabelWriterTest = testing_files::InFolder;

TEST_F(LabelWriterTest, ReplacesOnlyWhatItWroteItself) {
  file("l/truth.txt", "0 .5 .5 .1 .1\n");
  const auto write = [&](const char* name, const char* text) {
    return error_of([&] { LabelWriter(folder_ / "l").write(name, text); });
  };
  EXPECT_EQ(write("mine.txt", "1 .5 .5 .1 .1 .9\n"), "");
  EXPECT_EQ(write("mine.txt", "2 .5 .5 .1 .1 .9\n"), "");  // another run
  EXPECT_TRUE(holds(write("truth.txt", "1 .5 .5 .1 .1 .9\n"), "l/truth.txt: this label file"));
  file("l/mine.txt", "2 .4 .5 .1 .1\n");  // corrected by hand
  EXPECT_TRUE(holds(write("mine.txt", "2 .5 .5 .1 .1 .9\n"), "l/mine.txt: this label file"));
  EXPECT_EQ(read_file(folder_ / "l/truth.txt", 100), "0 .5 .5 .1 .1\n");
  EXPECT_EQ(read_file(folder_ / "l/mine.txt", 100), "2 .4 .5 .1 .1\n");
}

class OutputTest : public CliTest {
 protected:
  OutputTest() {
    put_tiny_weights(work_, "x.weights");
    for (const char* name : {"images/a.jpg", "images/b.jpg"})
      work_.put(name, read_image(work_.path("images/0.png")));
  }
  CommandResult valid(std::vector<std::string> more) const {
    more.insert(more.begin(), {"detector", "valid", "x.data", "x.cfg", "x.weights"});
    return work_.darknet(more);
  }
  CommandResult map(std::vector<std::string> more) const {
    more.insert(more.begin(), {"detector", "map", "x.data"});
    return work_.darknet(more);
  }
  // Runs a line of the shell with $P as the program; the exit status of the line.
  int shell(const std::string& line) const {
    const std::string all = cat("cd '", work_.path("").string(), "' && P='", program().string(),
                                "' && { ", line, "; }");
    const int status = std::system(all.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string file_list(const std::vector<std::string>& names) const {
    std::string list;
    for (const std::string& name : names) list += name + "\n";
    return list;
  }
  void set_results(const char* folder) const {
    work_.put("x.data", work_.get("x.data") + "results = " + folder + "\n");
  }
};

TEST_F(OutputTest, NoLabelFileOfTheDataSetIsReplaced) {
  const auto before = work_.tree("images");
  set_results("images");
  const CommandResult ran = valid({"-format", "yolo"});
  expect_refused(ran, "images/0.txt: this label file was not written by an earlier run");
  expect_refused(test({"x.weights", "train.txt", "-format", "yolo", "-out", "images"}),
                 "images/0.txt: this label file");
  EXPECT_FALSE(work_.has("predictions/0.jpg"));  // before the work
  expect_refused(test({"x.weights", "images/0.png", "-out", "images/0.txt"}),
                 "images/0.txt: would replace the label file of an image");
  expect_refused(test({"x.weights", "images/0.png", "-save_labels"}),
                 "images/0.txt: -save_labels replaces no label file, and of 1 image, 1 has one");
  expect_refused(map({"x.cfg", "x.weights", "-out", "images/1.txt"}),
                 "images/1.txt: would replace the label file of an image");
  EXPECT_EQ(work_.tree("images"), before);
}

TEST_F(OutputTest, AllAreAnnounced) {
  const auto expect_announced = [](const CommandResult& ran,
                                   const std::vector<std::string>& files) {
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    for (const std::string& file : files)
      EXPECT_TRUE(holds(ran.out, "-> " + file + "\n")) << file << ran.all();
  };
  work_.put("w/0.png", work_.get("images/0.png"));
  expect_announced(test({"x.weights", "w/0.png", "-out", "t.json", "-prefix", "p", "-save_labels"}),
                   {"p.jpg", "w/0.txt", "t.json"});
  expect_announced(test({"x.weights", "images/a.jpg", "images/b.jpg", "-out", "l", "-format",
                         "yolo", "-prefix", "drawn"}),
                   {"drawn/a.jpg", "drawn/b.jpg", "l"});
  expect_announced(map({"x.cfg", "x.weights", "-out", "m.json", "-curves", "c"}), {"m.json", "c"});
  expect_announced(
      work_.darknet({"detector", "recall", "x.data", "x.cfg", "x.weights", "-out", "r"}),
      {"r.csv, r.svg, r.png"});
  expect_announced(work_.darknet({"bench", "x.cfg", "-iterations", "1", "-json", "b.json"}),
                   {"b.json"});
  expect_announced(work_.darknet({"detector", "demo", "x.data", "x.cfg", "x.weights", "train.txt",
                                  "-dont_show", "-json_file_output", "d.json", "-prefix", "still"}),
                   {"d.json", "still_00000001.jpg to still_00000008.jpg"});
}

TEST_F(OutputTest, TheSameCallTwiceWorks) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(valid({"-format", "yolo"}).exit_code, 0) << i;
    EXPECT_EQ(valid({"-format", "voc"}).exit_code, 0) << i;
    EXPECT_EQ(valid({"-format", "coco"}).exit_code, 0) << i;
    const CommandResult ran =
        test({"x.weights", "images", "-thresh", "0", "-format", "yolo", "-out", "y"});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_EQ(map({"x.cfg", "x.weights", "-out", "m.json", "-errors", "e"}).exit_code, 0) << i;
  }
  EXPECT_TRUE(work_.has("results/0.txt") && work_.has("y/a.txt"));
}

TEST_F(OutputTest, NoImageIsReplacedByAnAnnotatedOne) {
  const auto before = work_.tree("images");
  expect_refused(test({"x.weights", "images/a.jpg", "-prefix", "images/a"}),
                 "images/a.jpg: would replace an image");
  expect_refused(test({"x.weights", "images/a.jpg", "images/b.jpg", "-prefix", "./images"}),
                 "images/a.jpg: would replace an image");
  fs::create_directory_symlink("images", work_.path("link"));
  expect_refused(test({"x.weights", "images", "-prefix", "link"}), "would replace an image");
  EXPECT_EQ(work_.tree("images"), before);
}

TEST_F(OutputTest, NoInputIsReplaced) {
  const std::string weights = work_.get("x.weights"), cfg = work_.get("x.cfg");
  expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", "x.weights", "2"}),
                 "x.weights: would replace the weights file x.weights");
  fs::create_symlink("x.cfg", work_.path("cut"));
  expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", "cut", "2"}),
                 "cut: would replace the cfg x.cfg");
  work_.put("d.json", R"([{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5}])");
  const std::string detections = work_.get("d.json");
  expect_refused(map({"-detections", "d.json", "-out", "d.json"}),
                 "d.json: would replace the detections d.json");
  expect_refused(test({"x.weights", "images/0.png", "-out", "x.names"}), "the names file");
  expect_refused(test({"x.weights", "train.txt", "-out", "train.txt"}), "the list train.txt");
  expect_refused(work_.darknet({"bench", "x.cfg", "-json", "x.cfg"}), "the cfg x.cfg");
  fs::create_symlink("x.names", work_.path("a.svg"));
  expect_refused(work_.darknet({"detector", "calc_anchors", "x.data", "-out", "a"}),
                 "a.svg: would replace the names file");
  fs::create_directories(work_.path("backup"));
  fs::create_symlink("../x.weights", work_.path("backup/x_final.weights"));
  expect_refused(train({"x.weights"}), "backup/x_final.weights: would replace the weights file");
  EXPECT_EQ(work_.get("x.weights"), weights);
  EXPECT_EQ(work_.get("x.cfg"), cfg);
  EXPECT_EQ(work_.get("d.json"), detections);
  EXPECT_EQ(work_.get("x.names"), "red\ngreen\nblue\n");
}

TEST_F(OutputTest, AFrameIsNoImageOfTheSource) {
  work_.put("f/s_00000001.jpg", work_.get("images/a.jpg"));
  const CommandResult ran = work_.darknet(
      {"detector", "demo", "x.data", "x.cfg", "x.weights", "f", "-dont_show", "-prefix", "f/s"});
  expect_refused(ran, "f/s_00000001.jpg: would replace an image");
  EXPECT_EQ(work_.get("f/s_00000001.jpg"), work_.get("images/a.jpg"));
}

// ---- Names that cannot be distinguished ----

TEST_F(OutputTest, ImageNamesWithBlanksAreReadBack) {
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) {
    const std::string to = cat("w/my image ", i);
    work_.put(to + ".png", work_.get(cat("images/", i, ".png")));
    work_.put(to + ".txt", work_.get(cat("images/", i, ".txt")));
    names.push_back(to + ".png");
  }
  work_.put("train.txt", file_list(names));
  ASSERT_EQ(valid({"-format", "coco"}).exit_code, 0);
  const CommandResult voc = valid({"-format", "voc"});
  ASSERT_EQ(voc.exit_code, 0) << voc.all();
  EXPECT_TRUE(holds(voc.err, "3 image names hold blanks")) << voc.all();
  const CommandResult coco = map({"-detections", "results/coco_results.json"}),
                      read = map({"-detections", "results"});
  EXPECT_EQ(coco.exit_code, 0) << coco.all();
  EXPECT_EQ(read.exit_code, 0) << read.all();
  const std::string line = coco.out.substr(0, coco.out.find('\n'));  // "...: 12 detections"
  const std::string count = line.substr(line.rfind(": "));
  EXPECT_NE(count, ": 0 detections");
  EXPECT_TRUE(holds(read.out, "results" + count + "\n")) << count << read.all();
}

TEST_F(OutputTest, OneNameForTwoIsRefusedBeforeTheWork) {
  work_.put("x.names", "red\ngreen\nred\n");
  expect_refused(valid({"-format", "voc"}), "classes 0 and 2 ('red', 'red')");
  expect_refused(test({"x.weights", "images/0.png", "-format", "voc", "-out", "v"}),
                 "classes 0 and 2");
  EXPECT_FALSE(work_.has("predictions.jpg"));
  work_.put("x.names", "red\ngreen\nblue\n");
  work_.put("other/0.png", work_.get("images/1.png"));
  work_.put("images/0.bmp", read_image(work_.path("images/1.png")));
  for (const char* second : {"other/0.png", "images/0.bmp"}) {
    work_.put("train.txt", file_list({"images/0.png", second}));
    for (const char* format : {"voc", "yolo"}) {
      const CommandResult ran = valid({"-format", format});
      expect_refused(ran, second);
      EXPECT_TRUE(holds(ran.err, "images/0.png")) << ran.all();
    }
    expect_refused(test({"x.weights", "train.txt", "-format", "voc", "-out", "v"}), second);
    EXPECT_EQ(valid({"-format", "coco"}).exit_code, 0);
  }
  EXPECT_FALSE(work_.has("results/0.txt"));
}

TEST_F(OutputTest, TwoImagesOfOneNameKeepTheirDetectionsApart) {
  work_.put("w/0.png", work_.get("images/0.png"));
  work_.put("w/0.bmp", read_image(work_.path("images/1.png")));
  const CommandResult ran =
      test({"x.weights", "w", "-thresh", "0", "-format", "yolo", "-out", "y"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(
      holds(ran.err, "w/0.png: another image is called 0 too; what is found here goes to 0-2"))
      << ran.all();
  EXPECT_TRUE(work_.has("y/0.txt") && work_.has("y/0-2.txt"));
  const CommandResult saved = test({"x.weights", "w", "-thresh", "0", "-save_labels"});
  expect_refused(saved, "w/0.png: would share the label file w/0.txt with w/0.bmp");
  EXPECT_FALSE(holds(saved.out, "Predicted") || work_.has("w/0.txt")) << saved.all();
}

// ---- One training of a name in a folder ----

class LockTest : public OutputTest {
 protected:
  // As a training in this process would hold it.
  std::string text_of_a_lock() const {
    fs::create_directories(work_.path("backup"));
    const LockFile lock(work_.path("backup/x.lock"), "a test");
    return work_.get("backup/x.lock");
  }
};

TEST_F(LockTest, ASecondTrainingIsRefusedWithTheFirstOnesProcess) {
  fs::create_directories(work_.path("backup"));
  {
    const LockFile lock(work_.path("backup/x.lock"), "a training of x");
    const CommandResult ran = train();
    expect_refused(ran, "backup/x.lock: a training of x already runs in this folder: process ");
    EXPECT_TRUE(holds(ran.err, cat("process ", ::getpid(), " on host "))) << ran.all();
    EXPECT_TRUE(holds(ran.err, ", since 20")) << ran.all();
    EXPECT_EQ(work_.tree("backup").size(), 1u);
    work_.put("y.cfg", kTinyCfg);  // another name may share the folder
    const CommandResult other = work_.darknet({"detector", "train", "x.data", "y.cfg"});
    EXPECT_EQ(other.exit_code, 0) << other.all();
  }
  EXPECT_FALSE(work_.has("backup/x.lock"));
  EXPECT_EQ(train().exit_code, 0);
  EXPECT_FALSE(work_.has("backup/x.lock"));
}

TEST_F(LockTest, AKilledTrainingDoesNotBlockTheNext) {
  const CommandResult killed = train({"-max_batches", "1000000"}, {.signal_when = "/1000000 loss"});
  ASSERT_EQ(killed.signal, SIGKILL) << killed.all();
  ASSERT_TRUE(work_.has("backup/x.lock"));
  const CommandResult ran = train();
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(holds(ran.out, "backup/x.lock: left by process ")) << ran.all();
  EXPECT_TRUE(holds(ran.out, "which no longer runs; taken over")) << ran.all();
  EXPECT_FALSE(work_.has("backup/x.lock"));
}

// Where a file system keeps no locks, the text of the file decides.
TEST_F(LockTest, TheProcessIsLookedFor) {
  const std::string text = text_of_a_lock();
  work_.put("backup/x.lock", text);
  expect_refused(train(), cat("process ", ::getpid(), " on host "));
  const auto start = text.rfind("start ");
  work_.put("backup/x.lock", text.substr(0, start) + "start 1\n");  // the id came again
  EXPECT_EQ(train().exit_code, 0);
  work_.put("backup/x.lock", "process 1\nhost elsewhere\nsince 2020-01-01\nboot b\nstart 1\n");
  const CommandResult ran = train();
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(holds(ran.err, "process 1 on host elsewhere, since 2020-01-01")) << ran.all();
  for (const char* junk : {"", "process -5\n", "process 99999999999999999999"}) {
    work_.put("backup/x.lock", junk);
    EXPECT_EQ(train().exit_code, 0) << junk;
  }
  work_.put("backup/x.lock", "of another program");
  expect_refused(train(), "backup/x.lock: this is not a lock file of this program");
  EXPECT_EQ(work_.get("backup/x.lock"), "of another program");
}

// ---- Before the work ----

struct Unwritable {
  const char* name;
  std::vector<std::string> arguments;
  const char* said;
};
class UnwritableOutputs : public OutputTest, public testing::WithParamInterface<Unwritable> {};

// The weights are none: what is said of them comes later.
TEST_P(UnwritableOutputs, AreReportedBeforeTheWork) {
  work_.put("x.weights", "none");
  std::vector<std::string> arguments = GetParam().arguments;
  expect_refused(work_.darknet(arguments), GetParam().said);
}

std::vector<std::string> command(const char* name, std::vector<std::string> more) {
  more.insert(more.begin(), {"detector", name, "x.data", "x.cfg", "x.weights"});
  return more;
}

const Unwritable kUnwritable[] = {
    {"map_out", command("map", {"-out", "x.names/m.json"}), "x.names/m.json: cannot create"},
    {"map_curves", command("map", {"-curves", "x.names/c"}), "x.names/c: cannot make this folder"},
    {"map_errors", command("map", {"-errors", "/proc/e"}), "/proc/e: cannot make this folder"},
    {"recall", command("recall", {"-out", "x.names/r"}), "x.names/r.svg: cannot create"},
    {"test_out", command("test", {"images/0.png", "-out", "none/x.json"}), "none/x.json: cannot"},
    {"test_folder", command("test", {"images/0.png", "-format", "voc", "-out", "x.names/v"}),
     "x.names/v: cannot make this folder"},
    {"test_prefix", command("test", {"images/0.png", "-prefix", "none/p"}), "none/p.jpg: cannot"},
    {"test_prefixes", command("test", {"images", "-prefix", "x.names/p"}), "x.names/p: cannot"},
    {"demo_json", command("demo", {"images", "-dont_show", "-json_file_output", "none/j"}),
     "none/j: cannot"},
    {"demo_video", command("demo", {"images", "-dont_show", "-out_filename", "none/v.mp4"}),
     "none/v.mp4: cannot"},
    {"demo_stills", command("demo", {"images", "-dont_show", "-prefix", "none/s"}),
     "none/s_00000001.jpg: cannot"},
    {"partial", {"partial", "x.cfg", "x.weights", "images", "2"}, "images: this is a folder"},
    {"compare",
     {"detector", "compare", "x.data", "x.cfg", "-out", "x.names/c"},
     "x.names/c: cannot make this folder"},
    {"anchors", {"detector", "calc_anchors", "x.data", "-out", "none/a"}, "none/a.svg: cannot"},
    {"chart", {"chart", "none.jsonl", "-out", "none/c"}, "none/c.svg: cannot"},
    {"bench", {"bench", "x.cfg", "-json", "none/b.json"}, "none/b.json: cannot"},
    {"bench_data",
     {"bench", "data", "x.data", "x.cfg", "-json", "none/b.json"},
     "none/b.json: cannot"},
    {"synth", {"synth", "x.names/s"}, "x.names/s: cannot make this folder"},
};
INSTANTIATE_TEST_SUITE_P(Cli, UnwritableOutputs, testing::ValuesIn(kUnwritable),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(OutputTest, ATrainingAsksForAllItsFilesFirst) {
  work_.put("backup/x_final.weights/inside", "");
  const CommandResult ran = train();
  expect_refused(ran, "backup/x_final.weights: this is a folder");
  EXPECT_FALSE(work_.has("backup/x_last.weights"));
  work_.remove("backup/x_final.weights");
  set_results("x.names/r");
  work_.put("x.weights", "none");
  expect_refused(valid({}), "x.names/r: cannot make this folder");
}

// ---- Standard output and terminals ----

TEST_F(OutputTest, AFailedWriteToStandardOutputIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  for (const char* words : {"help", "help yolo", "version", "net info x.cfg", "detector --help",
                            "detector map x.data x.cfg x.weights", "manual"}) {
    EXPECT_EQ(shell(cat("$P ", words, " > /dev/full 2> err")), 1) << words;
    // Behind a warning, in a build for GPUs on a machine without one.
    EXPECT_TRUE(work_.get("err").ends_with(
        "darknet: cannot write to standard output: No space left on device\n"))
        << words << work_.get("err");
  }
  // A training does not end for its log's sake.
  EXPECT_EQ(shell("$P detector train x.data x.cfg > /dev/full 2> err"), 1);
  EXPECT_TRUE(holds(work_.get("err"), "cannot write to standard output")) << work_.get("err");
  EXPECT_TRUE(work_.has("backup/x_final.weights"));
}

TEST_F(OutputTest, AReaderThatHasSeenEnoughIsNoError) {
  shell("$P help yolo 2> err | head -c 1 > /dev/null");
  EXPECT_EQ(work_.get("err"), "");
  shell("(trap '' PIPE; sleep 0.2; $P help yolo 2> err) | true");  // EPIPE instead of the signal
  EXPECT_EQ(work_.get("err"), "");
}

// The next file that is opened would get the number of standard output, and its text.
TEST_F(OutputTest, AClosedStandardOutputIsNoOtherFile) {
  EXPECT_EQ(shell("$P detector map x.data x.cfg x.weights -out m.json >&- 2> err"), 1);
  EXPECT_TRUE(holds(work_.get("err"), "cannot write to standard output")) << work_.get("err");
  EXPECT_TRUE(!work_.has("m.json") || nlohmann::json::accept(work_.get("m.json")));
}

TEST(Printable, EscapesWhatSteersATerminal) {
  EXPECT_EQ(printable("caf\xC3\xA9 \xE4\xBA\xBA \xF0\x9F\x98\x80"),
            "caf\xC3\xA9 \xE4\xBA\xBA \xF0\x9F\x98\x80");
  EXPECT_EQ(printable("a\x1b[2J\x07\x7f"), "a\\x1B[2J\\x07\\x7F");
  EXPECT_EQ(printable("\xC2\x9B"
                      "1m"),
            "\\xC2\\x9B1m");  // C1: CSI
  EXPECT_EQ(printable("\x9B"
                      "1m\xFF\xC3"),
            "\\x9B1m\\xFF\\xC3");
  EXPECT_EQ(printable("a\nb\tc"), "a\\x0Ab\\x09c");
  EXPECT_EQ(printable("a\nb\tc\r", "\n\t"), "a\nb\tc\\x0D");
}

TEST_F(OutputTest, NamesDoNotSteerTheTerminal) {
  const std::string evil = "\x1b]0;evil\x07";
  const std::string image = cat("w/", evil, ".png");
  work_.put(image, work_.get("images/0.png"));
  work_.put(cat("w/", evil, ".txt"), "0 .5 .5 .2 .2\n");
  work_.put("x.names", cat("red", evil, "\ngreen\nblue", evil, "\n"));
  work_.put("train.txt", image + "\n");
  work_.put("list.txt", cat("no", evil, ".png\n", image, "\n"));
  fs::copy_file(work_.path("x.cfg"), work_.path(evil + ".cfg"));
  const std::vector<std::vector<std::string>> commands = {
      {"detector", "test", "x.data", "x.cfg", "x.weights", image, "-thresh", "0", "-dont_show",
       "-prefix", "p" + evil},
      {"detector", "test", "x.data", "x.cfg", "x.weights", "list.txt", "-dont_show"},
      {"detector", "map", "x.data", "x.cfg", "x.weights", "-errors", "e" + evil},
      {"detector", "valid", "x.data", "x.cfg", "x.weights"},
      {"detector", "check", "x.data", "x.cfg"},
      {"detector", "demo", "x.data", "x.cfg", "x.weights", image, "-dont_show", "-ext_output",
       "-thresh", "0"},
      {"detector", "train", "x.data", evil + ".cfg"},
      {"detector", "train", "no" + evil, "x.cfg"},
      {"detector", "calc_anchors", "x.data", "-num_of_clusters", "1", "-out", "a" + evil},
      {"bench", evil + ".cfg", "-iterations", "1"},
      {"check", evil + ".cfg", "-set", evil},
      {"partial", "x.cfg", "x.weights", "c" + evil, "2"},
      {"help", evil},
      {evil},
      {"detector", "train", "-" + evil}};
  for (const auto& words : commands) {
    const CommandResult ran = work_.darknet(words);
    EXPECT_FALSE(holds(ran.all(), "\x1b") || holds(ran.all(), "\x07"))
        << words[0] << ' ' << words.back() << ran.all();
    EXPECT_TRUE(holds(ran.all(), "\\x1B")) << ran.all();  // the name is printed
  }
}

// ---- Ctrl-C ----

TEST_F(OutputTest, AnInterruptedTestWritesWhatItHas) {
  std::vector<std::string> names;
  constexpr std::size_t kMany = 3000;
  for (std::size_t i = 0; i < kMany; ++i) names.push_back(cat("images/", i % 8, ".png"));
  work_.put("many.txt", file_list(names));
  const CommandResult ran = work_.darknet({"detector", "test", "x.data", "x.cfg", "x.weights",
                                           "many.txt", "-dont_show", "-out", "o.json"},
                                          {.signal_when = "[3/", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  const auto frames = parse_json(work_.get("o.json"));
  EXPECT_GE(frames.size(), 2u);
  EXPECT_LT(frames.size(), kMany);
  EXPECT_TRUE(holds(ran.out, cat("interrupted after ", frames.size(), " images"))) << ran.all();
}

}  // namespace
}  // namespace darknet::test
