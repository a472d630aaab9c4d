// Members of tar shards that other programs wrote: which are images of the set, which file is the
// label file of which, and the classes of WebDataset's .cls files.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/file.h"
#include "core/log_capture.h"
#include "core/tar_headers.h"
#include "core/tar_shard.h"
#include "dataset/class_targets.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;

// Boxes of the class alone.
std::string box_of(int class_id) { return cat(class_id, " .5 .5 .2 .2\n"); }

class ShardMembers : public InFolder {
 protected:
  fs::path tar(const std::string& name,
               const std::vector<std::pair<std::string, std::string>>& members) const {
    TarWriter writer(folder_ / name);
    for (const auto& [member, contents] : members) writer.add(member, contents);
    writer.commit();
    return folder_ / name;
  }
  // The members that are images, with the class of the only box of each.
  std::vector<std::string> images_of(const fs::path& list) {
    const log::Capture::Take take = [this](log::Level, const std::string& m) {
      said_.push_back(m);
    };
    const log::Capture capture(take);
    const LabelledImages all = read_all_labels(read_image_list(list), 9);
    std::vector<std::string> images;
    for (std::size_t i = 0; i < all.images.size(); ++i)
      images.push_back(cat(through_shard(all.images[i])->member, ' ',
                           all.truths[i].empty() ? -1 : all.truths[i][0].class_id));
    return images;
  }
  std::string list_error(const std::string& list) const {
    return error_of([&] { read_image_list(folder_ / list); });
  }
  std::string label_error(const fs::path& list) const {
    return error_of([&] { read_all_labels(read_image_list(list), 9); });
  }
  void shell(const std::string& command) const {
    ASSERT_EQ(std::system(cat("cd '", folder_.string(), "' && ", command).c_str()), 0) << command;
  }
  using Names = std::vector<std::string>;
  std::vector<std::string> said_;
};

TEST_F(ShardMembers, WithALongerExtensionAreNoImagesNextToThatOfTheirKey) {
  const fs::path path = tar("t.tar", {{"1.jpg", "x"},
                                      {"1.seg.png", "x"},
                                      {"1.txt", box_of(1)},
                                      {"a.b/2.depth.tif", "x"},
                                      {"a.b/2.jpg", "x"},
                                      {"a.b/2.txt", box_of(2)},
                                      {"3.jpg", "x"},
                                      {"3.txt", box_of(3)},
                                      {"3.left.jpg", "x"},
                                      {"3.left.txt", box_of(4)},
                                      {"4.left.jpg", "x"},
                                      {"4.left.txt", box_of(5)},
                                      {"4.right.jpg", "x"},
                                      {"4.right.txt", box_of(6)}});
  EXPECT_EQ(images_of(path), (Names{"1.jpg 1", "a.b/2.jpg 2", "3.jpg 3", "3.left.jpg 4",
                                    "4.left.jpg 5", "4.right.jpg 6"}));
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_TRUE(holds(said_[0],
                    "t.tar: 1.seg.png: stands under the key of another image and has no "
                    "label file of its own, it is not used; so are 1 more"))
      << said_[0];
}

// Those of macOS hold no image, whatever they are called.
TEST_F(ShardMembers, WhoseNamesBeginWithADotAreSkipped) {
  EXPECT_EQ(images_of(tar("t.tar", {{"._1.jpg", "x"},
                                    {"1.jpg", "x"},
                                    {"._1.txt", "x"},
                                    {"1.txt", box_of(1)},
                                    {"a/._2.jpg", "x"}})),
            Names{"1.jpg 1"});
  EXPECT_TRUE(said_.empty());
}

