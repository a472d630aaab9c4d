// darknet import-data on made-up data sets of CVAT, CSV and YOLO.
#include <gtest/gtest.h>

#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "tests/import_data_harness.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using test::CommandResult;
using test::ImportData;
using test::lines_of;

class ImportCvat : public ImportData {
 protected:
  ImportCvat() {
    put_image("in/images/one.png");
    put_image("in/images/two.png");
    put_xml("");
  }
  void put_xml(const std::string& more) const {
    at_.put(
        "in/annotations.xml",
        cat("<?xml version=\"1.0\"?>\n<annotations>\n<meta><task><labels><label><name>dog</name>"
            "</label><label><name>cat</name></label></labels></task></meta>\n"
            "<image id=\"0\" name=\"one.png\" width=\"100\" height=\"50\">\n"
            "<box label=\"cat\" xtl=\"10\" ytl=\"5\" xbr=\"30\" ybr=\"25\"/>\n"
            "<box label=\"dog\" xtl=\"40\" ytl=\"10\" xbr=\"60\" ybr=\"20\" rotation=\"90\"/>\n"
            "<polygon label=\"cat\" points=\"1,1;11,1;6,21\"/>\n"
            "<polyline label=\"cat\" points=\"1,1;11,1\"/>\n</image>\n"
            "<image id=\"1\" name=\"two.png\" width=\"100\" height=\"50\"/>\n",
            more, "</annotations>\n"));
  }
};

TEST_F(ImportCvat, BoxesTurnedBoxesAndPolygons) {
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("pets.names"), "dog\ncat\n");
  EXPECT_EQ(get("labels/one.txt"),
            "1 0.20000000 0.30000000 0.20000000 0.40000000\n"
            "0 0.50000000 0.30000000 0.10000000 0.40000000\n"
            "1 0.06000000 0.22000000 0.10000000 0.40000000\n");
  EXPECT_EQ(get("labels/two.txt"), "");
  expect_said(r,
              "turned boxes replaced by the upright boxes around them: 1, the first at "
              "in/annotations.xml:6");
  expect_said(r, "<polyline> left out, which are no boxes: 1");
  expect_trains();
}

TEST_F(ImportCvat, TracksAreReadWithTheirFrames) {
  const std::string track =
      "<track id=\"0\" label=\"dog\">\n"
      "<box frame=\"3\" outside=\"0\" xtl=\"10\" ytl=\"5\" xbr=\"30\" ybr=\"25\"/>\n"
      "<box frame=\"4\" outside=\"1\" xtl=\"10\" ytl=\"5\" xbr=\"30\" ybr=\"25\"/></track>\n";
  put_xml(track);
  expect_error(import(), "in/annotations.xml:12: there is no image 'frame_000003.*'");
  put_image("in/images/frame_000003.png");
  ASSERT_EQ(import().exit_code, 0);
  EXPECT_EQ(get("labels/frame_000003.txt"), "0 0.20000000 0.30000000 0.20000000 0.40000000\n");
}

TEST_F(ImportCvat, ErrorsNameFileAndLine) {
  put_xml("<image id=\"2\" name=\"three.png\" width=\"100\" height=\"50\"/>\n");
  expect_error(import(), "in/annotations.xml:11: there is no image 'three.png'");
  put_xml("<image id=\"2\" width=\"100\" height=\"50\"/>\n");
  expect_error(import(), "in/annotations.xml:11: <image> without name=");
}

class ImportCsv : public ImportData {};

TEST_F(ImportCsv, TensorFlowsColumns) {
  for (const char* name : {"in/train/a.jpg", "in/train/b b.jpg", "in/test/c.jpg"}) put_image(name);
  at_.put("in/train_labels.csv",
          "filename,width,height,class,xmin,ymin,xmax,ymax\n"
          "a.jpg,100,50,cat,10,5,30,25\na.jpg,100,50,\"dog, big\",40,10,60,20\n"
          "b b.jpg,100,50,cat,0,0,100,50\n");
  at_.put("in/test_labels.csv",
          "filename,width,height,class,xmin,ymin,xmax,ymax\nc.jpg,100,50,cat,10,5,30,25\n");
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("pets.names"), "cat\ndog, big\n");
  EXPECT_EQ(get("labels/train/a.txt"),
            "0 0.20000000 0.30000000 0.20000000 0.40000000\n"
            "1 0.50000000 0.30000000 0.20000000 0.20000000\n");
  EXPECT_EQ(get("labels/train/b b.txt"), "0 0.50000000 0.50000000 1.00000000 1.00000000\n");
  EXPECT_NE(get("pets.data").find("valid = " + path("test.txt")), std::string::npos);
  expect_trains();
}

