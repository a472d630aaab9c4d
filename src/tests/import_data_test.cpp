// darknet import-data on made-up data sets: VOC and COCO, what holds for all formats, and splits.
// The other formats: import_formats_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "annotation/formats.h"
#include "annotation/split.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "tests/import_data_harness.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using test::CommandResult;
using test::ImportData;
using test::lines_of;

std::string object(const std::string& name, const std::string& box, bool difficult = false) {
  std::istringstream values(box);
  std::string xml =
      cat("<object><name>", name, "</name><difficult>", difficult ? 1 : 0, "</difficult><bndbox>");
  for (const char* key : {"xmin", "ymin", "xmax", "ymax"}) {
    std::string value;
    values >> value;
    xml += cat("<", key, ">", value, "</", key, ">\n");
  }
  return xml + "</bndbox></object>";
}

std::string annotation(const std::string& objects, int width = 100, int height = 50) {
  return cat("<annotation>\n<size><width>", width, "</width><height>", height, "</height></size>\n",
             objects, "</annotation>");
}

class ImportVoc : public ImportData {
 protected:
  ImportVoc() {
    put_image("in/JPEGImages/a.jpg");
    put_image("in/JPEGImages/b.png");
    put_image("in/JPEGImages/c.jpg");
    at_.put("in/Annotations/a.xml", annotation(object("cat", "11 6 30 25") +    // exact
                                               object("dog", "91 41 120 60") +  // hangs over
                                               object("cat", "1 1 100 50", true)));
    at_.put("in/Annotations/b.xml", annotation(object("dog", "20 20 20 20")));  // empty
    at_.put("in/Annotations/c.xml", annotation(""));
    at_.put("in/ImageSets/Main/trainval.txt", "a\nb\n");
    at_.put("in/ImageSets/Main/test.txt", "c\n");
    at_.put("in/ImageSets/Main/cat_test.txt", "c -1\n");
  }
};

TEST_F(ImportVoc, BoxesCountFromOneAndAreCutToTheImage) {
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("labels/a.txt"),
            "0 0.20000000 0.30000000 0.20000000 0.40000000\n"
            "1 0.95000000 0.90000000 0.10000000 0.20000000\n");
  EXPECT_EQ(get("labels/b.txt"), "");
  EXPECT_EQ(get("labels/c.txt"), "");
  expect_said(r, "in: voc, 3 images of 2 classes");
  expect_said(r, "empty boxes left out: 1, the first at in/Annotations/b.xml:3");
  expect_said(r, "boxes cut to their images: 1, the first at in/Annotations/a.xml:");
  expect_said(r, "lists of one class left out: 1");
  expect_trains();
}

TEST_F(ImportVoc, BoxesThatEndAtTheEdgeAreReadWhole) {
  std::string objects;
  for (int i = 2; i < 100; ++i)
    objects += object("cat", cat(i, " ", i / 2, " 100 50")) + object("dog", cat("1 1 ", i, " 50"));
  at_.put("in/Annotations/a.xml", annotation(objects));
  ASSERT_EQ(import().exit_code, 0);
  const Labels labels = read_labels(at_.path("out/pets/images/a.jpg"), 2);
  EXPECT_EQ(labels.truths.size(), 196u);
  EXPECT_EQ(labels.clipped, 0);
}

TEST_F(ImportVoc, DifficultObjectsAreKeptAside) {
  ASSERT_EQ(import({"-valid", "trainval", "-train", "test"}).exit_code, 0);
  EXPECT_EQ(get("difficult/labels/a.txt"), "0 0.50000000 0.50000000 1.00000000 1.00000000\n");
  EXPECT_EQ(get("difficult/labels/b.txt"), "");
  EXPECT_EQ(get("difficult/trainval.txt"),
            path("difficult/images/a.jpg") + "\n" + path("difficult/images/b.png") + "\n");
  EXPECT_NE(get("pets.data").find("difficult = " + path("difficult/trainval.txt")),
            std::string::npos);
}

TEST_F(ImportVoc, ListsNamesAndData) {
  ASSERT_EQ(import().exit_code, 0);
  EXPECT_EQ(get("trainval.txt"), path("images/a.jpg") + "\n" + path("images/b.png") + "\n");
  EXPECT_EQ(get("test.txt"), path("images/c.jpg") + "\n");
  EXPECT_FALSE(at_.has("out/pets/cat_test.txt"));
  EXPECT_EQ(get("pets.names"), "cat\ndog\n");
  EXPECT_EQ(get("pets.data"),
            cat("classes = 2\ntrain = ", path("trainval.txt"), "\nvalid = ", path("test.txt"),
                "\ndifficult = ", path("difficult/test.txt"), "\nnames = ", path("pets.names"),
                "\nbackup = ", path("backup"), "\n"));
}