TEST_F(ShardMembers, HaveExtensionsInEitherCase) {
  EXPECT_EQ(images_of(tar("t.tar", {{"1.JPG", "x"},
                                    {"1.TXT", box_of(1)},
                                    {"2.Jpeg", "x"},
                                    {"2.txt", box_of(2)},
                                    {"3.PNG", "x"},
                                    {"3.txt", box_of(3)},
                                    {"4.webp", "x"},
                                    {"4.txt", box_of(4)},
                                    {"5.TIF", "x"},
                                    {"5.txt", box_of(5)},
                                    {"images/6.jpeg", "x"},
                                    {"labels/6.TXT", box_of(6)}})),
            (Names{"1.JPG 1", "2.Jpeg 2", "3.PNG 3", "4.webp 4", "5.TIF 5", "images/6.jpeg 6"}));
  EXPECT_TRUE(said_.empty()) << said_.front();
}

TEST_F(ShardMembers, MayStandInAnyOrder) {
  EXPECT_EQ(images_of(tar("t.tar", {{"2.txt", box_of(2)},
                                    {"1.txt", box_of(1)},
                                    {"1.png", "x"},
                                    {"3.png", "x"},
                                    {"2.png", "x"},
                                    {"3.txt", box_of(3)}})),
            (Names{"1.png 1", "3.png 3", "2.png 2"}));
}

TEST_F(ShardMembers, OfOneKeyInOtherFoldersAndShardsAreOthers) {
  tar("t-0.tar",
      {{"a/1.png", "x"}, {"a/1.txt", box_of(1)}, {"b/1.png", "x"}, {"b/1.txt", box_of(2)}});
  tar("t-1.tar", {{"a/1.png", "x"}, {"a/1.txt", box_of(3)}});
  EXPECT_EQ(images_of(folder_ / "t-{0..1}.tar"), (Names{"a/1.png 1", "b/1.png 2", "a/1.png 3"}));
}

TEST_F(ShardMembers, HaveLongNames) {
  const std::string key = cat(std::string(120, 'd'), '/', std::string(180, 'k'));
  file(cat("in/", key, ".png"), "x"), file(cat("in/", key, ".txt"), box_of(7));
  for (const char* format : {"gnu", "pax"}) {
    shell(cat("tar --format=", format, " -C in -cf ", format, ".tar ", std::string(120, 'd')));
    EXPECT_EQ(images_of(folder_ / cat(format, ".tar")), Names{key + ".png 7"}) << format;
  }
}

TEST_F(ShardMembers, AShardWithoutAnyIsRefused) {
  shell("tar -cf t-0.tar -T /dev/null");
  tar("t-1.tar", {{"1.png", "x"}, {"1.txt", ""}});
  EXPECT_TRUE(holds(list_error("t-{0..1}.tar"), "t-0.tar: this tar is empty, or was cut short"))
      << list_error("t-{0..1}.tar");
}

TEST_F(ShardMembers, OfCompressedTarsAreNotRead) {
  tar("in.tar", {{"1.png", "x"}, {"1.txt", ""}});
  fs::create_directory(folder_ / "set");
  shell("gzip -c in.tar > set/t.tar.gz && gzip -c in.tar > gz.tar");
  file("list.txt", "set/t.tar.gz\n");
  for (const char* const list : {"set", "set/*.tar.gz", "set/t.tar.gz", "list.txt"})
    EXPECT_TRUE(holds(list_error(list),
                      "t.tar.gz: compressed shards are not read, since images "
                      "are taken from any place; unpack them to .tar"))
        << list_error(list);
  EXPECT_TRUE(holds(list_error("gz.tar"), "gz.tar: this is not a tar file that can be read"))
      << list_error("gz.tar");
  EXPECT_TRUE(holds(list_error("gz.tar"), "compressed ones must be unpacked to .tar"));
}