TEST_F(ImportCsv, RetinaNetsLinesWithoutAHeader) {
  for (const char* name : {"in/a.jpg", "in/b.jpg", "in/c.jpg"}) put_image(name);
  at_.put("in/boxes.csv", "a.jpg,10,5,30,25,cat\nb.jpg,,,,,\nc.jpg,10,5,30,25,cat\n");
  ASSERT_EQ(import().exit_code, 0);
  EXPECT_EQ(get("labels/a.txt"), "0 0.20000000 0.30000000 0.20000000 0.40000000\n");
  EXPECT_EQ(get("labels/b.txt"), "");
  expect_trains();
}

TEST_F(ImportCsv, OpenImagesFractionsNamesAndGroups) {
  put_image("in/train/0a1b.jpg");
  put_image("in/validation/2c3d.jpg");
  const std::string header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n";
  at_.put("in/train-annotations-bbox.csv", header +
                                               "0a1b,x,/m/01,1,.1,.3,.1,.5,0\n"
                                               "0a1b,x,/m/02,1,0,1,0,1,1\n");
  at_.put("in/validation-annotations-bbox.csv", header + "2c3d,x,/m/02,1,.1,.3,.1,.5,0\n");
  at_.put("in/class-descriptions-boxable.csv", "/m/01,Cat\n/m/02,\"Dog\"\n/m/03,Owl\n");
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("pets.names"), "Cat\nDog\n");
  EXPECT_EQ(get("labels/train/0a1b.txt"), "0 0.20000000 0.30000000 0.20000000 0.40000000\n");
  EXPECT_EQ(get("difficult/labels/train/0a1b.txt"),
            "1 0.50000000 0.50000000 1.00000000 1.00000000\n");
  EXPECT_NE(get("pets.data").find("valid = " + path("validation.txt")), std::string::npos);
  expect_trains();
}

TEST_F(ImportCsv, ErrorsNameFileAndLine) {
  put_image("in/a.jpg");
  const auto with = [&](const std::string& line) {
    at_.put("in/x.csv", "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,10,5,30,25\n" + line);
    return import();
  };
  expect_error(with("a.jpg,cat,10,5,30\n"), "in/x.csv:3: has 5 columns, the first line 6");
  expect_error(with("a.jpg,cat,10,5,thirty,25\n"), "in/x.csv:3: xmax is 'thirty'");
  expect_error(with("b.jpg,cat,10,5,30,25\n"), "in/x.csv:3: there is no image 'b.jpg'");
  expect_error(with("a.jpg,caf\xe9,10,5,30,25\n"), "in/x.csv:3: the class 'caf");
  at_.put("in/x.csv", "filename;class;xmin;ymin;xmax;ymax\n");
  expect_error(import({"-format", "csv"}), "in/x.csv:1: expected the names of columns");
  expect_error(with(""), "1 image in a single group");
}

class ImportYolo : public ImportData {
 protected:
  ImportYolo() {
    for (const char* split : {"train", "val"})
      for (const char* name : {"a", "b"}) {
        put_image(cat("in/images/", split, "/", name, ".jpg"));
        at_.put(cat("in/labels/", split, "/", name, ".txt"), "1 .2 .3 .2 .4\n");
      }
  }
};

