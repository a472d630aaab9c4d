// Runs scripts/*.py on data sets of a few images.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "dataset/labels.h"
#include "paths.h"
#include "shell_command.h"
#include "temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

using test::run_in_shell;
using Ran = test::ShellResult;

std::string object(const std::string& name, const std::string& box, bool difficult = false) {
  const std::array<const char*, 4> keys = {"xmin", "ymin", "xmax", "ymax"};
  std::istringstream values(box);
  std::string xml =
      cat("<object><name>", name, "</name><difficult>", difficult ? 1 : 0, "</difficult><bndbox>");
  for (const char* key : keys) {
    std::string value;
    values >> value;
    xml += cat("<", key, ">", value, "</", key, ">");
  }
  return xml + "</bndbox></object>";
}

std::string annotation(const std::string& objects, int width = 100, int height = 50) {
  return cat("<annotation><size><width>", width, "</width><height>", height, "</height></size>",
             objects, "</annotation>");
}

class ScriptsTest : public testing_files::InFolder {
 protected:
  void SetUp() override {
    if (run_in_shell("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
    fs::create_directories(folder_ / "voc");
  }

  void put(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomically(folder_ / name, text);
  }
  std::string get(const fs::path& name) const { return read_file(folder_ / name, 1 << 20); }
  std::string path(const fs::path& name) const { return (folder_ / name).string(); }
  Ran run_script(const std::string& name, const std::string& arguments) const {
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B '",
                            test::source_dir().string(), "/scripts/", name, "' ", arguments));
  }

  void put_voc() const {
    put("voc/JPEGImages/a.jpg", "image a");
    put("voc/JPEGImages/b.PNG", "image b");
    put("voc/JPEGImages/c.jpg", "image c");
    put("voc/Annotations/a.xml", annotation(object("cat", "11 6 30 25") +    // exact
                                            object("dog", "91 41 120 60") +  // hangs over
                                            object("cat", "1 1 100 50", true)));
    put("voc/Annotations/b.xml", annotation(object("dog", "20 20 20 20")));  // empty
    put("voc/Annotations/c.xml", annotation(""));
    put("voc/ImageSets/Main/trainval.txt", "a\nb\n");
    put("voc/ImageSets/Main/test.txt", "c\n");
    put("voc/ImageSets/Main/cat_test.txt", "c -1\n");
  }
  Ran run_voc(const std::string& options = "") const {
    return run_script("voc_to_darknet.py", "voc out/pets " + options);
  }
  // Expects exit 1, a message that holds `said`, and that nothing was written.
  void expect_error(const Ran& ran, const std::string& said) const {
    EXPECT_EQ(ran.exit_code, 1) << ran.output;
    EXPECT_NE(ran.output.find(said), std::string::npos) << ran.output;
    EXPECT_EQ(ran.output.find("Traceback"), std::string::npos) << ran.output;
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }
};

TEST_F(ScriptsTest, VocBoxesCountFromOneAndAreClipped) {
  put_voc();
  const Ran ran = run_voc();
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(get("out/pets/labels/a.txt"),
            "0 0.20000000 0.30000000 0.20000000 0.40000000\n"
            "1 0.95000000 0.90000000 0.10000000 0.20000000\n");
  EXPECT_EQ(get("out/pets/labels/b.txt"), "");
  EXPECT_EQ(get("out/pets/labels/c.txt"), "");
  EXPECT_NE(ran.output.find("voc/Annotations/b.xml: empty box (20, 20, 20, 20)"),
            std::string::npos);
  EXPECT_NE(ran.output.find("3 images, 2 boxes, 1 kept aside in difficult/; 1 clipped to the "
                            "image, 1 empty ones skipped"),
            std::string::npos)
      << ran.output;
}

TEST_F(ScriptsTest, VocBoxesThatEndAtTheEdgeAreReadWhole) {
  put_voc();
  std::string objects;
  for (int i = 2; i < 200; ++i)
    objects += object("cat", cat(i, " ", i, " 640 480")) + object("dog", cat("1 1 ", i, " ", i));
  put("voc/Annotations/a.xml", annotation(objects, 640, 480));
  ASSERT_EQ(run_voc().exit_code, 0);
  const Labels labels = read_labels(folder_ / "out/pets/images/a.jpg", 2);
  EXPECT_EQ(labels.truths.size(), 396u);
  EXPECT_EQ(labels.clipped, 0);
}