// Never an image without objects.
TEST_F(ShardMembers, WithLabelsInAnotherFormAreNamed) {
  const std::string json = label_error(tar("json.tar", {{"a/1.jpg", "x"}, {"a/1.json", "{}"}}));
  EXPECT_TRUE(holds(json, "json.tar/a/1.txt: the label file of ")) << json;
  EXPECT_TRUE(holds(json, " is missing; the tar has a/1.json, which is not read")) << json;
  EXPECT_TRUE(holds(json, "boxes are read from a/1.txt, a line `class x y w h` each")) << json;
  EXPECT_TRUE(holds(json, "darknet import-data")) << json;
  const std::string cls = label_error(tar("cls.tar", {{"1.jpg", "x"}, {"1.cls", "3"}}));
  EXPECT_TRUE(holds(cls,
                    "the tar has 1.cls, the class of a whole image, which the classifier "
                    "commands read"))
      << cls;
  const std::string caption =
      label_error(tar("caption.tar", {{"1.jpg", "x"}, {"1.txt", "A cat on a mat.\n"}}));
  EXPECT_TRUE(holds(caption, "caption.tar/1.txt:1: ")) << caption;
}

// ---- classes ----

class ShardClasses : public ShardMembers {
 protected:
  std::vector<std::int32_t> classes_of(const fs::path& list) const {
    const LabelledImages all = classified(read_image_list(list), kLabels);
    std::vector<std::int32_t> classes;
    for (std::size_t i = 0; i < all.truths.size(); ++i)
      classes.push_back(all.truths[i][0].class_id);
    return classes;
  }
  std::string class_error(const fs::path& list) const {
    return error_of([&] { classes_of(list); });
  }
  const std::vector<std::string> kLabels{"dog", "cat", "fish"};
};

// Not by the paths, where dog is another class.
TEST_F(ShardClasses, AreTheNumbersInClsFiles) {
  tar("dog-0.tar", {{"1.png", "x"}, {"1.cls", "1"}, {"1.txt", "a caption"}, {"1.json", "{}"}});
  tar("dog-1.tar", {{"2.cls", " 2\n"}, {"2.png", "x"}, {"3.png", "x"}, {"3.CLS", "0\r\n"}});
  EXPECT_EQ(classes_of(folder_ / "dog-{0..1}.tar"), (std::vector<std::int32_t>{1, 2, 0}));
}

TEST_F(ShardClasses, AreThoseOfPathsWithoutClsFiles) {
  tar("t-0.tar", {{"cat/1.png", "x"}, {"fish/1.png", "x"}});
  tar("t-1.tar", {{"1.png", "x"}, {"1.cls", "0"}});
  EXPECT_EQ(classes_of(folder_ / "t-{0..1}.tar"), (std::vector<std::int32_t>{1, 2, 0}));
}

TEST_F(ShardClasses, ThatAreWrongAreNamed) {
  const auto error = [&](const std::string& cls) {
    return class_error(tar("cat.tar", {{"1.png", "x"}, {"1.cls", cls}}));
  };
  EXPECT_TRUE(holds(error("3"), "cat.tar/1.cls: class 3 is not among 0 to 2")) << error("3");
  EXPECT_TRUE(holds(error("-1"), "cat.tar/1.cls: class -1 is not among 0 to 2"));
  for (const char* const text : {"", "cat", "1 2", "1.5", "1\n2"})
    EXPECT_TRUE(holds(error(text), "cat.tar/1.cls: expected the number of a class, 0 to 2, got '"))
        << error(text);
  EXPECT_TRUE(holds(error(std::string(5000, '1')), "cat.tar/1.cls: larger than"));
}

TEST_F(ShardClasses, AreNeededByAllImagesOfAShardOrNone) {
  const std::string some =
      class_error(tar("t.tar", {{"cat/1.png", "x"}, {"cat/1.cls", "1"}, {"cat/2.png", "x"}}));
  EXPECT_TRUE(holds(some,
                    "t.tar/cat/2.png: the tar has .cls files with the classes of other images "
                    "and none, 2.cls, of this one"))
      << some;
  const std::string none = class_error(tar("none.tar", {{"1.png", "x"}, {"1.json", "{}"}}));
  EXPECT_TRUE(holds(none,
                    "none.tar/1.png: is of no class: none of the 3 class names occurs in its "
                    "path"))
      << none;
  EXPECT_TRUE(holds(none, "or add a .cls file with the number of its class")) << none;
}

}  // namespace
}  // namespace darknet::testing_files
