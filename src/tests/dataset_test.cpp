// Labels, lists, .data and .names files, and the check of a whole list.
#include <gtest/gtest.h>

#include "cfg/data_file.h"
#include "dataset/check.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_images::noise;

struct Reported {
  Labels labels;
  std::vector<std::pair<int, std::string>> errors;
};

Reported parse(const std::string& text, std::int64_t classes = 3) {
  Reported r;
  r.labels = parse_labels(
      text, classes, [&](int line, const std::string& why) { r.errors.emplace_back(line, why); });
  return r;
}

std::string only_error(const std::string& line) {
  const Reported r = parse(line);
  EXPECT_TRUE(r.labels.truths.empty());
  return r.errors.size() == 1 ? r.errors[0].second : "";
}

TEST(Labels, SoundLinesKeepOrderAndValues) {
  const Reported r = parse("2 .5 .25 .1 .2\r\n\n \t\r\n0 0.125 1e-1 .25 2E-1\n1\t.5\t.5  1 1   ");
  EXPECT_TRUE(r.errors.empty());
  ASSERT_EQ(r.labels.truths.size(), 3u);
  EXPECT_EQ(r.labels.truths[0].class_id, 2);
  EXPECT_EQ(r.labels.truths[0].box.y, .25f);
  EXPECT_EQ(r.labels.truths[1].box.x, .125f);
  EXPECT_EQ(r.labels.truths[1].box.h, .2f);
  EXPECT_EQ(r.labels.truths[2].box.w, 1);
  EXPECT_EQ(r.labels.clipped, 0);
  EXPECT_TRUE(parse("").labels.truths.empty());
  EXPECT_EQ(parse("\xEF\xBB\xBF"
                  "0 .5 .5 .1 .1")
                .labels.truths.size(),
            1u);
}

TEST(Labels, EveryErrorHasItsReason) {
  EXPECT_EQ(only_error("0 .5 .5 .1"),
            "expected 5 numbers: class x y w h, got 4 fields: '0 .5 .5 .1'");
  EXPECT_EQ(only_error("0 .5 .5 .1 .1 .9"),
            "expected 5 numbers: class x y w h, got 6 fields: '0 .5 .5 .1 .1 .9'");
  EXPECT_EQ(only_error("cat .5 .5 .1 .1"), "the class 'cat' is not an integer");
  EXPECT_EQ(only_error("0.0 .5 .5 .1 .1"), "the class '0.0' is not an integer");
  EXPECT_EQ(only_error("3 .5 .5 .1 .1"),
            "class 3 is not among 0 to 2: correct it, or set classes=4 in the .data file and in "
            "each head, and add its name");
  EXPECT_EQ(only_error("-1 .5 .5 .1 .1"), "class -1 is not among 0 to 2: correct it");
  EXPECT_EQ(only_error("99999999999999999999 .5 .5 .1 .1"),
            "the class '99999999999999999999' is not an integer");
  EXPECT_EQ(only_error("0 nan .5 .1 .1"), "'nan' is not a finite number");
  EXPECT_EQ(only_error("0 .5 inf .1 .1"), "'inf' is not a finite number");
  EXPECT_EQ(only_error("0 .5 .5 1,5 .1"), "'1,5' is not a finite number");
  EXPECT_EQ(only_error("0 .5 .5 .1 1e99"), "'1e99' is not a finite number");
  EXPECT_EQ(only_error("0 .5 .5 0 .1"), "the box is empty: x 0.5 y 0.5 w 0 h 0.1");
  EXPECT_EQ(only_error("0 .5 .5 .1 -.1"), "the box is empty: x 0.5 y 0.5 w 0.1 h -0.1");
  EXPECT_EQ(only_error("0 .5 .5 1.1 .1"),
            "the box reaches out of the image: x 0.5 y 0.5 w 1.1 h 0.1 (all in fractions of the "
            "image)");
  EXPECT_EQ(only_error("0 208 208 50 50"),
            "the box reaches out of the image: x 208 y 208 w 50 h 50 (all in fractions of the "
            "image)");
  EXPECT_NE(only_error("0 -.0005 .5 .0002 .1").find("the box is empty"), std::string::npos);
}