TEST_F(ScriptsTest, VocDifficultObjectsAreKeptAside) {
  put_voc();
  ASSERT_EQ(run_voc("--valid trainval").exit_code, 0);
  EXPECT_EQ(get("out/pets/difficult/labels/a.txt"),
            "0 0.50000000 0.50000000 1.00000000 1.00000000\n");
  EXPECT_EQ(get("out/pets/difficult/labels/b.txt"), "");
  EXPECT_EQ(get("out/pets/difficult/trainval.txt"), path("out/pets/difficult/images/a.jpg") + "\n" +
                                                        path("out/pets/difficult/images/b.PNG") +
                                                        "\n");
  EXPECT_FALSE(fs::exists(folder_ / "out/pets/difficult/test.txt"));
  EXPECT_NE(get("out/pets/pets.data").find("difficult = " + path("out/pets/difficult/trainval")),
            std::string::npos);
}

TEST_F(ScriptsTest, VocListsNamesAndData) {
  put_voc();
  ASSERT_EQ(run_voc().exit_code, 0);
  EXPECT_EQ(get("out/pets/trainval.txt"),
            path("out/pets/images/a.jpg") + "\n" + path("out/pets/images/b.PNG") + "\n");
  EXPECT_EQ(get("out/pets/test.txt"), path("out/pets/images/c.jpg") + "\n");
  EXPECT_FALSE(fs::exists(folder_ / "out/pets/cat_test.txt"));
  EXPECT_EQ(get("out/pets/pets.names"), "cat\ndog\n");
  EXPECT_EQ(get("out/pets/pets.data"),
            cat("classes = 2\ntrain = ", path("out/pets/trainval.txt"),
                "\nvalid = ", path("out/pets/test.txt"), "\nnames = ", path("out/pets/pets.names"),
                "\nbackup = ", path("out/pets/backup"), "\n"));
}

TEST_F(ScriptsTest, VocImagesAreLinkedOrCopied) {
  put_voc();
  ASSERT_EQ(run_voc().exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(folder_ / "out/pets/images/a.jpg"));
  EXPECT_EQ(get("out/pets/images/b.PNG"), "image b");
  ASSERT_EQ(run_voc("--copy").exit_code, 0);  // over the links
  EXPECT_FALSE(fs::is_symlink(folder_ / "out/pets/images/a.jpg"));
  EXPECT_EQ(get("out/pets/images/a.jpg"), "image a");
  ASSERT_EQ(run_voc().exit_code, 0);  // a copy of the same image may stay
  put("out/pets/images/a.jpg", "another");
  const Ran ran = run_voc();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("out/pets/images/a.jpg"), std::string::npos) << ran.output;
  EXPECT_EQ(get("out/pets/images/a.jpg"), "another");
}

TEST_F(ScriptsTest, VocNamesGiveTheOrder) {
  put_voc();
  ASSERT_EQ(run_voc("--names dog,bird,cat").exit_code, 0);
  EXPECT_EQ(get("out/pets/labels/a.txt").substr(0, 2), "2 ");
  EXPECT_EQ(get("out/pets/pets.names"), "dog\nbird\ncat\n");
}

TEST_F(ScriptsTest, VocErrorsNameTheFile) {
  put_voc();
  expect_error(run_voc("--names cat"), "voc/Annotations/a.xml: the class 'dog'");
  expect_error(run_voc("--names cat,dog,cat"), "'cat' is there twice");
  expect_error(run_voc("--train nothing"), "voc/ImageSets/Main/nothing.txt");
  const std::string good = get("voc/Annotations/c.xml");
  put("voc/Annotations/c.xml", "<annotation><size>");
  expect_error(run_voc(), "voc/Annotations/c.xml: malformed XML");
  put("voc/Annotations/c.xml", "<annotation/>");
  expect_error(run_voc(), "voc/Annotations/c.xml: <annotation> without <size");
  put("voc/Annotations/c.xml",
      "<annotation><size><width>0</width><height>5</height></size></annotation>");
  expect_error(run_voc(), "voc/Annotations/c.xml: width is 0");
  put("voc/Annotations/c.xml", annotation(object("cat", "1 nan 9 9")));
  expect_error(run_voc(), "voc/Annotations/c.xml: ymin is 'nan'");
  fs::remove(folder_ / "voc/Annotations/c.xml");
  expect_error(run_voc(), "voc/Annotations/c.xml: no such annotation");
  put("voc/Annotations/c.xml", good);
  fs::remove(folder_ / "voc/JPEGImages/b.PNG");
  expect_error(run_voc(), "voc/JPEGImages/b.*: no such image");
  fs::remove_all(folder_ / "voc/ImageSets");
  expect_error(run_voc(), "voc/ImageSets/Main: No such file");
}

