// Detections as files: what we write we read, and strangers' files are read strictly.
#include "dataset/detection_files.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include "dataset/coco_ids.h"
#include "dataset/label_files.h"
#include "dataset/voc_names.h"
#include "temporary_folder.h"
#include "written_results.h"

namespace darknet {
namespace {
using test::coco_results;
using test::voc_results;

ImageSet set_of(const std::vector<std::filesystem::path>& images) {
  ImageSet set{.images = ImagePaths(images), .names = {"cell", "red cell"}};
  set.sizes.assign(set.images.size(), {200, 100});
  return set;
}

std::vector<std::vector<Detection>> some() {
  return {{{{.5f, .5f, .2f, .4f}, 1, 0, .75f}}, {}, {{{.25f, .25f, .5f, .5f}, 0, 0, .125f}}};
}

class DetectionFiles : public testing_files::InFolder {
 protected:
  void expect_some(const FiledDetections& read) const {
    const auto wanted = some();
    ASSERT_EQ(read.images.size(), wanted.size());
    EXPECT_EQ(read.detections, 2);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(read.images[i].size(), wanted[i].size());
      for (std::size_t d = 0; d < wanted[i].size(); ++d) {
        const Detection &a = read.images[i][d], &b = wanted[i][d];
        EXPECT_EQ(a.class_id, b.class_id);
        EXPECT_FLOAT_EQ(a.probability, b.probability);
        EXPECT_NEAR(a.box.x, b.box.x, 1e-6);
        EXPECT_NEAR(a.box.y, b.box.y, 1e-6);
        EXPECT_NEAR(a.box.w, b.box.w, 1e-6);
        EXPECT_NEAR(a.box.h, b.box.h, 1e-6);
      }
    }
  }
  std::string refusal(const std::string& text, const std::string& name = "r.json") {
    const auto path = file(name, text);
    return testing_files::error_of([&] {
      read_detections(path, set_of({"a/x_1.png", "a/x_2.png", "a/x_7.png"}));
    });
  }
};

TEST_F(DetectionFiles, CocoIsReadAsItWasWritten) {
  for (const auto& images : {std::vector<std::filesystem::path>{"x_1.png", "x_2.png", "x_7.png"},
                             std::vector<std::filesystem::path>{"a.png", "b.png", "c.png"}}) {
    const ImageSet set = set_of(images);
    expect_some(read_detections(file("r.json", coco_results(set, some())), set));
  }
}

TEST_F(DetectionFiles, VocIsReadAsItWasWritten) {
  const ImageSet set = set_of({"x_1.png", "x_2.png", "x_7.png"});
  for (std::int64_t k = 0; k < 2; ++k)
    file("v/comp4_det_test_" + set.names[to_size(k)] + ".txt", voc_results(set, some(), k));
  file("v/readme.txt", "not a class");
  expect_some(read_detections(folder_ / "v", set));
}

TEST_F(DetectionFiles, VocBoxesAtTheEdgesAreReadToo) {
  const ImageSet set = set_of({"x_1.png"});  // 200 x 100 pixels
  const std::vector<std::vector<Detection>> thin{{{{.9995f, .5f, .001f, .2f}, 0, 0, .5f},
                                                  {{.5f, .9995f, .2f, .001f}, 0, 0, .5f},
                                                  {{1.01f, 1.01f, .001f, .001f}, 0, 0, .5f},
                                                  {{-.01f, -.01f, .001f, .001f}, 0, 0, .5f}}};
  file("v/comp4_det_test_cell.txt", voc_results(set, thin, 0));
  EXPECT_EQ(read_detections(folder_ / "v", set).detections, 4);
}

TEST_F(DetectionFiles, BoxesAreClippedToTheImage) {
  const ImageSet set = set_of({"x_1.png"});  // 200 x 100 pixels
  const std::vector<std::vector<Detection>> outside{
      {{{0, .5f, .4f, 2}, 0, 0, .5f}, {{1.5f, .5f, .2f, .2f}, 0, 0, .25f}}};
  const std::string coco = coco_results(set, outside);
  EXPECT_NE(coco.find("\"bbox\":[0.0000,0.0000,40.0000,100.0000]"), coco.npos) << coco;
  EXPECT_NE(coco.find("\"bbox\":[200.0000,40.0000,0.0000,20.0000]"), coco.npos) << coco;
  EXPECT_EQ(voc_results(set, outside, 0),
            "x_1 0.5 1.0000 1.0000 41.0000 100.0000\nx_1 0.25 200.0000 41.0000 200.0000 61.0000\n");
  EXPECT_EQ(label_lines(outside[0], true), "0 0.100000 0.500000 0.200000 1.000000 0.5\n");
}

TEST_F(DetectionFiles, AnImageMayBeCalledByItsName) {
  const ImageSet set = set_of({"a.png", "b.png"});
  const auto read = read_detections(
      file(
          "r.json",
          R"([{"file_name":"x/b.png","category_id":1,"bbox":[1,2,3,4],"score":1,"extra":{"a":[1,{}]}},
               {"image_id":"a","category_id":2,"bbox":[1,2,3,4],"score":0.5}])"),
      set);
  EXPECT_EQ(read.images[1].size(), 1u);
  EXPECT_EQ(read.images[0].at(0).class_id, 1);
}