TEST_F(ImportYolo, DataYaml) {
  at_.put("in/data.yaml",
          "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n");
  at_.put("in/labels/train/b.txt", "0 .1 .1 .3 .1 .3 .5\n");  // an outline
  at_.remove("in/labels/val/b.txt");
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("pets.names"), "cat\ndog\n");
  EXPECT_EQ(get("labels/train/a.txt"), "1 0.20000000 0.30000000 0.20000000 0.40000000\n");
  EXPECT_EQ(get("labels/train/b.txt"), "0 0.20000000 0.30000000 0.20000000 0.40000000\n");
  EXPECT_EQ(get("labels/val/b.txt"), "");
  expect_said(r, "images without a label file taken as images without objects: 1");
  expect_trains();
}

TEST_F(ImportYolo, FoldersOfSplitsWithNamesBesideThem) {
  at_.put("in/classes.txt", "cat\ndog\n");
  const CommandResult r = import({"-names", "dog,cat"});  // another order
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("labels/train/a.txt").substr(0, 2), "0 ");
  EXPECT_EQ(lines_of(get("val.txt")).size(), 2u);
  expect_trains();
}

TEST_F(ImportYolo, CvatsDataFileAndFlatFolders) {
  fs::remove_all(at_.path("in"));
  for (const char* name : {"a", "b", "c"}) {
    put_image(cat("in/obj_train_data/", name, ".jpg"));
    at_.put(cat("in/obj_train_data/", name, ".txt"), "1 .2 .3 .2 .4\n");
  }
  at_.put("in/obj.names", "cat\ndog\n");
  at_.put("in/obj.data", "classes = 2\ntrain = train.txt\nnames = obj.names\nbackup = backup/\n");
  at_.put("in/train.txt", "obj_train_data/a.jpg\nobj_train_data/b.jpg\nobj_train_data/c.jpg\n");
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  expect_said(r, "the split 'train' does not say which images validate; chosen at random: 1 image");
  EXPECT_EQ(lines_of(get("train.txt")).size(), 2u);
  expect_trains();
}

// Its paths are those of the folder into which Darknet's users unpack it.
TEST_F(ImportYolo, CvatsPathsBeginWithData) {
  fs::remove_all(at_.path("in"));
  std::string list;
  for (const char* name : {"a", "b", "c"}) {
    put_image(cat("in/obj_train_data/", name, ".jpg"));
    at_.put(cat("in/obj_train_data/", name, ".txt"), "1 .2 .3 .2 .4\n");
    list += cat("data/obj_train_data/", name, ".jpg\n");
  }
  at_.put("in/obj.names", "cat\ndog\n");
  at_.put("in/obj.data",
          "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n");
  at_.put("in/train.txt", list);
  at_.put("data/obj.names", "of\nanother set\n");  // in the working folder
  const CommandResult r = import();
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(get("labels/obj_train_data/a.txt").substr(0, 2), "1 ");
  EXPECT_EQ(get("pets.names"), "cat\ndog\n");
  at_.put("in/train.txt", list + "data/obj_train_data/none.jpg\n");
  const CommandResult missing = run({"in", "out/other"});
  EXPECT_EQ(missing.exit_code, 1) << missing.all();
  EXPECT_TRUE(test::said(missing, "in/train.txt:4: no such image")) << missing.all();
}

TEST_F(ImportYolo, AbsoluteListsOfAFolderThatIsNamedRelatively) {
  ASSERT_EQ(at_.darknet({"synth", "drawn", "-n", "4", "-test", "1", "-size", "64x64"}).exit_code,
            0);
  const CommandResult r = run({"drawn", "out/pets"});
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_EQ(lines_of(get("train.txt")).size(), 3u);
  EXPECT_FALSE(test::said(r, " share ")) << r.all();
  // What an import made is a data set of one format.
  EXPECT_EQ(run({"out/pets", "out/again"}).exit_code, 0);
}