TEST_F(ImportVoc, ImagesAreLinkedOrCopiedAndNothingIsReplacedUnasked) {
  ASSERT_EQ(import().exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(path("images/a.jpg")));
  const CommandResult again = import();
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_NE(again.err.find("holds an import of in already; -force"), std::string::npos);
  ASSERT_EQ(import({"-copy", "-force"}).exit_code, 0);  // over the links
  EXPECT_FALSE(fs::is_symlink(path("images/a.jpg")));
  EXPECT_EQ(get("images/a.jpg"), at_.get("in/JPEGImages/a.jpg"));
  ASSERT_EQ(import({"-force"}).exit_code, 0);  // a copy of the same image may stay
  at_.put("out/pets/images/a.jpg", "another");
  const CommandResult r = import({"-force"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_NE(r.err.find("out/pets/images/a.jpg"), std::string::npos) << r.all();
  EXPECT_EQ(get("images/a.jpg"), "another");
}

TEST_F(ImportVoc, NothingOfAReplacedImportStays) {
  ASSERT_EQ(import().exit_code, 0);
  at_.put("out/pets/mine.txt", "mine");
  at_.remove("in/ImageSets/Main/test.txt");
  at_.remove("in/Annotations/c.xml");
  ASSERT_EQ(import({"-force"}).exit_code, 0);
  for (const char* gone : {"images/c.jpg", "labels/c.txt", "test.txt", "difficult/test.txt"})
    EXPECT_FALSE(at_.has(fs::path("out/pets") / gone)) << gone;
  EXPECT_TRUE(fs::is_symlink(path("images/a.jpg")));
  EXPECT_EQ(get("mine.txt"), "mine");
}

TEST_F(ImportVoc, OneCallReportsAllErrors) {
  at_.put("in/Annotations/b.xml", "<annotation>\n<size>");
  at_.put("in/Annotations/c.xml", "<annotation>\n<size>");
  const CommandResult r = import({"-names", "cat"});
  for (const char* error : {"a.xml:7: the class 'dog' is not among", "b.xml:2: malformed XML",
                            "c.xml:2: malformed XML", " errors of the annotations:\n"})
    expect_error(r, error);
}

TEST_F(ImportVoc, AFolderWithOtherFilesIsRefused) {
  at_.put("out/pets/notes.txt", "mine");
  expect_error(import(), "out/pets: this folder is not empty");
  EXPECT_EQ(get("notes.txt"), "mine");
}

TEST_F(ImportVoc, TheSourceMayBeWrittenInAnyWayAndHoldsNoOutput) {
  EXPECT_EQ(run({"./in/", "out/pets"}).exit_code, 0);
  EXPECT_EQ(get("trainval.txt"), path("images/a.jpg") + "\n" + path("images/b.png") + "\n");
  const CommandResult r = run({"in", "./in/../in/out"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_NE(r.err.find("lies in the data set that is read"), std::string::npos) << r.all();
}

TEST_F(ImportVoc, NamesGiveTheOrder) {
  ASSERT_EQ(import({"-names", "dog,bird,cat"}).exit_code, 0);
  EXPECT_EQ(get("labels/a.txt").substr(0, 2), "2 ");
  EXPECT_EQ(get("pets.names"), "dog\nbird\ncat\n");
}

TEST_F(ImportVoc, ErrorsNameFileAndLine) {
  expect_error(import({"-names", "cat"}), "in/Annotations/a.xml:7: the class 'dog' is not among");
  expect_error(import({"-names", "cat,dog,cat"}), "-names: the class 'cat' is there twice");
  expect_error(import({"-train", "nothing"}), "there is no split 'nothing'; the set has test, ");
  expect_error(import({"-train", "test"}), "images that were trained on cannot validate");
  const std::string good = at_.get("in/Annotations/c.xml");
  at_.put("in/Annotations/c.xml", "<annotation>\n<size>");
  expect_error(import(), "in/Annotations/c.xml:2: malformed XML");
  at_.put("in/Annotations/c.xml",
          "<annotation><size><width>x</width><height>5</height></size></annotation>");
  expect_error(import(), "in/Annotations/c.xml:1: width is 'x'");
  at_.put("in/Annotations/c.xml", annotation(object("cat", "1 nan 9 9")));
  expect_error(import(), "in/Annotations/c.xml:4: ymin is 'nan'");
  at_.remove("in/Annotations/c.xml");
  expect_error(import(),
               "in/ImageSets/Main/test.txt:1: there is no annotation in/Annotations/c.xml");
  at_.put("in/Annotations/c.xml", good);
  at_.remove("in/JPEGImages/b.png");
  expect_error(import(), "in/Annotations/b.xml: there is no image 'b.*'");
}

TEST_F(ImportVoc, WithoutListsSomeImagesAreChosenToValidate) {
  fs::remove_all(at_.path("in/ImageSets"));
  for (int i = 0; i < 9; ++i) {
    put_image(cat("in/JPEGImages/d", i, ".png"));
    at_.put(cat("in/Annotations/d", i, ".xml"), annotation(object("cat", "11 6 30 25")));
  }
  put_image("in/JPEGImages/unlabelled.png");
  const CommandResult r = import({"-valid_share", ".25"});
  ASSERT_EQ(r.exit_code, 0) << r.all();
  expect_said(r, "the data set does not say which images validate; chosen at random: 3 images");
  expect_said(r, "images without an annotation left out: 1");
  const auto train = lines_of(get("train.txt")), valid = lines_of(get("valid.txt"));
  EXPECT_EQ(train.size(), 9u);
  EXPECT_EQ(valid.size(), 3u);
  for (const std::string& image : valid) EXPECT_FALSE(train.contains(image));
  expect_trains();
}

TEST_F(ImportVoc, AnnotationsMayLieNextToImagesInFoldersOfSplits) {
  fs::remove_all(at_.path("in"));
  for (const char* split : {"train", "valid", "test"}) {
    put_image(cat("in/", split, "/", split, "1.jpg"), 40, 30);
    at_.put(cat("in/", split, "/", split, "1.xml"),
            annotation(object("cat", "11 6 30 25"), 40, 30));
  }
  at_.put("in/test/test1.xml", annotation(object("cat", "11 6 30 25"), 30, 40));
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("train.txt"), path("images/train/train1.jpg") + "\n");
  EXPECT_NE(get("pets.data").find("valid = " + path("valid.txt")), std::string::npos);
  expect_said(r, "images of another size than their annotations say");
  expect_trains();
  at_.put("in/other/project/test1.xml", std::string("<project/>"));  // is no image's
  EXPECT_EQ(run({"in", "out/notes"}).exit_code, 0);
  at_.put("in/test/test1.xml", std::string("<anno"));
  const CommandResult damaged = run({"in", "out/other"});
  EXPECT_EQ(damaged.exit_code, 1) << damaged.all();
  EXPECT_TRUE(test::said(damaged, "in/test/test1.xml: is named like an image")) << damaged.all();
}

constexpr const char* kCoco = R"({
 "images": [{"id": 7, "file_name": "x.jpg", "width": 200, "height": 100},
            {"id": 3, "file_name": "deep/y.jpg", "width": 10, "height": 10}],
 "categories": [{"id": 90, "name": "tooth brush"}, {"id": 1, "name": "person"}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 90, "bbox": [20, 10, 40, 20], "iscrowd": 0,
   "segmentation": [[1, 2, 3, 4]]},
  {"id": 2, "image_id": 7, "category_id": 1, "bbox": [-10, 50, 20, 60], "iscrowd": 0},
  {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 100], "iscrowd": 1},
  {"id": 4, "image_id": 3, "category_id": 1, "bbox": [5, 5, 0, 3], "iscrowd": 0}]})";

