// Bad .data, .names, lists and images, folders that cannot be written, and images of unusual
// shapes.
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "cli_harness.h"
#include "core/file_format.h"
#include "image/codec.h"

namespace darknet::test {
namespace {

using DataTest = CliTest;

struct DataError {
  const char *name, *from, *to, *said;
};
class DataErrors : public CliTest, public testing::WithParamInterface<DataError> {};

TEST_P(DataErrors, AreReported) {
  work_.put("x.data", replaced(work_.get("x.data"), GetParam().from, GetParam().to));
  work_.put("notes/a.md", "no image");
  expect_refused(train(), GetParam().said);
  EXPECT_EQ(work_.tree("backup").size(), 0u);
}

const DataError kData[] = {
    {"classes_differ", "classes = 3", "classes = 4",
     "x.data: classes=4, but the heads of x.cfg have 3; give both the same number"},
    {"classes_text", "classes = 3", "classes = three",
     "x.data:1: [data] classes: expected an integer"},
    {"classes_zero", "classes = 3", "classes = 0", "x.data:1: [data] classes: 0 is outside"},
    {"key_typo", "train = train.txt", "trian = train.txt",
     "x.data:2: [data] trian: unknown key; did you mean 'train'?"},
    {"no_equals", "train = train.txt", "train train.txt", "x.data:2: expected key = value"},
    {"train_missing", "train = train.txt\n", "", "x.data: the line train = ... is missing"},
    {"list_missing", "train = train.txt", "train = none.txt",
     "none.txt: cannot read this file: No such file"},
    {"list_is_a_folder", "train = train.txt", "train = notes", "notes: holds 1 file and no image"},
    {"list_is_a_pattern", "train = train.txt", "train = none/*.png",
     "none/*.png: no file matches this pattern"},
    {"list_is_a_image", "train = train.txt", "train = images/0.png", "images/0.png:"},
    {"names_missing", "names = x.names", "names = none.names",
     "none.names: cannot read this file: No such file"},
    {"names_is_a_image", "names = x.names", "names = images/0.png", "images/0.png:"},
    {"backup_below_a_file", "backup = backup", "backup = x.cfg/backup",
     "x.cfg/backup: cannot make this folder"},
    {"backup_is_a_file", "backup = backup", "backup = x.cfg", "x.cfg: "},
    {"backup_in_proc", "backup = backup", "backup = /proc/nowhere",
     "/proc/nowhere: cannot make this folder"},
    {"backup_in_a_read_only_folder", "backup = backup", "backup = /proc", "/proc"},
};
INSTANTIATE_TEST_SUITE_P(Cli, DataErrors, testing::ValuesIn(kData), name_of_case<DataError>);

TEST_F(DataTest, DataFilesThatAreNone) {
  work_.remove("x.data");
  expect_refused(train(), "x.data: cannot read this file: No such file");
  work_.put("x.data", "");
  expect_refused(train(), "x.data: the line train = ... is missing");
  work_.put("x.data", std::string("\0\1", 2));
  expect_refused(train(), "x.data:1: this is not a text file");
  work_.put("x.data", kTinyCfg);
  expect_refused(train(), "x.data:1: '[net]' opens a section: this is a .cfg, which comes after");
}

TEST_F(DataTest, NamesAreCounted) {
  put_tiny_weights(work_, "x.weights");
  const auto all = [&] {
    return std::vector{train(), test({"x.weights", "images/0.png"}),
                       work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights"}),
                       work_.darknet({"detector", "check", "x.data", "x.cfg"})};
  };
  work_.put("x.names", "red\ngreen\n");
  for (const auto& ran : all())
    expect_refused(ran, "x.names: has 2 names; expected one for each of the 3 classes");
  work_.put("x.names", "red\ngreen\nblue\nblack\n");
  for (const auto& ran : all())
    expect_refused(ran, "x.names: has 4 names; expected one for each of the 3 classes");
  work_.put("x.names", "");
  for (const auto& ran : all()) expect_refused(ran, "x.names: no names in this file");
  work_.put("x.names", "red\n\nblue\n");
  for (const auto& ran : all()) expect_refused(ran, "x.names:2: a blank line among the names");
  work_.put("x.names", "\xEF\xBB\xBFred\r\ngreen\r\nblue\r\n\r\n");
  for (const auto& ran : all()) EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

TEST_F(DataTest, WeightsThatAreMissingAreNamedBeforeLabelsAreRead) {
  const CommandResult ran = train({"none.weights"});
  expect_refused(ran, "none.weights: this weights file is neither here nor in");
  EXPECT_EQ(ran.all().find("training images"), std::string::npos) << ran.all();
}

TEST_F(DataTest, Lists) {
  work_.put("train.txt", "");
  expect_refused(train(), "train.txt: no image in this list");
  work_.put("train.txt", "\n \r\n\n");
  expect_refused(train(), "train.txt: no image in this list");
  work_.put("train.txt", "\xEF\xBB\xBFimages/0.png\r\n\r\n  images/1.png \r\n\nimages/2.png");
  CommandResult ran = train();
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("training images: 3 "), std::string::npos) << ran.all();
  work_.put("train.txt", "images/0.png\nimages/none.png\n");
  work_.put("images/none.txt", "");
  ran = train();
  expect_refused(ran, "images/none.png");
}

// A missing image or one that is none.
TEST_F(DataTest, BadImagesCountInTrainAndEndTheOthers) {
  put_tiny_weights(work_, "x.weights");
  work_.put("images/8.txt", "");
  std::string many;
  for (int i = 0; i < 30; ++i) many += work_.get("train.txt");
  const std::string jpeg = encode(read_image(work_.path("images/0.png")), ".jpg");
  struct Case {
    const char *what, *said;
    std::string bytes;
  };
  const Case cases[] = {{"missing", "No such file", ""},
                        {"empty", "", ""},
                        {"cut", "truncated", jpeg.substr(0, jpeg.size() / 2)},
                        {"header", "", jpeg.substr(0, 30)},
                        {"random", "", std::string(5000, '\x5A')},
                        {"text", "", "this is no image\n"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    work_.remove("images/8.jpg");
    if (c.what != std::string("missing")) work_.put("images/8.jpg", c.bytes);
    const CommandResult tested = test({"x.weights", "images/8.jpg"});
    expect_refused(tested, "images/8.jpg: ");
    EXPECT_NE(tested.err.find(c.said), std::string::npos) << tested.all();
    work_.put("train.txt", "images/8.jpg\nimages/0.png\n");
    expect_refused(work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights"}),
                   "images/8.jpg");
    expect_refused(work_.darknet({"detector", "check", "x.data"}), "images/8.jpg");
    const CommandResult strict = train();
    expect_refused(strict, "1 of 2 images cannot be read, more than -max_bad 1 %");
    EXPECT_NE(strict.err.find("images/8.jpg"), std::string::npos);
    const CommandResult lenient = train({"-max_bad", "50"});
    EXPECT_EQ(lenient.exit_code, 0) << lenient.all();
    EXPECT_NE(lenient.err.find("images/8.jpg"), std::string::npos) << lenient.all();
    EXPECT_NE(lenient.err.find("skipped"), std::string::npos) << lenient.all();
  }
  work_.put("train.txt", many + "images/8.jpg\n");  // 1 of 241
  EXPECT_EQ(train({"-max_batches", "130"}).exit_code, 0);
}

TEST_F(DataTest, ImagesOfUnusualShapes) {
  put_tiny_weights(work_, "x.weights");
  const Image wide(20000, 3, 3), tall(2, 15000, 3), dot(1, 1, 3), grey(40, 30, 1);
  work_.put("wide.png", wide);
  work_.put("tall.png", tall);
  work_.put("dot.png", dot);
  work_.put("dot.jpg", dot);
  work_.put("grey.png", grey);
  for (const char* name : {"wide.png", "tall.png", "dot.png", "dot.jpg", "grey.png"}) {
    const CommandResult ran = test({"x.weights", name, "-thresh", "0", "-ext_output"});
    EXPECT_EQ(ran.exit_code, 0) << name << ran.all();
    EXPECT_TRUE(work_.has("predictions.jpg"));
    work_.put("train.txt", cat(name, "\n"));
    work_.put(std::filesystem::path(name).replace_extension(".txt"), "0 .5 .5 1 1\n");
    const CommandResult trained = train({"-max_batches", "2", "-set", "net.0.mosaic=1"});
    EXPECT_EQ(trained.exit_code, 0) << name << trained.all();
  }
}

TEST_F(DataTest, SeveralImagesAndLists) {
  put_tiny_weights(work_, "x.weights");
  const CommandResult ran = test({"x.weights", "images/0.png", "images/1.png", "-out", "o.json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("predictions/0.jpg"));
  EXPECT_TRUE(work_.has("predictions/1.jpg"));
  EXPECT_NE(work_.get("o.json").find("images/1.png"), std::string::npos);
  EXPECT_EQ(test({"x.weights", "train.txt"}).exit_code, 0);
  expect_refused(test({"x.weights", "none.txt"}), "none.txt: cannot read this file");
}

TEST_F(DataTest, APrefixThatEndsInASlashIsAFolderOfAnyNumberOfImages) {
  put_tiny_weights(work_, "x.weights");
  ASSERT_EQ(test({"x.weights", "images/0.png", "-prefix", "one/"}).exit_code, 0);
  ASSERT_EQ(test({"x.weights", "images/0.png", "images/1.png", "-prefix", "two/"}).exit_code, 0);
  EXPECT_EQ(work_.tree("one").size(), 1);
  EXPECT_EQ(work_.tree("two").size(), 2);
  EXPECT_EQ(work_.get("one/0.jpg"), work_.get("two/0.jpg"));
}

TEST_F(DataTest, APrefixMayNameTheFormatOfTheImage) {
  put_tiny_weights(work_, "x.weights");
  ASSERT_EQ(test({"x.weights", "images/0.png", "-prefix", "found.png"}).exit_code, 0);
  ASSERT_EQ(test({"x.weights", "images/0.png", "-prefix", "found"}).exit_code, 0);
  EXPECT_EQ(work_.get("found.png").substr(1, 3), "PNG");
  EXPECT_TRUE(work_.has("found.jpg"));
  EXPECT_FALSE(work_.has("found.png.jpg"));
  expect_refused(test({"x.weights", "images/0.png", "images/1.png", "-prefix", "two.png"}),
                 "-prefix two.png: several images need the name of a folder", 2);
}

TEST_F(DataTest, AnnotatedImagesReplaceTheirLikeAlone) {
  put_tiny_weights(work_, "x.weights");
  for (const char* name : {"found.jpg", "found.png", "found.bmp"}) {
    const auto detect = [&] { return test({"x.weights", "images/0.png", "-prefix", name}); };
    work_.put(name, read_image(work_.path("images/1.png")));
    const std::string mine = work_.get(name);
    expect_refused(detect(), cat(name,
                                 ": would replace an image that was not drawn by darknet, "
                                 "or by a version before its images had a mark; remove it"));
    EXPECT_EQ(work_.get(name), mine);
    work_.remove(name);
    ASSERT_EQ(detect().exit_code, 0) << name;
    ASSERT_EQ(detect().exit_code, 0) << name;
    EXPECT_NE(work_.get(name), mine) << name;
  }
  work_.put("predictions.jpg", read_image(work_.path("images/1.png")));
  EXPECT_EQ(test({"x.weights", "images/0.png"}).exit_code, 0);  // as Darknet
  EXPECT_EQ(format_of_file(work_.path("predictions.jpg")).kind, kAnnotatedFormat.kind);
  work_.put("still_00000002.jpg", read_image(work_.path("images/1.png")));
  work_.put("still_life.jpg", read_image(work_.path("images/1.png")));  // no name of a frame
  const std::string mine = work_.get("still_00000002.jpg");
  const auto demo = [&] {
    return work_.darknet({"detector", "demo", "x.data", "x.cfg", "x.weights", "images",
                          "-dont_show", "-prefix", "still"});
  };
  expect_refused(demo(), "still_00000002.jpg: would replace an image");
  EXPECT_EQ(work_.get("still_00000002.jpg"), mine);
  EXPECT_FALSE(work_.has("still_00000001.jpg"));
  work_.remove("still_00000002.jpg");
  EXPECT_EQ(demo().exit_code, 0);
  EXPECT_EQ(demo().exit_code, 0);
}

TEST_F(DataTest, ClassNamesAreLookedForNextToTheFolderOfTheCfg) {
  put_tiny_weights(work_, "x.weights");
  work_.put("net/cfg/x.cfg", work_.get("x.cfg"));
  const std::vector<std::string> command = {
      "detect", "net/cfg/x.cfg", "x.weights", "images/0.png", "-dont_show", "-thresh", "0"};
  const CommandResult numbers = work_.darknet(command);
  EXPECT_TRUE(test::said(numbers, "the classes are called by their numbers")) << numbers.all();
  EXPECT_TRUE(test::said(numbers, "class 0: ")) << numbers.all();
  work_.put("net/data/x.names", "ant\nbee\ncow\n");
  const CommandResult names = work_.darknet(command);
  EXPECT_TRUE(test::said(names, "ant: ")) << names.all();
  EXPECT_FALSE(test::said(names, "by their numbers")) << names.all();
  work_.put("data/voc.names", "eel\nfox\ngnu\n");  // the list called like the cfg comes first
  EXPECT_TRUE(test::said(work_.darknet(command), "ant: "));
}

TEST_F(DataTest, NothingFoundIsSaidWithTheThreshold) {
  put_tiny_weights(work_, "x.weights");
  const CommandResult none = test({"x.weights", "images/0.png", "-thresh", ".999"});
  EXPECT_EQ(none.exit_code, 0) << none.all();
  const std::string said =
      "nothing found: no score is above the threshold 0.999 (-thresh); the highest is ";
  const auto at = none.out.find(said);
  ASSERT_NE(at, std::string::npos) << none.all();
  const std::string highest = none.out.substr(at + said.size(), 5);
  const CommandResult some =
      test({"x.weights", "images/0.png", "-thresh", std::to_string(std::stod(highest) - .002)});
  EXPECT_EQ(some.out.find("nothing found"), std::string::npos) << some.all();
}

TEST_F(DataTest, ManyBoxesAreDrawnInPart) {
  put_tiny_weights(work_, "x.weights");
  const CommandResult ran = test({"x.weights", "images/0.png", "-thresh", "0", "-nms", "0"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find(" boxes the 300 with the highest scores are drawn"), std::string::npos)
      << ran.all();
  EXPECT_TRUE(work_.has("predictions.jpg"));
}

TEST_F(DataTest, ClassesOfTheDataFileAreThoseOfTheNetwork) {
  put_tiny_weights(work_, "x.weights");
  work_.put("more.data", replaced(work_.get("x.data"), "classes = 3", "classes = 7"));
  for (const char* command : {"compare", "check"})
    expect_refused(work_.darknet({"detector", command, "more.data", "x.cfg"}),
                   "more.data: classes=7, but the heads of x.cfg have 3; give both the same");
  for (const char* command : {"test", "valid", "map", "recall", "imbalance"})
    expect_refused(work_.darknet({"detector", command, "more.data", "x.cfg", "x.weights"}),
                   "more.data: classes=7, but the heads of x.cfg have ");
}

// All of the list would take minutes. The signal comes when its first line was reported.
TEST_F(DataTest, AnInterruptedCheckReportsHowFarItCame) {
  std::string list = "images/none.png\n";
  for (int i = 0; i < 200'000; ++i) list += "images/0.png\n";
  work_.put("train.txt", list);
  const CommandResult ran =
      work_.darknet({"detector", "check", "x.data"}, {.signal_when = "none.png", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 128 + SIGINT) << ran.all();
  EXPECT_NE(ran.out.find("; the others were not looked at"), std::string::npos) << ran.all();
  EXPECT_EQ(ran.out.find("train: "), std::string::npos) << ran.all();
}

// Images that take long to decode, of which valid= has other ones than train=.
TEST_F(DataTest, ACheckInterruptedBehindItsListsReportsTheErrorsSoFar) {
  constexpr int kSide = 2000;
  std::map<std::string, std::string> lists;
  for (const std::string part : {"train", "valid"}) {
    Image image(kSide, kSide, 3);
    image.at(9, 9)[0] = part == "train" ? 1 : 2;
    for (int i = 0; i < 8; ++i) {
      const std::string name = cat(part, "/", i);
      work_.put(name + ".png", image);
      work_.put(name + ".txt", "0 .5 .5 .2 .2\n");
      lists[part] += name + ".png\n";
    }
  }
  work_.put("train.txt", lists["train"] + "images/none.png\n");
  work_.put("valid.txt", lists["valid"]);
  work_.put("x.data", replaced(work_.get("x.data"), "valid = train.txt", "valid = valid.txt"));
  const CommandResult ran = work_.darknet({"detector", "check", "x.data"},
                                          {.signal_when = "\nvalid: 8 images", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 128 + SIGINT) << ran.all();
  EXPECT_NE(ran.out.find("train: 9 images"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("interrupted while the whole data set was searched for what would spoil a "
                         "training; before, 1 error of images and labels came up\n"),
            std::string::npos)
      << ran.all();
}

TEST_F(DataTest, VariantsAndHeadsHaveTheSameClasses) {
  expect_refused(
      work_.darknet({"detector", "compare", "x.data", "x.cfg", "-variant", "a: obj_loss=ce",
                     "-variant", "b: yolo.0.classes=2 convolutional.2.filters=21"}),
      "variant b: its heads have 2 classes, those of x.cfg 3; variants are compared on the same");
  work_.put("x.cfg", kTinyCfg + "[route]\nlayers=1\n\n[convolutional]\nfilters=21\n" +
                         replaced(kTinyCfg.substr(kTinyCfg.find("[yolo]")), "s=3", "s=2"));
  expect_refused(train(), "has 2 classes, another head has 3; give all heads the same classes=");
}

TEST_F(DataTest, ImagesFromStandardInput) {
  put_tiny_weights(work_, "x.weights");
  const std::vector<std::string> command = {"detector", "test",      "x.data",
                                            "x.cfg",    "x.weights", "-dont_show"};
  CommandResult ran = work_.darknet(command, {.input = "images/0.png\n\nimages/1.png\n"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("images/1.png: Predicted"), std::string::npos) << ran.all();
  // a typing error is reported, and the next line is asked for
  ran = work_.darknet(command, {.input = "images/nothing.png\nimages/1.png\n"});
  EXPECT_NE(ran.err.find("images/nothing.png"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("images/1.png: Predicted"), std::string::npos) << ran.all();
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
}

// As people type them, and as terminals write what is dragged into them.
TEST_F(DataTest, TypedPathsAreReadAsAShellReadsThem) {
  put_tiny_weights(work_, "x.weights");
  const std::vector<std::string> command = {"detect", "x.cfg", "x.weights", "-dont_show"};
  const std::string bytes = work_.get("images/0.png");
  for (const char* name : {"my dog.png", "it's.png", "'quoted.png'", "a[1].png", "a1.png",
                           "home/at home.png", "set/1.png", "set/2.png"})
    work_.put(name, bytes);
  const char* const set = std::getenv("HOME");
  const std::string home_before = set ? set : "";
  ::setenv("HOME", work_.path("home").c_str(), 1);
  const auto home = [&](const char* name) { return work_.path("home").string() + '/' + name; };
  struct Case {
    std::string typed;
    std::vector<std::string> images;
  };
  const std::vector<Case> cases{
      {"my dog.png", {"my dog.png"}},
      {"'my dog.png'", {"my dog.png"}},
      {"\"my dog.png\"", {"my dog.png"}},
      {"my\\ dog.png", {"my dog.png"}},
      {"'" + work_.path("my dog.png").string() + "' ", {work_.path("my dog.png").string()}},
      {"it's.png", {"it's.png"}},
      {"it\\'s.png", {"it's.png"}},
      {"'it'\\''s.png'", {"it's.png"}},
      {"\"it's.png\"", {"it's.png"}},
      {"'quoted.png'", {"'quoted.png'"}},  // there is one of this name
      {"a[1].png", {"a[1].png"}},
      {"'set/1.png' my\\ dog.png", {"set/1.png", "my dog.png"}},
      {"~/at home.png", {home("at home.png")}},
      {"~/at\\ home.png", {home("at home.png")}},
      {"~/*.png", {home("at home.png")}},
      {"set/*.png", {"set/1.png", "set/2.png"}},
      {"'set/?.png'", {"set/1.png", "set/2.png"}},
      {"set", {"set/1.png", "set/2.png"}}};
  std::string typed;
  std::vector<std::string> expected, predicted;
  for (const Case& c : cases) {
    typed += c.typed + "\n";
    expected.insert(expected.end(), c.images.begin(), c.images.end());
  }
  CommandResult ran = work_.darknet(command, {.input = typed});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  const std::string prompt = "Enter Image Path: ";
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(prompt)) line.erase(0, prompt.size());
    if (const auto at = line.find(": Predicted in"); at != line.npos)
      predicted.push_back(line.substr(0, at));
  }
  EXPECT_EQ(predicted, expected);
  ran = work_.darknet(command,
                      {.input = "'no such.png'\nno's.png\nnone/*.png\n/dev/stdin\nset/1.png\n"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  for (const char* said : {"no such.png: cannot read this file", "no's.png: cannot read this file",
                           "none/*.png: no file matches", "/dev/stdin: "})
    EXPECT_NE(ran.err.find(said), std::string::npos) << said << ran.all();
  EXPECT_NE(ran.out.find("set/1.png: Predicted"), std::string::npos) << ran.all();
  if (set)
    ::setenv("HOME", home_before.c_str(), 1);
  else
    ::unsetenv("HOME");
}

TEST_F(DataTest, ALearningRateFarTooHighEndsTheTraining) {
  put_tiny_weights(work_, "backup/x_last.weights");
  const std::string former = work_.get("backup/x_last.weights");
  const CommandResult ran = train({"-set", "net.0.learning_rate=1e9", "-max_batches", "50"});
  expect_refused(ran, "is not finite; nothing was updated");
  EXPECT_NE(ran.err.find("layer "), std::string::npos) << ran.all();
  EXPECT_NE(ran.err.find("x.cfg:"), std::string::npos) << ran.all();
  EXPECT_NE(ran.err.find("images/"), std::string::npos) << ran.all();
  EXPECT_EQ(work_.get("backup/x_last.weights"), former);
  EXPECT_FALSE(work_.has("backup/x_final.weights"));
}

// Gradients that are not finite become 0, and the parameters diverge all the same.
TEST_F(DataTest, ATrainingThatTryFixNanCannotSaveEnds) {
  put_tiny_weights(work_, "backup/x_last.weights");
  const std::string former = work_.get("backup/x_last.weights");
  const CommandResult ran = train(
      {"-set", "net.0.learning_rate=1e8", "-set", "net.0.try_fix_nan=1", "-max_batches", "50"});
  expect_refused(ran, "try_fix_nan=1 repairs single gradients and losses");
  EXPECT_EQ(work_.get("backup/x_last.weights"), former);
  EXPECT_FALSE(work_.has("backup/x_final.weights"));
}

TEST_F(DataTest, ImagesThatAreListedTwiceAreWarningsThatCount) {
  work_.put("train.txt", work_.get("train.txt") + "images/0.png\n");
  const CommandResult ran = work_.darknet({"detector", "check", "x.data"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find("warning: train.txt: images/0.png is listed more than once"),
            std::string::npos)
      << ran.all();
  EXPECT_NE(ran.out.find("0 errors, "), std::string::npos) << ran.all();
  EXPECT_EQ(ran.out.find("nothing is wrong"), std::string::npos) << ran.all();
}

TEST_F(DataTest, ADamagedImageNamesTheCommandThatListsAll) {
  put_tiny_weights(work_, "x.weights");
  work_.put("images/0.png", std::string("no image"));
  for (const char* command : {"map", "valid", "recall"})
    expect_refused(work_.darknet({"detector", command, "x.data", "x.cfg", "x.weights"}),
                   "darknet detector check lists all such files");
  const CommandResult check = work_.darknet({"detector", "check", "x.data"});
  EXPECT_EQ(check.exit_code, 1) << check.all();
  EXPECT_EQ(check.out.find("-bad_labels"), std::string::npos) << check.all();
}

TEST_F(DataTest, LayersBehindTheLastHeadAreNamed) {
  work_.put("x.cfg", kTinyCfg + std::string("[l2norm]\n"));
  const CommandResult ran = train({"-max_batches", "1"});
  EXPECT_NE(ran.err.find("[l2norm] has no effect, nor has what follows it"), std::string::npos)
      << ran.all();
}

// A file system of 64 KiB, as root may mount one.
class FullDisk : public CliTest {
 public:
  ~FullDisk() override {
    if (mounted_) ::umount(work_.path("backup").c_str());
  }

 protected:
  void SetUp() override {
    std::filesystem::create_directories(work_.path("backup"));
    mounted_ = ::mount("none", work_.path("backup").c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  bool mounted_ = false;
};

TEST_F(FullDisk, LeavesTheFormerFileWhole) {
  if (!mounted_) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  put_tiny_weights(work_, "backup/x_last.weights");
  const std::string former = work_.get("backup/x_last.weights");
  work_.put("backup/filler", std::string(54 << 10, 'x'));
  const CommandResult ran = train({"x_last.weights", "-max_batches", "300"});
  expect_refused(ran, "No space left on device");
  EXPECT_EQ(work_.get("backup/x_last.weights"), former);
  for (const auto& [name, bytes] : work_.tree("backup"))
    EXPECT_EQ(name.find(".tmp"), std::string::npos) << name;
}

}  // namespace
}  // namespace darknet::test