TEST(Labels, ErrorsNameTheirLinesAndSoundLinesAreKept) {
  const Reported r = parse("0 .5 .5 .1 .1\nx\n\n1 .5 .5 .1 .1\n9 .5 .5 .1 .1\n");
  ASSERT_EQ(r.errors.size(), 2u);
  EXPECT_EQ(r.errors[0].first, 2);
  EXPECT_EQ(r.errors[1].first, 5);
  EXPECT_EQ(r.labels.truths.size(), 2u);
}

TEST(Labels, ASmallOverhangIsClippedAndCounted) {
  const Reported r = parse(
      "0 .05 .5 .1015 .2\n"  // left at -.00075
      "1 .5 .95 .2 .1019\n"  // bottom at 1.00095
      "2 .5 .5 1.0018 1.0018\n"
      "0 .5 .5 1 1\n");
  EXPECT_TRUE(r.errors.empty());
  EXPECT_EQ(r.labels.clipped, 3);
  ASSERT_EQ(r.labels.truths.size(), 4u);
  EXPECT_NEAR(r.labels.truths[0].box.left(), 0, 1e-7);
  EXPECT_NEAR(r.labels.truths[0].box.right(), .10075, 1e-6);
  EXPECT_NEAR(r.labels.truths[1].box.bottom(), 1, 1e-7);
  EXPECT_NEAR(r.labels.truths[1].box.top(), .89905, 1e-6);
  EXPECT_EQ(r.labels.truths[2].box.w, 1);
  EXPECT_EQ(parse("0 .05 .5 .1021 .2").errors.size(), 1u);  // sticks out by .00105
}

class DatasetFiles : public testing_files::InFolder {};

TEST_F(DatasetFiles, LabelsLieInTheLabelsFolderOrBeside) {
  const auto expect = [&](const fs::path& image, const fs::path& label) {
    EXPECT_EQ(label_path(folder_ / image), folder_ / label);
  };
  expect("images/a.jpg", "images/a.txt");  // as long as there is none in labels/
  file("labels/a.txt", ""), file("labels/train2017/b.txt", "");
  expect("images/a.jpg", "labels/a.txt");
  expect("JPEGImages/a.jpg", "labels/a.txt");
  expect("images/train2017/b.jpeg", "labels/train2017/b.txt");
  expect("images/train2017/other.png", "images/train2017/other.txt");
  expect("photos/a.jpg", "photos/a.txt");
  file("images/set/labels/c.txt", "");  // of two such folders the last counts
  expect("images/set/images/c.jpg", "images/set/labels/c.txt");
  file("labels/x.y.txt", "");
  expect("images/x.y.jpg", "labels/x.y.txt");
  EXPECT_EQ(label_path("a.jpg"), "a.txt");
  EXPECT_EQ(label_path("images"), "images.txt");  // a file of that name
}

TEST_F(DatasetFiles, ErrorsOfALabelFileNameFileAndLine) {
  const fs::path image = folder_ / "a.jpg";
  const std::string missing = error_of([&] { read_labels(image, 3); });
  EXPECT_TRUE(missing.starts_with((folder_ / "a.txt").string() + ": the label file of " +
                                  image.string() + " is missing"))
      << missing;
  file("a.txt", "0 .5 .5 .1 .1\n7 .5 .5 .1 .1\n");
  EXPECT_EQ(error_of([&] { read_labels(image, 3); }),
            (folder_ / "a.txt").string() +
                ":2: class 7 is not among 0 to 2: correct it, or set classes=8 in the .data file "
                "and in each head, and add its name; -bad_labels skip leaves such lines out, "
                "-bad_labels clip cuts boxes to their image");
  EXPECT_EQ(read_labels(image, 8).truths.size(), 2u);
  fs::create_directories(folder_ / "b.txt");
  EXPECT_NE(error_of([&] { read_labels(folder_ / "b.jpg", 3); }), "");
}

