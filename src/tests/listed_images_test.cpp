// Lists of images that are folders or patterns, and data.yaml.
#include <gtest/gtest.h>

#include "core/error.h"
#include "dataset/image_list.h"
#include "tests/import_data_harness.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using test::ImportData;

class ListsOfImages : public ImportData {
 protected:
  ListsOfImages() {
    for (const char* name : {"b.jpg", "a.PNG", "deep/c.jpg"}) {
      put_image(fs::path("set/images") / name);
      at_.put((fs::path("set/labels") / name).replace_extension(".txt"), "0 .5 .5 .2 .4\n");
    }
    at_.put("set/images/notes.md", "no image");
  }
  std::vector<std::string> list(const std::string& path) const {
    std::vector<std::string> names;
    for (const fs::path& image : read_image_list(at_.path(path)))
      names.push_back(image.lexically_relative(at_.path("set/images")).string());
    return names;
  }
};

TEST_F(ListsOfImages, FoldersAndPatterns) {
  EXPECT_EQ(list("set/images"), (std::vector<std::string>{"a.PNG", "b.jpg", "deep/c.jpg"}));
  EXPECT_EQ(list("set/images/*.jpg"), (std::vector<std::string>{"b.jpg"}));
  EXPECT_EQ(list("set/images/*/?.jpg"), (std::vector<std::string>{"deep/c.jpg"}));
  EXPECT_THROW(list("set/images/*.bmp"), Error);
  EXPECT_THROW(list("set/images/*.md"), Error);
  EXPECT_THROW(list("set/labels"), Error);
  fs::create_directory_symlink(at_.path("set"), at_.path("set/images/deep/round"));
  EXPECT_EQ(list("set/images/deep").size(), 3u);  // not again below deep/round/images/deep
}

TEST_F(ListsOfImages, OfADataFile) {
  at_.put("set/x.data", "classes = 1\ntrain = images/*.jpg\nvalid = images\n");
  const DataFile data = read_data_file(at_.path("set/x.data"));
  EXPECT_EQ(read_image_list(data.train).size(), 1u);
  EXPECT_EQ(read_image_list(data.valid).size(), 3u);
  expect_trains("set/x.data");
}

TEST_F(ListsOfImages, DataYamlMayBeInCapitals) {
  at_.put("set/DATA.YML", "train: images\nnames: [cat]\n");
  EXPECT_EQ(read_data_file(at_.path("set/DATA.YML")).classes, 1);
}

TEST_F(ListsOfImages, OfDataYaml) {
  at_.put("set/data.yaml", "train: ../images\nval: images/deep\nnc: 1\nnames: ['cat']\n");
  const DataFile data = read_data_file(at_.path("set/data.yaml"));
  EXPECT_EQ(data.classes, 1);
  EXPECT_EQ(read_names(data.names, 1), std::vector<std::string>{"cat"});
  EXPECT_EQ(read_image_list(data.train).size(), 3u);  // as Roboflow writes what lies beside it
  EXPECT_EQ(read_image_list(data.valid).size(), 1u);
  expect_trains("set/data.yaml");
}

// "." is there from every working directory.
TEST_F(ListsOfImages, PathsOfDataYamlHoldFromItsFolderFirst) {
  at_.put("set/data.yaml", "path: .\ntrain: images\nval: ./images/*.jpg\nnames: [cat]\n");
  const DataFile data = read_data_file(at_.path("set/data.yaml"));
  EXPECT_EQ(data.train, at_.path("set/images"));
  EXPECT_EQ(read_image_list(data.valid).size(), 1u);
}

TEST_F(ListsOfImages, ErrorsOfDataYamlNameTheLine) {
  const auto error_of = [&](const std::string& text) -> std::string {
    at_.put("set/data.yaml", text);
    try {
      read_data_file(at_.path("set/data.yaml"));
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(error_of("train: [a\n"), "data.yaml:2: malformed YAML"));
  EXPECT_TRUE(has(error_of("train: x\nnc: many\n"), "data.yaml:2: nc: expected an integer"));
  EXPECT_TRUE(has(error_of("nc: 3\nnames: [a, b]\n"), "nc is 3, and names has 2 names"));
  EXPECT_TRUE(has(error_of("names:\n  0: a\n  2: b\n"), "data.yaml:2: names: there is no class 1"));
  EXPECT_TRUE(has(error_of("train: [a, b]\n"), "data.yaml:1: train holds several values"));
  EXPECT_TRUE(has(error_of("hello\n"), "data.yaml: expected lines like"));
}

}  // namespace
}  // namespace darknet
