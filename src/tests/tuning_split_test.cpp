// Which images of a training list choose between variants.
#include "train/tuning_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dataset/image_list.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {

using testing_files::error_of;
using testing_files::holds;
using Names = std::set<std::string>;

Names names(const ImagePaths& images) {
  Names all;
  for (const std::filesystem::path& image : images)
    all.insert(image.lexically_normal().filename().string());
  return all;
}

std::vector<std::string> lines(int count) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(cat("images/", i, ".png"));
  return all;
}

class TuningSplitTest : public testing_files::InFolder {
 protected:
  DataFile listing(const std::string& folder, const std::vector<std::string>& images) const {
    std::string text;
    for (const std::string& line : images) text += cat(line, "\n");
    DataFile data;
    data.path = folder_ / folder / "x.data";
    data.train = file(folder + "/train.txt", text);
    // A relative line is next to its list where there is such a file.
    for (const std::string& line : images)
      if (!line.starts_with('/')) file(cat(folder, "/", line), "");
    return data;
  }
};

TEST_F(TuningSplitTest, IsAShareThatDependsOnThePathsAlone) {
  const auto images = lines(50);
  const TuningSplit split = split_for_tuning(listing("a", images), kTuneShare);
  EXPECT_EQ(split.tuning.size(), 10u);
  EXPECT_EQ(split.train.size(), 40u);
  Names all = names(split.tuning);
  all.merge(names(split.train));
  EXPECT_EQ(all.size(), 50u);
  EXPECT_NE(names(split.tuning), (Names{"0.png", "1.png", "2.png", "3.png", "4.png", "5.png",
                                        "6.png", "7.png", "8.png", "9.png"}));
  // The same in another order, in another folder, and with paths from the root.
  std::vector<std::string> reversed(images.rbegin(), images.rend());
  EXPECT_EQ(names(split_for_tuning(listing("a", reversed), kTuneShare).tuning),
            names(split.tuning));
  EXPECT_EQ(names(split_for_tuning(listing("b/c", images), kTuneShare).tuning),
            names(split.tuning));
  std::vector<std::string> absolute;
  for (const std::string& line : images) absolute.push_back((folder_ / "d/./" / line).string());
  EXPECT_EQ(names(split_for_tuning(listing("d", absolute), kTuneShare).tuning),
            names(split.tuning));
  EXPECT_EQ(split_for_tuning(listing("a", images), .5).tuning.size(), 25u);
}

// So that nobody can find another one, or an update of the program changes it: FNV-1a and
// SplitMix64 of "images/K.png", computed in Python.
TEST_F(TuningSplitTest, IsThatOfTheKnownHash) {
  EXPECT_EQ(names(split_for_tuning(listing("a", lines(20)), kTuneShare).tuning),
            (Names{"0.png", "1.png", "6.png", "8.png"}));
}

TEST_F(TuningSplitTest, OfUrlsDependsOnThemAlone) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += cat("http://h/images/", i, ".png\n");
  DataFile data;
  data.train = file("a/train.txt", text);
  const TuningSplit split = split_for_tuning(data, kTuneShare);
  EXPECT_EQ(split.tuning.size(), 10u);
  EXPECT_EQ(list_text(split.tuning, folder_).find("http://h/images/"), 0u);
  data.train = file("b/c/train.txt", text);
  EXPECT_EQ(names(split_for_tuning(data, kTuneShare).tuning), names(split.tuning));
  // The same from another working directory.
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  const TuningSplit again = split_for_tuning(data, kTuneShare);
  std::filesystem::current_path(before);
  EXPECT_EQ(names(again.tuning), names(split.tuning));
}

TEST_F(TuningSplitTest, AnImageMoreMovesFewOthers) {
  const Names before = names(split_for_tuning(listing("a", lines(50)), kTuneShare).tuning);
  const Names after = names(split_for_tuning(listing("a", lines(52)), kTuneShare).tuning);
  int kept = 0;
  for (const std::string& name : before) kept += static_cast<int>(after.count(name));
  EXPECT_GE(kept, 8);
}