TEST_F(DatasetFiles, AllLabelsAreCounted) {
  file("a.txt", "0 .5 .5 .1 .1\n1 .5 .5 1.001 .1\n");
  file("b.txt", "");
  file("c.txt", "1 .5 .5 .1 .1\n");
  const LabelledImages all =
      read_all_labels({folder_ / "a.jpg", folder_ / "b.jpg", folder_ / "c.jpg"}, 2);
  EXPECT_EQ(all.objects, 3);
  EXPECT_EQ(all.empty, 1);
  EXPECT_EQ(all.clipped, 1);
  ASSERT_EQ(all.truths.size(), 3u);
  EXPECT_EQ(all.truths[2][0].class_id, 1);
}

TEST_F(DatasetFiles, ListsTakeWindowsLinesBlanksAndRelativePaths) {
  file("images/with space.jpg", "x"), file("images/b.jpg", "x");
  const fs::path absolute = folder_ / "absolute.jpg";
  const fs::path list =
      file("lists/train.txt", "\xEF\xBB\xBF../images/b.jpg\r\n\r\n  \n" + absolute.string() +
                                  "\n../images/with space.jpg\nnowhere.jpg");
  const ImagePaths images = read_image_list(list);
  ASSERT_EQ(images.size(), 4u);
  EXPECT_EQ(images[0], folder_ / "lists/../images/b.jpg");
  EXPECT_EQ(images[1], absolute);
  EXPECT_TRUE(fs::exists(images[2]));
  EXPECT_EQ(images[3], "nowhere.jpg");  // as it stands; reading it will tell
}

TEST_F(DatasetFiles, ListsWithoutImagesOrTextAreErrors) {
  const fs::path empty = file("empty.txt", "\n \r\n");
  EXPECT_EQ(error_of([&] { read_image_list(empty); }), empty.string() + ": no image in this list");
  const fs::path binary = file("binary.txt", std::string("a.jpg\nb\0c\n", 10));
  EXPECT_EQ(error_of([&] { read_image_list(binary); }),
            binary.string() + ":2: this is not a text file");
  EXPECT_NE(error_of([&] { read_image_list(folder_ / "no.txt"); }), "");
  EXPECT_NE(error_of([&] { read_image_list(folder_); }), "");
}

TEST_F(DatasetFiles, DataFilesAreReadAndResolved) {
  file("train.txt", "x"), file("v/val.txt", "x"), file("voc.names", "a\nb\n");
  const fs::path path = file("set.data",
                             "\xEF\xBB\xBF# a comment\r\nclasses = 2\r\n\r\ntrain=train.txt\n"
                             "valid = v/val.txt\nnames = voc.names\nbackup = out\n; more\n"
                             "saveweights=50\neval=coco\n");
  const DataFile data = read_data_file(path);
  EXPECT_EQ(data.classes, 2);
  EXPECT_EQ(data.train, folder_ / "train.txt");
  EXPECT_EQ(data.valid, folder_ / "v/val.txt");
  EXPECT_EQ(data.names, folder_ / "voc.names");
  EXPECT_EQ(data.backup, "out");
  EXPECT_EQ(data.save_weights, 50);
  EXPECT_EQ(required(data, data.train, "train"), data.train);
  EXPECT_EQ(error_of([&] { required(data, data.difficult, "difficult"); }),
            path.string() + ": the line difficult = ... is missing");
  EXPECT_EQ(read_data_file(file("old.data", "labels=voc.names\n")).names, folder_ / "voc.names");
  const DataFile both = read_data_file(file("both.data", "labels=x\nnames=voc.names\n"));
  EXPECT_EQ(both.names, folder_ / "voc.names");
}