TEST_F(DetectionFiles, VocNamesMayHoldBlanks) {
  const ImageSet set = set_of({"a b.png", "a  b.png", "c 1 2.png"});
  for (std::int64_t k = 0; k < 2; ++k)
    file("v/" + voc_file_name("d_", set.names[to_size(k)]), voc_results(set, some(), k));
  expect_some(read_detections(folder_ / "v", set));
}

TEST_F(DetectionFiles, VocNamesThatCannotBeDistinguishedAreRefused) {
  const auto why = [](ImageSet set) {
    return testing_files::error_of([&] {
      require_voc_classes(set.names);
      require_voc_images(set.images);
    });
  };
  EXPECT_EQ(why(set_of({"a/1.png", "a/2.png", "3 4.png"})), "");
  const std::string images = why(set_of({"a/1.png", "b/1.jpg"}));
  EXPECT_NE(images.find("b/1.jpg"), std::string::npos) << images;
  EXPECT_NE(images.find("a/1.png"), std::string::npos) << images;
  for (const char* name : {" 1.png", "1 .png", "1\n2.png"})
    EXPECT_NE(why(set_of({name})), "") << name;
  ImageSet set = set_of({"1.png"});
  for (const auto& names : {std::vector<std::string>{"x", "y", "x"}, {"x", "a/b", "a_b"}}) {
    set.names = names;
    EXPECT_NE(why(set).find("classes "), std::string::npos) << why(set);
  }
}

TEST_F(DetectionFiles, AWholePathOfTheListWinsOverANameWithinAnother) {
  const auto image_of = [&](const std::vector<std::filesystem::path>& images,
                            const std::string& name) {
    const ImageSet set = set_of(images);
    const auto read = read_detections(
        file("r.json",
             cat(R"([{"file_name":")", name, R"(","category_id":1,"bbox":[1,2,3,4],"score":1}])")),
        set);
    return std::find_if(read.images.begin(), read.images.end(),
                        [](const auto& found) { return !found.empty(); }) -
           read.images.begin();
  };
  EXPECT_EQ(image_of({"x/0.png", "0.png"}, "0.png"), 1);
  EXPECT_EQ(image_of({"x/0.png", "0.png"}, "x/0.png"), 0);
  EXPECT_EQ(image_of({"x/0.png", "x/x/0.png"}, "x/0.png"), 0);
  // As a list in /d names them, and one in /.
  EXPECT_EQ(image_of({"/d/x/0.png", "/d/0.png"}, "0.png"), 1);
  EXPECT_EQ(image_of({"/d/x/0.png", "/d/0.png"}, "d/0.png"), 1);
  EXPECT_EQ(image_of({"/d/x/0.png", "/d/0.png"}, "/d/x/0.png"), 0);
}

// One name for two images: a detection of either would be counted for the first.
TEST_F(DetectionFiles, AmbiguousNamesAreRefused) {
  const ImageSet set = set_of({"a/1.png", "b/1.png", "c/2.png", "c/2.bmp"});
  const auto why = [&](const std::string& name, const std::string& text) {
    const auto path = file(name, text);
    return testing_files::error_of([&] { read_detections(path, set); });
  };
  const auto coco = [&](const std::string& name) {
    return why("r.json", cat(R"([{"file_name":")", name,
                             R"(","category_id":1,"bbox":[1,2,3,4],"score":1}])"));
  };
  for (const char* name : {"1", "2"})
    EXPECT_NE(why("d_cell.txt", cat(name, " .5 1 2 3 4\n")).find("d_cell.txt:1: image '"),
              std::string::npos);
  EXPECT_NE(coco("1.png").find("'1.png' may be a/1.png or b/1.png"), std::string::npos)
      << coco("1.png");
  for (const char* name : {"a/1.png", "b/1.png", "2.png", "c/2.bmp"}) EXPECT_EQ(coco(name), "");
}

