// Lists that name images that are not there: every command says in which list and on which line.
#include "cli_harness.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;

// ---- Lines of lists ----

class MissingImagesInLists : public testing_files::InFolder {
 protected:
  // Where the image `i` is said to be missing; "" where it is not.
  static std::string place(const ImagePaths& images, std::size_t i) {
    const auto missing = missing_image(images, i);
    return missing ? missing->what() : "";
  }
  // As a message about a line of `list`.
  static std::string at(const fs::path& list, int line, const fs::path& image) {
    return cat(list.string(), ':', line, ": no such image: ", image.string());
  }
};

TEST_F(MissingImagesInLists, AreFoundOnTheirLines) {
  file("lists/here.png", "x"), file("lists/later.png", "x");
  const std::string absolute = (folder_ / "absolute.png").string();
  const fs::path list = file("lists/a.txt", "\xEF\xBB\xBFhere.png\r\n\r\nfirst.png\r\n  \n" +
                                                absolute + "\nlater.png\nfirst.png\n");
  const ImagePaths images = read_image_list(list);
  ASSERT_EQ(images.size(), 5u);
  fs::remove(folder_ / "lists/later.png");
  EXPECT_EQ(place(images, 0), "");
  EXPECT_EQ(place(images, 1), at(list, 3, "first.png"));
  EXPECT_EQ(place(images, 2), at(list, 5, absolute));
  EXPECT_EQ(place(images, 3), at(list, 6, folder_ / "lists/later.png"));
  EXPECT_EQ(place(images, 4), at(list, 3, "first.png"));  // both lines mean it
  EXPECT_EQ(place({fs::path("first.png")}, 0), "") << "no list names it";
}

TEST_F(MissingImagesInLists, AreFoundInCopiesPartsAndUnions) {
  const fs::path a = file("a.txt", "1.png\n2.png\n3.png\n"), b = file("b/b.txt", "\n4.png\n");
  ImagePaths both = read_image_list(a);
  both.append(read_image_list(b));
  const std::vector<std::size_t> left_out{0, 1};
  const ImagePaths rest = without(both, left_out);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(place(rest, 0), at(a, 3, "3.png"));
  EXPECT_EQ(place(rest, 1), at(b, 2, "4.png"));
}

// A list that was changed meanwhile says nothing wrong.
TEST_F(MissingImagesInLists, AreNotFoundWhereTheirLineIsGone) {
  const fs::path list = file("a.txt", "1.png\n2.png\n");
  const ImagePaths images = read_image_list(list);
  file("a.txt", "2.png\n");
  EXPECT_EQ(place(images, 0), "");
  EXPECT_NE(error_of([&] { read_listed_image(images, 0); }).find("1.png: cannot read this file"),
            std::string::npos);
  EXPECT_EQ(place(images, 1), at(list, 1, "2.png"));
}

TEST_F(MissingImagesInLists, AreNoneWithAnImageThatIsThere) {
  file("1.png", "no image");
  const ImagePaths images = read_image_list(file("a.txt", "1.png\n"));
  EXPECT_EQ(error_of([&] {
              read_listed_image(images, 0);
            }).find((folder_ / "1.png").string() + ": cannot decode image"),
            0);
}

// ---- Commands ----

constexpr const char* kMissing = "train.txt:7: no such image: images/5.png";

