// What stands at the place of an output: only its own kind is replaced, and no output of the same
// run.
#include <gtest/gtest.h>

#include <map>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/protected_files.h"
#include "core/text.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

struct Beginning {
  const char* text;
  const FileFormat& format;
};

TEST(FileFormat, IsReportedByTheFirstLine) {
  const Beginning beginnings[] = {{"0 .5 .5 .1 .1\n", kLabelFormat},
                                  {"\xEF\xBB\xBF\r\n3 .5 .5 1 1 .97\r\n", kLabelFormat},
                                  {"000012 0.9 1.0 2.5 30 40\n", kVocFormat},
                                  {"my image 0.9 1 2 30 40\n", kVocFormat},
                                  {"a b/c.JPG\nd.png\n", kImageListFormat},
                                  {"# what it is\n\n[net]\nbatch=1\n", kCfgFormat},
                                  {"classes = 3\ntrain = a.txt\n", kDataFormat},
                                  {"BMW\nVW\n", kTextFormat},
                                  {"<svg xmlns=", kSvgFormat},
                                  {"<!DOCTYPE html>", kHtmlFormat},
                                  {"\xFF\xD8\xFF\xE0", kImageFormat}};
  for (const auto& [text, format] : beginnings)
    EXPECT_EQ(format_of(text).kind, format.kind) << text;
  EXPECT_EQ(format_of(std::string("\0\0\0\0\2\0\0\0\5\0\0\0\0\0\0\0", 16)).kind,
            kWeightsFormat.kind);
  EXPECT_EQ(format_of(std::string("PK\3\4\0\0\0\0\0\0\0\0", 12)).kind, kOtherFormat.kind);
  for (const char* blank : {"", " \n", "[]\n", "[\n\n]\n"})
    EXPECT_EQ(format_of(blank).kind, "") << blank;
  EXPECT_EQ(format_of("[\n{\"b\": {\"a\" : \"x:\"}}]").fields,
            (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(format_of("image,kind\n1,2\n").fields, (std::vector<std::string>{"image", "kind"}));
}

using FileFormatTest = testing_files::InFolder;

TEST_F(FileFormatTest, AnotherKindIsNotReplaced) {
  const fs::path labels = file("a.txt", "0 .5 .5 .1 .1\n"),
                 annotations = file("b.json", R"({"images": [], "bbox": 1})"),
                 table = file("c.csv", "image,xmin\n");
  const FileFormat results = json_format({"bbox", "score"});
  EXPECT_EQ(error_of([&] { require_writable_file(labels, kImageFormat); }),
            labels.string() +
                ": would replace a label file with an image; give the output another "
                "name, or remove the file first");
  EXPECT_TRUE(holds(error_of([&] { require_writable_file(annotations, results); }),
                    "it has the key 'images'"));
  EXPECT_TRUE(holds(error_of([&] { require_writable_file(table, format_of("image,kind\n")); }),
                    "it has a column 'xmin'"));
  // Also where nobody asked before.
  EXPECT_NE(error_of([&] { write_file_atomically(labels, "{\"bbox\": 1}"); }), "");
  EXPECT_EQ(read_file(labels, 100), "0 .5 .5 .1 .1\n");
  for (const char* own : {"", R"([{"score": 1}])", R"([{"bbox": 1, "more": 2}])"})
    EXPECT_EQ(error_of([&] { require_writable_file(file("d.json", own), results); }), "") << own;
}

TEST_F(FileFormatTest, AFileListedLaterIsProtected) {
  const fs::path image = file("a.png", "\x89PNG"), text = file("b.txt", "text");
  int asked = 0;
  ProtectedFiles inputs;
  inputs.add_later([&](ProtectedFiles& to) { ++asked, to.add("an image", image); });
  write_file_atomically(text, "text");
  EXPECT_EQ(asked, 0);
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(holds(error_of([&] { write_file_atomically(image, "\x89PNG2"); }), "an image"));
  EXPECT_EQ(asked, 1);
}

// To read a list of millions for it would take its time.
TEST_F(FileFormatTest, AListIsNotReadForALogThatBegins) {
  const fs::path labels = file("a.txt", "");
  int asked = 0;
  ProtectedFiles inputs;
  inputs.add_later([&](ProtectedFiles& to) { ++asked, to.add("a label file", labels); });
  AppendedFile log(file("x_log.jsonl", ""));
  log.append("a line\n");
  EXPECT_EQ(asked, 0);
  fs::create_symlink("a.txt", folder_ / "y_log.jsonl");
  fs::create_hard_link(labels, folder_ / "z_log.jsonl");
  for (const char* const name : {"a.txt", "y_log.jsonl", "z_log.jsonl"})
    EXPECT_TRUE(holds(error_of([&] { AppendedFile(folder_ / name).append("x"); }), "a label file"))
        << name;
  EXPECT_EQ(asked, 1);
}

TEST_F(FileFormatTest, OneNameForTwoOutputsOfARun) {
  fs::create_symlink("a.txt", folder_ / "link");
  const auto ask = [&](const char* name) {
    return error_of([&] { require_writable_file(folder_ / name, kTextFormat); });
  };
  {
    const RunOutputs run;
    EXPECT_EQ(ask("a.txt"), "");
    EXPECT_EQ(ask("b.txt"), "");
    EXPECT_TRUE(holds(ask("./a.txt"), "two outputs of this run"));
    EXPECT_TRUE(holds(ask("link"), "two outputs of this run"));
  }
  EXPECT_EQ(ask("a.txt"), "");
}

TEST(Plural, OfNouns) {
  EXPECT_EQ(plural(1, "image"), "1 image");
  EXPECT_EQ(plural(0, "image"), "0 images");
  EXPECT_EQ(plural(2, "box"), "2 boxes");
  EXPECT_EQ(plural(3, "class"), "3 classes");
}

class OutputGuardTest : public CliTest {
 protected:
  OutputGuardTest() { put_tiny_weights(work_, "x.weights"); }
  CommandResult detector(const char* name, std::vector<std::string> more) const {
    more.insert(more.begin(), {"detector", name, "x.data", "x.cfg", "x.weights"});
    return work_.darknet(more);
  }
};

// Finite numbers of which a sum is not.
TEST_F(OutputGuardTest, NoResultsOfWeightsWhoseOutputsAreNotFinite) {
  Network net(read_cfg(work_.path("x.cfg")), {});
  net.initialise();
  for (Parameter* p : net.layer(0).parameters())
    for (std::int64_t i = 0; i < p->value.size(); ++i) p->value.data()[i] = i % 2 ? 3e38f : -3e38f;
  work_.put("x.weights", weights_bytes(net, 0));
  const std::string said = "its objectness is not a finite number";
  expect_refused(detector("test", {"images/0.png", "-dont_show"}), said);
  for (const char* command : {"map", "recall", "valid"})
    expect_refused(detector(command, {}), said);
  expect_refused(detector("demo", {"synth:96x96?frames=2", "-dont_show"}), said);
}

TEST_F(OutputGuardTest, WhatIsNotReadIsNotReplacedEither) {
  const std::map<std::string, std::string> files = {{"o/1.txt", "0 .5 .5 .1 .1\n"},
                                                    {"o/list.txt", "a.png\nb.png\n"},
                                                    {"o/o.names", "red\ngreen\n"},
                                                    {"o/o.data", "classes=1\n"},
                                                    {"o/o.cfg", kTinyCfg},
                                                    {"o/o.weights", work_.get("x.weights")},
                                                    {"o/instances.json", R"({"images": []})"}};
  for (const auto& [name, bytes] : files) work_.put(name, bytes);
  for (const auto& [name, bytes] : files) {
    const std::string said = name + ": would replace ";
    expect_refused(detector("test", {"images/0.png", "-out", name}), said);
    expect_refused(detector("test", {"images/0.png", "-format", "coco", "-out", name}), said);
    expect_refused(detector("map", {"-out", name}), said);
    expect_refused(work_.darknet({"bench", "x.cfg", "-json", name}), said);
    expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", name, "2"}), said);
    if (name != "o/o.cfg")
      expect_refused(work_.darknet({"detector", "init", "x.data", "-force", "-out", name}), said);
    for (const char* output : {"c.svg", "c.png", "c.csv"}) {
      work_.put(output, bytes);
      expect_refused(detector("recall", {"-out", "c"}), cat(output, ": would replace "));
      work_.remove(output);
    }
  }
  EXPECT_FALSE(work_.has("predictions.jpg"));
  for (const auto& [name, bytes] : files) EXPECT_EQ(work_.get(name), bytes) << name;
}

TEST_F(OutputGuardTest, OwnOutputsAreReplaced) {
  for (int i = 0; i < 2; ++i) {
    for (const char* format : {"darknet", "coco"})
      for (const char* threshold : {"0", "1"}) {
        const CommandResult ran = detector(
            "test", {"images/0.png", "-format", format, "-thresh", threshold, "-out", "o.json"});
        EXPECT_EQ(ran.exit_code, 0) << ran.all();
      }
    const std::vector<CommandResult> all = {
        detector("map", {"-out", "m.json", "-curves", "c", "-errors", "e"}),
        detector("recall", {"-out", "r"}),
        detector("demo", {"images", "-dont_show", "-json_file_output", "d.json"}),
        work_.darknet({"bench", "x.cfg", "-iterations", "1", "-json", "b.json"}),
        work_.darknet({"partial", "x.cfg", "x.weights", "p.weights", "2"}),
        work_.darknet({"detector", "calc_anchors", "x.data", "-num_of_clusters", "1"}),
        train(),
        work_.darknet({"chart", "backup/x_log.jsonl"})};
    for (const CommandResult& ran : all) EXPECT_EQ(ran.exit_code, 0) << i << ran.all();
  }
}

TEST_F(OutputGuardTest, TwoOutputsOfOneName) {
  expect_refused(detector("demo", {"images", "-dont_show", "-prefix", "s", "-json_file_output",
                                   "s_00000001.jpg"}),
                 "s_00000001.jpg: two outputs of this run have this name");
}

TEST_F(OutputGuardTest, AFolderIsNoBeginningOfAName) {
  const std::string said = "/: this is a folder; give the beginning of a file name, such as ";
  for (const char* name : {"/", "more/"})
    expect_refused(detector("valid", {"-format", "coco", "-out", name}), said);
  for (const char* command : {"recall", "imbalance"})
    expect_refused(detector(command, {"-out", "more/"}), "more" + said);
  EXPECT_FALSE(work_.has("stills") || work_.has("more") || work_.has("results"));
}

TEST_F(OutputGuardTest, DetectionsAreNotWrittenAsAnImage) {
  const CommandResult ran = detector("test", {"images/0.png", "-out", "predictions.jpg"});
  EXPECT_EQ(ran.exit_code, 2) << ran.all();
  EXPECT_TRUE(holds(ran.err, "-out predictions.jpg: detections are no image")) << ran.err;
  EXPECT_FALSE(work_.has("predictions.jpg"));
}

TEST_F(OutputGuardTest, TheStartOfARunIsKept) {
  ASSERT_EQ(train().exit_code, 0);
  const std::string first = work_.get("backup/x_final.weights");
  const CommandResult ran = train({"backup/x_final.weights", "-clear", "-seed", "5"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(holds(ran.all(), "is kept as backup/x_final_previous.weights")) << ran.all();
  EXPECT_EQ(work_.get("backup/x_final_previous.weights"), first);
  EXPECT_NE(work_.get("backup/x_final.weights"), first);
  // Which is no file of a run that it starts.
  EXPECT_EQ(train({"backup/x_final_previous.weights", "-clear"}).exit_code, 0);
  EXPECT_EQ(work_.get("backup/x_final_previous.weights"), first);
}

TEST_F(OutputGuardTest, SavedLabelsAreCheckedFirst) {
  work_.put("w/a.png", work_.get("images/0.png"));
  work_.put("w/b.png", work_.get("images/0.png"));
  work_.put("w/b.txt", "0 .5 .5 .1 .1\n");
  const CommandResult ran = detector("test", {"w", "-save_labels"});
  expect_refused(ran, "w/b.txt: -save_labels replaces no label file, and of 2 images, 1 has one");
  EXPECT_FALSE(work_.has("w/a.txt") || work_.has("predictions/a.jpg"));
  work_.remove("w/b.txt");
  EXPECT_EQ(detector("test", {"w", "-save_labels"}).exit_code, 0);
  EXPECT_TRUE(work_.has("w/a.txt") && work_.has("w/b.txt"));
}

TEST_F(OutputGuardTest, SavedLabelsReplaceOthersWhereThatIsAskedFor) {
  work_.put("w/a.png", work_.get("images/0.png"));
  work_.put("w/a.txt", "0 .5 .5 .1 .1\n");
  expect_refused(detector("test", {"w", "-replace_labels"}), "-save_labels", 2);  // not alone
  const CommandResult ran =
      detector("test", {"w", "-save_labels", "-replace_labels", "-thresh", "0"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(work_.get("w/a.txt"), "0 .5 .5 .1 .1\n");
  work_.put("w/a.txt", "notes\n");  // no label file
  const CommandResult notes =
      detector("test", {"w", "-save_labels", "-replace_labels", "-thresh", "0"});
  expect_refused(notes, "w/a.txt: would replace a text file");
  EXPECT_FALSE(test::said(notes, "Predicted")) << notes.all();
  EXPECT_EQ(work_.get("w/a.txt"), "notes\n");
  work_.remove("w/a.txt");
  // In labels/, where that is the folder of the set.
  work_.put("set/images/a.png", work_.get("images/0.png"));
  work_.put("set/labels/b.txt", "");
  EXPECT_EQ(detector("test", {"set/images", "-save_labels"}).exit_code, 0);
  EXPECT_TRUE(work_.has("set/labels/a.txt"));
  work_.remove("set/labels/a.txt");
  work_.put("set/images/a.txt", "0 .5 .5 .1 .1\n");
  expect_refused(detector("test", {"set/images", "-save_labels"}), "set/images/a.txt");
  // A list is none, whatever its name.
  work_.put("w/b.png", work_.get("images/0.png"));
  work_.put("w/b.txt", work_.path("w/b.png").string() + "\n");
  const std::string list = work_.get("w/b.txt");
  expect_refused(detector("test", {"w/b.txt", "-save_labels", "-replace_labels"}), "w/b.txt");
  EXPECT_EQ(work_.get("w/b.txt"), list);
}

TEST_F(OutputGuardTest, ValidNamesItsFilesAsAsked) {
  EXPECT_EQ(detector("valid", {"-format", "coco", "-out", "mine"}).exit_code, 0);
  EXPECT_TRUE(work_.has("results/mine.json"));
  EXPECT_FALSE(work_.has("results/coco_results.json"));
  EXPECT_EQ(detector("valid", {"-format", "voc", "-out", "mine_"}).exit_code, 0);
  EXPECT_TRUE(work_.has("results/mine_red.txt"));
  work_.put("results/by_class/notes", "");
  EXPECT_EQ(detector("valid", {"-format", "voc", "-out", "by_class/"}).exit_code, 0);
  EXPECT_TRUE(work_.has("results/by_class/red.txt"));
  const CommandResult yolo = detector("valid", {"-format", "yolo", "-out", "mine"});
  EXPECT_EQ(yolo.exit_code, 0);
  EXPECT_TRUE(holds(yolo.err, "-out has no effect with -format yolo")) << yolo.all();
}

TEST_F(OutputGuardTest, TheFlagIsNamedAsItWasTyped) {
  expect_refused(detector("map", {"-gpus", "x"}), "-gpus x: expected", 2);
  expect_refused(detector("map", {"-i", "x"}), "-i x: expected", 2);
  EXPECT_TRUE(holds(work_.darknet({"detector", "calc_anchors", "x.data", "-gpus", "0"}).err,
                    "-gpus 0 has no effect"));
}

TEST_F(OutputGuardTest, WhatBadLabelsMendsIsAWarning) {
  work_.put("images/0.txt", "0 .9 .5 .4 .4\n");
  const auto check = [&](const char* what) {
    return work_.darknet({"detector", "check", "x.data", "-bad_labels", what});
  };
  for (const char* what : {"clip", "skip"}) {
    const CommandResult ran = check(what);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_FALSE(holds(ran.err, "error")) << ran.all();
    EXPECT_TRUE(holds(ran.err, "images/0.txt:1: ")) << ran.all();
  }
  EXPECT_TRUE(holds(check("stop").err, "error"));
}

}  // namespace
}  // namespace darknet::test