TEST_F(DatasetFiles, ErrorsOfDataFilesNameFileAndLine) {
  const auto error = [&](const std::string& text) {
    const fs::path path = file("x.data", text);
    const std::string what = error_of([&] { read_data_file(path); });
    EXPECT_TRUE(what.starts_with(path.string())) << what;
    return what.substr(std::min(what.size(), path.string().size()));
  };
  EXPECT_EQ(error("classes 2\n"), ":1: expected key = value, got 'classes 2'");
  EXPECT_EQ(error("\n= 2\n"), ":2: expected key = value, got '= 2'");
  EXPECT_EQ(error("classes=0\n"), ":1: [data] classes: 0 is outside [1, 65536]");
  EXPECT_EQ(error("classes=two\n"), ":1: [data] classes: expected an integer, got 'two'");
  EXPECT_EQ(error("tarin=a.txt\n"), ":1: [data] tarin: unknown key; did you mean 'train'?");
  EXPECT_EQ(error(std::string("classes=1\n\0", 11)), ":2: this is not a text file");
}

TEST_F(DatasetFiles, NamesAreOneALine) {
  const fs::path names = file("x.names",
                              "\xEF\xBB\xBF"
                              "person\r\ntraffic light\n\n");
  EXPECT_EQ(read_names(names, 2), (std::vector<std::string>{"person", "traffic light"}));
  EXPECT_EQ(read_names(names, 0).size(), 2u);
  EXPECT_EQ(error_of([&] { read_names(names, 3); }),
            names.string() + ": has 2 names; expected one for each of the 3 classes");
  const fs::path gap = file("gap.names", "a\n\nb\n");
  EXPECT_EQ(error_of([&] { read_names(gap, 2); }),
            gap.string() + ":2: a blank line among the names");
  const fs::path none = file("none.names", "\n\n");
  EXPECT_EQ(error_of([&] { read_names(none, 0); }), none.string() + ": no names in this file");
}

TEST_F(DatasetFiles, TheCheckCountsAndReportsEverything) {
  const auto image = [&](const char* name) { file(name, encode(noise(8, 8, 3), ".png")); };
  image("a.png"), image("b.png"), image("c.png"), image("d.png");
  file("e.png", "no image");
  file("a.txt", "0 .5 .5 .4 .1\n2 .5 .5 .1 .1\n0 .5 .5 .6 .6\n");
  file("b.txt", "");
  file("c.txt", "9 .5 .5 .1 .1\n1 .5 .5 1.001 1\nx\n");
  file("e.txt", "1 .5 .5 .1 .1\n");
  const fs::path list = file("list.txt", "a.png\nb.png\nc.png\nd.png\ne.png\na.png\n");
  std::vector<std::string> messages;
  const ListCheck check = check_list(list, {.classes = 3},
                                     [&](Finding, const std::string& m) { messages.push_back(m); });
  EXPECT_EQ(check.images, 6);
  EXPECT_EQ(check.duplicates, 1);
  EXPECT_EQ(check.unreadable, 1);
  EXPECT_EQ(check.missing_labels, 1);
  EXPECT_EQ(check.bad_lines, 2);
  EXPECT_EQ(check.clipped, 1);
  EXPECT_EQ(check.empty, 1);
  EXPECT_EQ(check.objects, 3 + 1 + 1 + 3);
  EXPECT_EQ(check.max_objects, 3);
  EXPECT_EQ(check.objects_of_class, (std::vector<std::int64_t>{4, 2, 2}));
  EXPECT_NEAR(check.smallest, .1, 1e-6);
  EXPECT_NEAR(check.largest, 1, 1e-6);
  EXPECT_EQ(check.errors(), 4);
  EXPECT_EQ(messages.size(), 5u);  // and the duplicate
}

}  // namespace
}  // namespace darknet