TEST_F(TuningSplitTest, AnImageThatIsListedTwiceIsOnOneSide) {
  auto images = lines(10);
  for (const std::string& line : lines(10)) images.push_back("./" + line);
  const TuningSplit split = split_for_tuning(listing("a", images), kTuneShare);
  EXPECT_EQ(split.tuning.size(), 2u);
  EXPECT_EQ(split.train.size(), 16u);
  for (const std::string& name : names(split.tuning))
    EXPECT_FALSE(names(split.train).contains(name)) << name;
}

TEST_F(TuningSplitTest, MayBeAListOfItsOwn) {
  DataFile data = listing("a", lines(6));
  data.tune = file("a/tune.txt", "images/2.png\nimages/../images/4.png\nimages/other.png\n");
  file("a/images/other.png", "");
  const TuningSplit split = split_for_tuning(data, kTuneShare);
  EXPECT_EQ(names(split.tuning), (Names{"2.png", "4.png", "other.png"}));
  EXPECT_EQ(names(split.train), (Names{"0.png", "1.png", "3.png", "5.png"}));
}

TEST_F(TuningSplitTest, IsRefusedWhereItLeavesNothingOrWasSeen) {
  DataFile data = listing("a", lines(1));
  EXPECT_TRUE(holds(error_of([&] { split_for_tuning(data, kTuneShare); }), "none is left"));
  data = listing("a", lines(6));
  data.tune = file("a/tune.txt", "images/2.png\n");
  data.valid = file("a/valid.txt", "images/5.png\nimages/./2.png\n");
  const std::string said = error_of([&] { split_for_tuning(data, kTuneShare); });
  EXPECT_TRUE(holds(said, "valid.txt: 1 image of the tuning split") && holds(said, "2.png"))
      << said;
}

TEST_F(TuningSplitTest, ItsDataFileReadsBack) {
  DataFile data = listing("a", lines(3));
  data.classes = 2, data.names = file("a/x.names", "a\nb\n");
  const auto train = file("t.txt", list_text(read_image_list(data.train), folder_));
  const DataFile read =
      read_data_file(file("t.data", tuning_data_text(data, {{}, train, data.train})));
  EXPECT_EQ(read.classes, 2);
  EXPECT_EQ(read.train, train);
  EXPECT_EQ(read.valid, data.train);
  EXPECT_EQ(read.names, data.names);
  EXPECT_EQ(names(read_image_list(read.train)), (Names{"0.png", "1.png", "2.png"}));
}

TEST_F(TuningSplitTest, ItsListsHoldFromEveryWorkingDirectory) {
  namespace fs = std::filesystem;
  const ImagePaths images{fs::path("a/1.png"), fs::path("/b/2.png")};
  EXPECT_EQ(list_text(images, "a/r"), "../1.png\n/b/2.png\n");
  EXPECT_EQ(list_text(images, "r/"), "../a/1.png\n/b/2.png\n");
  // Behind a link ".." is another folder.
  fs::create_directories(folder_ / "real/inner");
  fs::create_directory_symlink(folder_ / "real/inner", folder_ / "link");
  EXPECT_EQ(list_text(images, folder_ / "link"), fs::absolute("a/1.png").string() + "\n/b/2.png\n");
}

TEST_F(TuningSplitTest, IsKeptWithTheImagesThatAreMissing) {
  const DataFile data = listing("a", lines(6));
  std::filesystem::remove(folder_ / "a/images/3.png");
  const TuningSplit split = split_for_tuning(data, kTuneShare);
  const TuningFiles files = tuning_files(folder_ / "r");
  for (const auto& [path, images] :
       {std::pair{files.train, &split.train}, std::pair{files.tuning, &split.tuning}})
    file(path.lexically_relative(folder_), list_text(*images, folder_ / "r"));
  file("r/tuning.data", tuning_data_text(data, files));
  EXPECT_NO_THROW(require_kept(files, split, data));
}

}  // namespace
}  // namespace darknet::test