constexpr const char* kCoco = R"({
 "images": [{"id": 7, "file_name": "x.jpg", "width": 200, "height": 100},
            {"id": 3, "file_name": "deep/y.jpg", "width": 10, "height": 10}],
 "categories": [{"id": 90, "name": "tooth brush"}, {"id": 1, "name": "person"}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 90, "bbox": [20, 10, 40, 20], "iscrowd": 0},
  {"id": 2, "image_id": 7, "category_id": 1, "bbox": [-10, 50, 20, 60], "iscrowd": 0},
  {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 100], "iscrowd": 1},
  {"id": 4, "image_id": 3, "category_id": 1, "bbox": [5, 5, 0, 3], "iscrowd": 0}]})";

class CocoScriptTest : public ScriptsTest {
 protected:
  void put_coco(const std::string& json) const {
    put("in/x.jpg", "image x");
    put("in/deep/y.jpg", "image y");
    put("instances_tiny.json", json);
  }
  Ran run_coco(const std::string& options = "") const {
    return run_script("coco_to_darknet.py", "instances_tiny.json in out/coco " + options);
  }
  Ran run_changed(const std::string& from, const std::string& to) const {
    std::string json = kCoco;
    const auto at = json.find(from);
    EXPECT_NE(at, std::string::npos);
    put_coco(json.replace(at, from.size(), to));
    return run_coco();
  }
};

TEST_F(CocoScriptTest, BoxesClassesAndLists) {
  put_coco(kCoco);
  const Ran ran = run_coco();
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(get("out/coco/labels/x.txt"),
            "1 0.20000000 0.20000000 0.20000000 0.20000000\n"
            "0 0.02500000 0.75000000 0.05000000 0.50000000\n");
  EXPECT_EQ(get("out/coco/labels/deep/y.txt"), "");
  EXPECT_EQ(get("out/coco/difficult/labels/x.txt"),
            "0 0.25000000 0.50000000 0.50000000 1.00000000\n");
  EXPECT_EQ(get("out/coco/images/deep/y.jpg"), "image y");
  EXPECT_EQ(get("out/coco/coco.names"), "person\ntooth brush\n");
  EXPECT_EQ(get("out/coco/tiny.txt"),
            path("out/coco/images/x.jpg") + "\n" + path("out/coco/images/deep/y.jpg") + "\n");
  EXPECT_NE(ran.output.find("2 images, 2 boxes, 1 kept aside in difficult/; 1 clipped to the "
                            "image, 1 empty ones skipped"),
            std::string::npos)
      << ran.output;
}

TEST_F(CocoScriptTest, TwoCallsMakeOneDataFile) {
  put_coco(kCoco);
  ASSERT_EQ(run_coco("--as train --list first").exit_code, 0);
  EXPECT_EQ(get("out/coco/coco.data").find("valid"), std::string::npos);
  ASSERT_EQ(run_coco("--as valid --list second").exit_code, 0);
  EXPECT_NE(get("out/coco/coco.data")
                .find(cat("train = ", path("out/coco/first.txt"),
                          "\nvalid = ", path("out/coco/second.txt"), "\n")),
            std::string::npos);
  put("out/coco/coco.names", "person\n");
  const Ran ran = run_coco("--as valid --list second");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("out/coco/coco.names"), std::string::npos) << ran.output;
}