TEST_F(ImportYolo, ListsMayNameThroughLinksButNotTwoImagesByOneName) {
  fs::create_directory_symlink(at_.path("in"), at_.path("link"));
  const std::string images = fs::canonical(at_.path("in/images")).string();
  at_.put("in/x.names", "cat\ndog\n");
  at_.put("in/x.data", "classes = 2\ntrain = train.txt\nvalid = val.txt\nnames = x.names\n");
  at_.put("in/train.txt", images + "/train/a.jpg\n");
  put_image("in/images/val/a.jpg");
  at_.put("in/val.txt", images + "/val/a.jpg\n");
  const CommandResult r = run({"link", "out/pets"});
  ASSERT_EQ(r.exit_code, 0) << r.all();
  EXPECT_TRUE(at_.has("out/pets/images/train/a.jpg") && at_.has("out/pets/images/val/a.jpg"));
  for (const char* folder : {"p", "q"}) put_image(cat("elsewhere/", folder, "/a.jpg"));
  at_.put("in/train.txt", at_.path("elsewhere/p/a.jpg").string() + "\n");
  at_.put("in/val.txt", at_.path("elsewhere/q/a.jpg").string() + "\n");
  const CommandResult two = run({"in", "out/other"});
  EXPECT_EQ(two.exit_code, 1) << two.all();
  EXPECT_TRUE(test::said(two, "would share its label file")) << two.all();
}

TEST_F(ImportYolo, BoxesOutsideOfTheirImagesAreCountedApart) {
  at_.put("in/classes.txt", "cat\ndog\n");
  at_.put("in/labels/train/a.txt", "0 .5 .5 .2 .2\n0 1.4 .5 .2 .2\n0 .5 .5 0 .2\n");
  const CommandResult r = import();
  expect_said(r, "boxes outside of their images left out: 1");
  expect_said(r, "empty boxes left out: 1");
}

TEST_F(ImportYolo, MissingNamesAreReportedWithTheErrorsBefore) {
  at_.put("in/x.data", "classes = 2\ntrain = train.txt\n");
  at_.put("in/train.txt", "images/train/none.jpg\nimages/train/a.jpg\n");
  const CommandResult r = import();
  expect_error(r, "the names of the classes are unknown");
  expect_error(r, "none.jpg");
}

// The only copies of the images may be those of the import that -force replaces.
TEST_F(ImportYolo, ImagesOfTheReplacedImportAreNoSource) {
  at_.put("in/classes.txt", "cat\ndog\n");
  ASSERT_EQ(import({"-copy"}).exit_code, 0);
  const std::string image = path("images/train/a.jpg");
  ASSERT_TRUE(at_.has("out/pets/images/train/a.jpg"));
  at_.put("list/x.names", "cat\ndog\n");
  at_.put("list/x.data", "classes = 2\ntrain = train.txt\nvalid = valid.txt\nnames = x.names\n");
  at_.put("list/c.jpg", at_.get("in/images/train/a.jpg"));
  at_.put("list/c.txt", "");
  at_.put("list/valid.txt", at_.path("list/c.jpg").string() + "\n");
  at_.put("list/train.txt", image + "\n");
  const auto expect_kept = [&] {
    const CommandResult r = run({"list", "out/pets", "-force"});
    EXPECT_EQ(r.exit_code, 1) << r.all();
    EXPECT_TRUE(test::said(r, "this image lies in out/pets")) << r.all();
    EXPECT_TRUE(at_.has("out/pets/images/train/a.jpg") && at_.has("out/pets/pets.data"));
  };
  expect_kept();
  fs::create_symlink(image, at_.path("list/b.jpg"));
  at_.put("list/b.txt", "");
  at_.put("list/train.txt", at_.path("list/b.jpg").string() + "\n");
  expect_kept();
  const CommandResult elsewhere = run({"list", "out/other"});
  EXPECT_EQ(elsewhere.exit_code, 0) << elsewhere.all();
}

TEST_F(ImportYolo, ErrorsNameFileAndLine) {
  expect_error(import(), "the names of the classes are unknown");
  at_.put("in/classes.txt", "cat\n");
  expect_error(import(), "in/labels/train/a.txt:1: class 1, of 1 name");
  at_.put("in/classes.txt", "cat\ndog\n");
  at_.put("in/labels/train/b.txt", "0 .1 .1 .2 .2 .9\n");
  expect_error(import(), "in/labels/train/b.txt:1: expected class, x, y");
  at_.put("in/labels/train/b.txt", "0 50 50 20 20\n");
  expect_error(import(), "in/labels/train/b.txt:1: 50 is no fraction of the image: divide pixels");
  expect_error(import({"-names", "clases.txt"}), "clases.txt");
}

}  // namespace
}  // namespace darknet