class MissingImages : public CliTest {
 protected:
  MissingImages() {
    put_tiny_weights(work_, "x.weights");
    work_.put("train.txt", "\n" + work_.get("train.txt"));
    work_.remove("images/5.png");
  }
  void expect_reported(std::vector<std::string> words, const std::string& said = kMissing) const {
    const std::string command = words[0] + ' ' + words[1];
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 1) << command << ran.all();
    EXPECT_NE(ran.err.find(said), std::string::npos) << command << ran.all();
    EXPECT_EQ(ran.all().find("label file of"), std::string::npos) << command << ran.all();
    work_.remove("backup"), work_.remove("runs");
  }
  // Every command that reads the label files of a list.
  void expect_reported_by_readers_of_labels() const {
    expect_reported({"detector", "train", "x.data", "x.cfg"});
    expect_reported({"detector", "train", "x.data", "x.cfg", "-max_bad", "1"});
    expect_reported({"detector", "check", "x.data", "x.cfg"});
    expect_reported({"detector", "map", "x.data", "x.cfg", "x.weights"});
    work_.put("none.json", "[]");
    expect_reported({"detector", "map", "x.data", "-detections", "none.json"});
    expect_reported({"detector", "recall", "x.data", "x.cfg", "x.weights"});
    expect_reported(
        {"detector", "compare", "x.data", "x.cfg", "-max_batches", "2", "-images", "0"});
    expect_reported({"detector", "init", "x.data", "-epochs", "2", "-out", "new.cfg"});
  }
};

TEST_F(MissingImages, AreReportedWithTheLineOfTheirList) {
  expect_reported_by_readers_of_labels();
  expect_reported({"detector", "valid", "x.data", "x.cfg", "x.weights"});
  expect_reported({"detector", "test", "x.data", "x.cfg", "x.weights", "train.txt", "-dont_show"});
  expect_reported({"detect", "x.cfg", "x.weights", "images/0.png", "train.txt", "-dont_show"});
  expect_reported({"detector", "demo", "x.data", "x.cfg", "x.weights", "train.txt", "-dont_show"});
}

TEST_F(MissingImages, AFolderIsNoImage) {
  work_.put("images/5.png/inside", "");
  const std::string said = "train.txt:7: this is a folder, not an image: images/5.png; name the";
  expect_reported({"detector", "train", "x.data", "x.cfg"}, said);
  expect_reported({"detector", "check", "x.data"}, said);
  expect_reported({"detector", "map", "x.data", "x.cfg", "x.weights"}, said);
  expect_reported({"detector", "valid", "x.data", "x.cfg", "x.weights"}, said);
  expect_reported({"detector", "demo", "x.data", "x.cfg", "x.weights", "train.txt", "-dont_show"},
                  said);
}

// A training run leaves out some unreadable images.
TEST_F(MissingImages, AreReportedWhereTheyAreSkipped) {
  const CommandResult ran = train({"-max_bad", "50"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find(cat(kMissing, "; this image is skipped")), std::string::npos) << ran.all();
}

TEST_F(MissingImages, WithoutLabelsAreMissingImages) {
  work_.remove("images/5.txt");
  expect_reported_by_readers_of_labels();
  expect_reported({"detector", "calc_anchors", "x.data", "-num_of_clusters", "1"});
  const CommandResult checked = work_.darknet({"detector", "check", "x.data"});
  EXPECT_NE(checked.out.find("1 unreadable image, 0 missing label files"), std::string::npos)
      << checked.all();
  const CommandResult skipped =
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-bad_labels", "skip"});
  EXPECT_EQ(skipped.exit_code, 0) << skipped.all();
  EXPECT_NE(skipped.err.find(kMissing), std::string::npos) << skipped.all();
}

// Their labels alone are read.
TEST_F(MissingImages, OfADifficultListAreNotNeeded) {
  work_.put("images/5.png", Image(64, 64, 3));
  std::string list;
  for (int i = 0; i < kTinyImages; ++i) {
    if (i != 3) work_.put(cat("difficult/", i, ".txt"), "");
    list += cat("difficult/", i, ".png\n");
  }
  work_.put("difficult.txt", list);
  work_.put("x.data", work_.get("x.data") + "difficult = difficult.txt\n");
  const std::vector<std::string> map{"detector", "map", "x.data", "x.cfg", "x.weights"};
  expect_refused(work_.darknet(map),
                 "difficult/3.txt: the label file of difficult/3.png is missing");
  work_.put("difficult/3.txt", "");
  const CommandResult ran = work_.darknet(map);
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

}  // namespace
}  // namespace darknet::test