TEST_F(CocoScriptTest, ErrorsNameTheFile) {
  expect_error(run_coco(), "instances_tiny.json: No such file");
  expect_error(run_changed("]}", "]"), "instances_tiny.json: malformed JSON");
  expect_error(run_changed("\"images\"", "\"frames\""), "instances_tiny.json: 'images'");
  expect_error(run_changed("\"category_id\": 90", "\"category_id\": 8"), "annotation 1");
  expect_error(run_changed("\"image_id\": 3", "\"image_id\": 4"), "annotation 4: image_id 4");
  expect_error(run_changed("[20, 10, 40, 20]", "[20, 10, NaN, 20]"), "annotation 1: bbox");
  expect_error(run_changed("\"width\": 200, ", ""), "instances_tiny.json: image 7: width");
  expect_error(run_changed("\"id\": 90", "\"id\": 1"), "the category 1 is there twice");
  expect_error(run_changed("deep/y.jpg", "../in/x.jpg"), "'../in/x.jpg': not a file name");
  expect_error(run_changed("deep/y.jpg", "z.jpg"), "in/z.jpg: no such image");
  expect_error(run_changed("deep/y.jpg", "./x.jpg"), "shares its label file");
}

// "3 maxpool 208 x 208 x 16" for every layer, of what `darknet net info` prints.
std::string layers_of(const std::string& net_info) {
  std::string all;
  std::istringstream lines(net_info);
  for (std::string line; std::getline(lines, line);) {
    const auto arrow = line.find(" -> ");
    std::istringstream words(line.substr(0, arrow));
    std::string index, type, w, h, c, x;
    if (arrow == line.npos || !(words >> index >> type) || index == "layer") continue;
    std::istringstream shape(line.substr(arrow + 4));
    shape >> w >> x >> h >> x >> c;
    all += cat(index, " ", type, " ", w, " x ", h, " x ", c, "\n");
  }
  return all;
}

TEST_F(ScriptsTest, TheTorchBenchBuildsTheSameLayers) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "cfg")) {
    if (entry.path().extension() != ".cfg") continue;
    const std::string cfg = "'" + entry.path().string() + "'";
    const Ran listed = run_script("bench_torch.py", cfg + " --list");
    const Ran info = run_in_shell(cat("'", test::program().string(), "' net info ", cfg));
    ASSERT_EQ(info.exit_code, 0) << info.output;
    EXPECT_EQ(listed.exit_code, 0) << listed.output;
    EXPECT_EQ(listed.output, layers_of(info.output)) << cfg;
    ++compared;
  }
  EXPECT_GE(compared, 9);
}

// Without PyTorch: what is read before it is needed.
TEST_F(ScriptsTest, TheTwoStageDetectorReadsDarknetsDataSets) {
  put("x.data", "classes = 2\n# train\ntrain\n");
  expect_error(run_script("two_stage_torch.py", "x.data"), "x.data:3: expected key = value");
  put("x.data", "classes = 2\ntrain = train.txt\n");
  expect_error(run_script("two_stage_torch.py", "x.data"),
               "x.data: the line valid = ... is missing");
  put("set/labels/a.txt", "1 .5 .5 .2 .4\n\n0 .99 .5 .04 1\n");
  put("read.py", cat("import sys\nsys.path.insert(0, '", test::source_dir().string(),
                     "/scripts')\nimport two_stage_torch as t\n"
                     "def main():\n  for o in t.read_labels('set/images/a.jpg', (100, 50), 2):\n"
                     "    print(*(f'{v:g}' for v in o))\nt.layout.run(main)\n"));
  const auto read = [&] {
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B read.py"));
  };
  EXPECT_EQ(read().output, "1 40 15 60 35\n0 97 0 100 50\n");  // a pixel of overhang is cut
  put("set/labels/a.txt", "1 .5 .5 .2 .4\n2 .5 .5 .2 .4\n");
  expect_error(read(), "set/labels/a.txt:2: class '2' is not among 0 to 1");
  put("set/labels/a.txt", "1 .99 .5 .2 .4\n");
  expect_error(read(), "set/labels/a.txt:1: the box reaches out of the image");
}