class ImportCoco : public ImportData {
 protected:
  ImportCoco() {
    put_image("in/train2017/x.jpg", 200, 100);
    put_image("in/train2017/deep/y.jpg", 10, 10);
    put_image("in/val2017/z.jpg", 10, 10);
    put_train(kCoco);
    at_.put("in/annotations/instances_val2017.json",
            R"({"images": [{"id": 7, "file_name": "z.jpg", "width": 10, "height": 10}],
                "categories": [{"id": 90, "name": "tooth brush"}, {"id": 1, "name": "person"}],
                "annotations": []})");
    at_.put("in/annotations/captions_val2017.json", R"({"images": [], "annotations": []})");
  }
  void put_train(const std::string& json) const {
    at_.put("in/annotations/instances_train2017.json", json);
  }
  CommandResult import_changed(const std::string& from, const std::string& to) const {
    put_train(test::replaced(kCoco, from, to));
    return import();
  }
};

TEST_F(ImportCoco, BoxesClassesAndLists) {
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("labels/train2017/x.txt"),
            "1 0.20000000 0.20000000 0.20000000 0.20000000\n"
            "0 0.02500000 0.75000000 0.05000000 0.50000000\n");
  EXPECT_EQ(get("labels/train2017/deep/y.txt"), "");
  EXPECT_EQ(get("difficult/labels/train2017/x.txt"),
            "0 0.25000000 0.50000000 0.50000000 1.00000000\n");
  EXPECT_EQ(get("pets.names"), "person\ntooth brush\n");
  EXPECT_EQ(get("train2017.txt"),
            path("images/train2017/x.jpg") + "\n" + path("images/train2017/deep/y.jpg") + "\n");
  EXPECT_NE(get("pets.data").find("valid = " + path("val2017.txt")), std::string::npos);
  expect_trains();
}