TEST_F(DetectionFiles, UnsoundOnesAreRefusedWithTheirPlace) {
  const std::string sound = R"({"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5})";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = sound;
    text.replace(text.find(from), from.size(), to);
    return "[" + sound + "," + text + "]";
  };
  EXPECT_EQ(refusal("[" + sound + "]"), "");
  EXPECT_NE(refusal(with("\"image_id\":1", "\"image_id\":3")).find("detection 2: image_id 3"),
            std::string::npos);
  EXPECT_NE(refusal(with("\"category_id\":1", "\"category_id\":9")).find("category_id 9"),
            std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,2,3]")).find("four numbers"), std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,2,3,4,5]")).find("four numbers"), std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,2,-3,4]")).find("below 0"), std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,2,1e300,4]")).find("four numbers"), std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,null,2,3,4]")).find("bbox holds null"),
            std::string::npos);
  EXPECT_NE(refusal(with("[1,2,3,4]", "[1,2,3,\"4\"]")).find("bbox holds a text"),
            std::string::npos);
  EXPECT_NE(refusal(with("0.5", "1e300")).find("and a score"), std::string::npos);
  EXPECT_NE(refusal(with("0.5", "\"x\"")).find("score is a text"), std::string::npos);
  EXPECT_NE(refusal(with("0.5", "null")).find("score is null"), std::string::npos);
  EXPECT_NE(refusal(with("0.5", "1e999")), "");
  EXPECT_NE(refusal(with(",\"score\":0.5", "")).find("and a score"), std::string::npos);
  for (const char* text : {"", "{}", "[[]]", "[1]", "7", "[", "[{\"a\":}]", "\xff"})
    EXPECT_NE(refusal(text), "") << text;
  EXPECT_NE(refusal("[{\"bbox\":" + std::string(100000, '[')), "");
}

// 12 lies within 1 to 90, but is none of COCO's 80.
TEST_F(DetectionFiles, NumbersThatCocoLeavesOutAreExplained) {
  ImageSet set = set_of({"x_1.png"});
  set.names.assign(80, "a");
  const auto path =
      file("r.json", R"([{"image_id":1,"category_id":12,"bbox":[1,2,3,4],"score":0.5}])");
  const std::string why = testing_files::error_of([&] { read_detections(path, set); });
  EXPECT_NE(why.find("category_id 12 is not a class: the 80 classes have 1 to 90, as COCO numbers "
                     "them, which leaves some numbers out"),
            std::string::npos)
      << why;
}

TEST_F(DetectionFiles, VocLinesAreRefusedWithTheirNumber) {
  for (const char* line : {"x_1 .5 1 2 3", "x_1 .5 1 2 3 4 5", "x_1 nan 1 2 3 4", "x_9 .5 1 2 3 4",
                           "x_1 .5 9 2 3 4", "x_1 .5 1 2 3 4x"}) {
    const std::string why = refusal("x_1 .5 1 2 3 4\n" + std::string(line) + "\n", "d_cell.txt");
    EXPECT_NE(why.find("d_cell.txt:2"), std::string::npos) << line << " -> " << why;
  }
  EXPECT_NE(refusal("", "unknown.txt").find("called like a class"), std::string::npos);
  std::filesystem::create_directories(folder_ / "none");
  EXPECT_NE(testing_files::error_of([&] { read_detections(folder_ / "none", set_of({"a"})); }), "");
}

TEST(CocoNumbers, AreThoseOfTheEightyClasses) {
  EXPECT_EQ(category_id(0, 80), 1);
  EXPECT_EQ(category_id(10, 80), 11);
  EXPECT_EQ(category_id(11, 80), 13);
  EXPECT_EQ(category_id(24, 80), 27);
  EXPECT_EQ(category_id(61, 80), 70);
  EXPECT_EQ(category_id(79, 80), 90);
  EXPECT_EQ(category_id(4, 20), 5);
}

TEST(ImageIds, AreTheDigitsOrThePlace) {
  EXPECT_EQ(image_ids({"a/COCO_000042.jpg", "7.png"}), (std::vector<std::int64_t>{42, 7}));
  EXPECT_EQ(image_ids({"a/1.jpg", "b/1.jpg"}), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(image_ids({"a.jpg", "7.png"}), (std::vector<std::int64_t>{1, 2}));
}

}  // namespace
}  // namespace darknet