TEST_F(ScriptsTest, ThePapersTableNamesTheWeightsThatTuningLacks) {
  put("results.json", R"({"choice": {"groups": [
    {"edges": [{"key": "obj_normalizer", "add": "auto*16"}, {"key": "obj_gamma", "add": "3"}]},
    {"edges": []}, {"edges": [{"key": "obj_normalizer", "add": "auto*16"}]}]}})");
  EXPECT_EQ(run_script("paper_table.py", "edges results.json").output, "auto*16\n");
  EXPECT_EQ(run_script("paper_table.py", "edges none.json").output, "\n");
  put("results.json", "{");
  expect_error(run_script("paper_table.py", "edges results.json"), "results.json: malformed JSON");
}

TEST_F(ScriptsTest, TextIsWrittenInTheWorkingFolder) {
  put("write.py", cat("import sys\nsys.path.insert(0, '", test::source_dir().string(),
                      "/scripts')\nimport darknet_layout as layout\n"
                      "layout.write_text('two_stage.json', 'x')\n"
                      "layout.write_text('a/b.json', 'y')\n"));
  const Ran ran = run_in_shell(cat("cd '", folder_.string(), "' && python3 -B write.py"));
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(get("two_stage.json"), "x");
  EXPECT_EQ(get("a/b.json"), "y");
}

// Labels are of the image as it is looked at.
TEST_F(ScriptsTest, TheTwoStageDetectorTurnsImagesAsTheirCameraWasHeld) {
  if (run_in_shell("python3 -c 'import PIL'").exit_code != 0) GTEST_SKIP() << "no Pillow";
  put("turn.py", cat("import os, sys\nsys.path.insert(0, '", test::source_dir().string(),
                     "/scripts')\nimport two_stage_torch as t\nfrom PIL import Image\n"
                     "os.makedirs('images'), os.makedirs('labels')\n"
                     "for o in 1, 3, 5, 6, 8:\n"
                     "  exif = Image.Exif()\n  exif[0x0112] = o\n"
                     "  Image.new('RGB', (40, 20)).save(f'images/{o}.jpg', exif=exif)\n"
                     "  open(f'labels/{o}.txt', 'w').write('0 .5 .5 .5 1\\n')\n"
                     "open('list.txt', 'w').write(''.join(f'images/{o}.jpg\\n' for o in "
                     "(1, 3, 5, 6, 8)))\n"
                     "images = t.Images('list.txt', 1)\n"
                     "print(images.sizes, images.objects[3][0])\n"));
  EXPECT_EQ(run_in_shell(cat("cd '", folder_.string(), "' && python3 -B turn.py")).output,
            "[(40, 20), (40, 20), (20, 40), (20, 40), (20, 40)] (0, 5.0, 0.0, 15.0, 40.0)\n");
}

// A program that notes its calls and finds the same in all weights.
class PaperScripts : public ScriptsTest {
 protected:
  void SetUp() override {
    ScriptsTest::SetUp();
    put("darknet", cat("#!/bin/sh\necho \"$*\" >>'", path("calls"),
                       "'\nfor last; do :; done\ncase $* in\n*-points*) echo '{\"map\": 0.5, "
                       "\"coco\": {\"ap\": 0.25, \"small\": {\"ap\": -1}, \"medium\": {\"ap\": "
                       "0.25}, \"large\": {\"ap\": 0.25}}}' >\"$last\" ;;\n"
                       "*calc_anchors*) echo 'anchors = 1,2, 3,4' ;;\nesac\n"));
    fs::permissions(folder_ / "darknet", fs::perms::owner_all);
    put("x.data", "classes = 2\n");
  }
  // One run of one variant, and how many more are missing.
  void put_sweep(const std::string& folder, int missing) const {
    put(folder + "/ce-seed1/x_final.weights", "weights");
    put(folder + "/ce-seed1/x.cfg", "cfg");
    fs::remove(folder_ / folder / "results.json");
    put(folder + "/results.json",
        cat(R"({"cfg": "x.cfg", "variants": [{"name": "ce", "keys": [], "diverged": 0, "missing": )",
            missing, R"(}], "runs": [{"variant": "ce", "seed": 1, "state": "finished", )",
            R"("training_seconds": 3}]})"));
  }
  std::string table() const {
    const Ran ran = run_script("paper_table.py", "table ./darknet x.data out");
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    return ran.output;
  }
  std::int64_t calls() const {
    const std::string all = get("calls");
    return std::count(all.begin(), all.end(), '\n');
  }
};