TEST_F(ImportCoco, ErrorsNameTheFile) {
  expect_error(import_changed("\"iscrowd\": 0}]}", "]"),
               "instances_train2017.json: malformed JSON");
  expect_error(import_changed("\"images\"", "\"frames\""), "instances_train2017.json: 'images'");
  expect_error(import_changed("\"category_id\": 90", "\"category_id\": 8"), "annotation 1");
  expect_error(import_changed("\"image_id\": 3", "\"image_id\": 4"), "annotation 4: image_id 4");
  expect_error(import_changed("[20, 10, 40, 20]", "[20, 10, null, 20]"), "annotation 1: bbox");
  expect_error(import_changed("\"width\": 200, ", ""), "instances_train2017.json: image 7: width");
  expect_error(import_changed("\"id\": 90", "\"id\": 1"), "the category 1 is there twice");
  expect_error(import_changed("deep/y.jpg", "w.jpg"), "image 3: there is no image 'w.jpg'");
  expect_error(import_changed("deep/y.jpg", "./x.jpg"), "would share its label file");
  put_image("x.jpg");
  expect_error(import_changed("deep/y.jpg", "../../x.jpg"), "lies outside of the data set");
}

TEST_F(ImportCoco, RoboflowsParentOfAllCategoriesIsNoClass) {
  fs::remove_all(at_.path("in"));
  for (const char* split : {"train", "valid"}) {
    put_image(cat("in/", split, "/", split, ".jpg"), 10, 10);
    at_.put(cat("in/", split, "/_annotations.coco.json"),
            cat(R"({"images": [{"id": 0, "file_name": ")", split, R"(.jpg", "width": 10,
                   "height": 10}], "categories": [
                   {"id": 0, "name": "pets", "supercategory": "none"},
                   {"id": 1, "name": "cat", "supercategory": "pets"}],
                   "annotations": [{"id": 0, "image_id": 0, "category_id": 1,
                                    "bbox": [1, 1, 4, 4]}]})"));
  }
  ASSERT_EQ(import().exit_code, 0);
  EXPECT_EQ(get("pets.names"), "cat\n");
  EXPECT_EQ(get("labels/valid/valid.txt"), "0 0.30000000 0.30000000 0.40000000 0.40000000\n");
  expect_trains();
}

TEST_F(ImportData, AFolderWithoutAnnotationsAndOneWithTwoFormats) {
  put_image("in/a.jpg");
  expect_error(import(), "in: no annotations were found among 1 file; known formats:\n  voc");
  EXPECT_FALSE(at_.has("out"));
  at_.put("in/a.xml", annotation(object("cat", "11 6 30 25")));
  at_.put("in/a.txt", "0 .2 .3 .2 .4\n");
  expect_error(import(), "in: holds annotations of several formats: voc, yolo; choose one");
  expect_error(run({"missing", "out/other"}), "missing: this is not a folder");
  put_image("in/b.jpg");
  at_.put("in/b.xml", annotation(""));
  EXPECT_EQ(import({"-format", "voc"}).exit_code, 0);
}

// The numbers say which frames of which video.
TEST(SplitImages, KeepsCopiesSequencesAndFoldersTogether) {
  AnnotatedSet set;
  std::vector<std::size_t> places;
  for (const char* folder : {"p", "q", "r"})
    for (int video = 0; video < 3; ++video)
      for (int frame = 0; frame < 4; ++frame)
        for (const char* copy : {".rf.1", ".rf.2"}) {
          places.push_back(set.images.size());
          const std::string name = cat(folder, "/v", video, "x_", frame, copy, ".jpg");
          set.images.push_back({name, name, {}, {}});
        }
  const auto part_of = [&](std::size_t i, KeepTogether keep) {
    const std::string name = set.images[i].name.string();
    return name.substr(0, keep == KeepTogether::folder     ? 1
                          : keep == KeepTogether::sequence ? name.find('_')
                                                           : name.find(".rf."));
  };
  for (const KeepTogether keep : {KeepTogether::file, KeepTogether::sequence, KeepTogether::folder})
    for (const std::uint64_t seed : {1, 2, 3}) {
      const TrainValid split = split_images(set, places, {.3, seed, keep});
      std::set<std::string> train;
      for (const std::size_t i : split.train) train.insert(part_of(i, keep));
      for (const std::size_t i : split.valid) EXPECT_FALSE(train.contains(part_of(i, keep)));
      EXPECT_EQ(split.train.size() + split.valid.size(), places.size());
      EXPECT_GE(split.valid.size(), 22u);  // .3 of 72
      EXPECT_EQ(split_images(set, places, {.3, seed, keep}).valid, split.valid);
    }
  EXPECT_NE(split_images(set, places, {.3, 1}).valid, split_images(set, places, {.3, 2}).valid);
}

}  // namespace
}  // namespace darknet