TEST_F(PaperScripts, OtherWeightsAreScoredAnew) {
  put_sweep("out/rows", 0);
  EXPECT_NE(table().find("| 1 | 50.0 | 50.0 | 25.0 | - | 25.0 | 25.0 | 3 s |"), std::string::npos);
  EXPECT_EQ(calls(), 2);
  table();
  EXPECT_EQ(calls(), 2);
  fs::remove(folder_ / "out/rows/ce-seed1/x_final.weights");
  put("out/rows/ce-seed1/x_final.weights", "WEIGHTS");
  table();
  EXPECT_EQ(calls(), 4);
}

TEST_F(PaperScripts, AnUnfinishedConfirmationIsNotConfirmed) {
  put_sweep("out/tuning/confirm", 1);
  const std::string part = table();
  EXPECT_EQ(part.find("confirmed on fresh seeds"), std::string::npos) << part;
  EXPECT_NE(part.find("1 of the confirmation's runs are missing"), std::string::npos) << part;
  put_sweep("out/tuning/confirm", 0);
  const std::string whole = table();
  EXPECT_NE(whole.find("confirmed on fresh seeds"), std::string::npos) << whole;
  EXPECT_EQ(whole.find("missing"), std::string::npos) << whole;
}

TEST_F(PaperScripts, ACfgOfAnotherCallIsRefused) {
  const auto run = [&](const std::string& settings) {
    return run_in_shell(cat("cd '", folder_.string(), "' && OUT=out DARKNET=./darknet TUNE=0 ",
                            "TWO_STAGE=0 ROWS=ce ", settings, " '", test::source_dir().string(),
                            "/scripts/reproduce_paper.sh' plates 2>&1"));
  };
  put("y.data", "classes = 2\n");
  fs::create_directories(folder_ / "out/rows");  // which the sweep would leave
  for (int again = 0; again < 2; ++again) {
    const Ran ran = run("DATA=x.data SIZE=64x32");
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
  }
  EXPECT_NE(get("out/paper.cfg").find("\nanchors=1,2, 3,4\n"), std::string::npos);
  const Ran size = run("DATA=x.data SIZE=96x32"), data = run("DATA=y.data SIZE=64x32");
  EXPECT_EQ(size.exit_code, 1);
  EXPECT_NE(size.output.find("paper.cfg is of another call: it has no line 'width=96'"),
            std::string::npos)
      << size.output;
  EXPECT_EQ(data.exit_code, 1);
  EXPECT_NE(data.output.find("no line '# Anchors of "), std::string::npos) << data.output;
}

TEST_F(ScriptsTest, TheSyntheticNetworkIsWhatItsScriptWrites) {
  const fs::path data = test::test_data() / "synthetic";
  const Ran made =
      run_in_shell(cat("python3 -B '", (data / "make.py").string(), "' '", folder_.string(), "'"));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  for (const char* name : {"synthetic.cfg", "synthetic.weights"})
    EXPECT_TRUE(get(name) == read_file(data / name, 1 << 20)) << name;
}

TEST_F(ScriptsTest, TheTorchBenchRefusesWhatItCannotBuild) {
  const std::string net = "[net]\nwidth=32\nheight=32\n";
  const auto listed = [&](const std::string& layers) {
    put("x.cfg", net + layers);
    return run_script("bench_torch.py", "x.cfg --list");
  };
  EXPECT_EQ(listed("[maxpool]\nsize=3\nstride=2\npadding=1\n[route]\nlayers=-1,0\n").output,
            "0 maxpool 16 x 16 x 3\n1 route 16 x 16 x 6\n");
  expect_error(listed("[sam]\nfrom=-1\n"), "x.cfg: layer 0 [sam] (line 4): this kind");
  expect_error(listed("[convolutional]\nsize=3x\n"), "x.cfg: line 4: [convolutional] size=3x");
  expect_error(listed("[convolutional]\nactivation=elu\n"), "activation=elu is not built");
  expect_error(listed("[route]\nlayers=-1\n"), "layers before this one");
  expect_error(listed("junk\n"), "x.cfg: line 4: neither");
}

}  // namespace
}  // namespace darknet
