// What is wrong with shards, said by lists, .data files and training.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cfg/data_file.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/input_truths.h"
#include "dataset/labels.h"
#include "dataset/overlap.h"
#include "image/codec.h"
#include "image/video.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;

class ShardErrors : public InFolder {
 protected:
  fs::path shard(const std::string& name, int images, int side = 9) const {
    fs::path path = folder_ / name;
    TarWriter tar(path);
    for (int i = 0; i < images; ++i) {
      tar.add(cat(i, ".png"), encode(testing_images::noise(side + i, side, 3), ".png"));
      tar.add(cat(i, ".txt"), "1 .5 .5 .2 .2\n");
    }
    tar.commit();
    return path;
  }
  std::string list_error(const std::string& list) const {
    return error_of([&] { read_image_list(folder_ / list); });
  }
};

// No image that is skipped: the training ends.
TEST_F(ShardErrors, ThatChangeEndATraining) {
  const fs::path path = shard("t.tar", 3);
  const LabelledImages all = read_all_labels(read_image_list(path), 3);
  const Augmentation augmentation;
  const Batches batches({.images = all.images,
                         .truths = all.truths,
                         .batch = 2,
                         .size =
                             [](std::int64_t) {
                               return InputSize{32, 32};
                             },
                         .augmentation = augmentation});
  batches.make(0);
  file("t.tar", "another file");
  try {
    batches.make(1);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const SourceFailure& e) {
    EXPECT_EQ(e.name(), path.string());
    EXPECT_TRUE(holds(e.what(), ".png: was changed since")) << e.what();
  }
}

// Images that could not be compared would pass for different ones.
TEST_F(ShardErrors, ThatChangeEndASearchForImagesInBothLists) {
  const ImagePaths train = read_image_list(shard("t.tar", 3));
  const ImagePaths equal = read_image_list(shard("equal.tar", 3));
  const ImagePaths larger = read_image_list(shard("larger.tar", 3, 20));
  file("t.tar", "another file");
  for (const ImagePaths* valid : {&equal, &larger}) {  // by bytes, by pixels
    const std::string error = error_of([&] { find_overlap(train, *valid, 5); });
    EXPECT_TRUE(holds(error, "t.tar: ") && holds(error, ".png: was changed since")) << error;
  }
}

TEST_F(ShardErrors, ThatChangeEndOtherReadersOfManyImages) {
  const LabelledImages all = read_all_labels(read_image_list(shard("t.tar", 3)), 3);
  file("t.tar", "another file");
  const std::string error =
      error_of([&] { truths_at_input(all, {.width = 32, .height = 32, .letter_box = true}); });
  EXPECT_TRUE(holds(error, ".png: was changed since")) << error;
  const auto gone = [](std::size_t) -> Image { throw SourceFailure("t.tar", "is gone"); };
  Image image;
  EXPECT_THROW(image_source(2, gone, 1)->read(image), SourceFailure);
}

TEST_F(ShardErrors, OfFoldersAloneHoldNoImage) {
  fs::create_directories(folder_ / "nothing");
  ASSERT_EQ(
      std::system(
          cat("tar -cf ", folder_.string(), "/t.tar -C ", folder_.string(), "/nothing .").c_str()),
      0);
  EXPECT_TRUE(holds(list_error("t.tar"), "t.tar: holds 0 files and no image among them"))
      << list_error("t.tar");
}

TEST_F(ShardErrors, ThatAListNamesAndThatAreMissingAreSaidWithTheirLine) {
  shard("t-0.tar", 1);
  const std::string list = file("list.txt", "t-0.tar\n\nt-{0..1}.tar\n").string();
  EXPECT_TRUE(holds(list_error("list.txt"), list + ":3: ")) << list_error("list.txt");
  EXPECT_TRUE(holds(list_error("list.txt"), "t-1.tar: cannot read this file"));
  file("list.txt", "t-{0..1.tar\n");
  EXPECT_TRUE(holds(list_error("list.txt"), list + ":1: t-{0..1.tar: the last { has no }"))
      << list_error("list.txt");
  const fs::path data_path = file("x.data", "classes = 3\ntrain = t-{0..1}.tar\n");
  const DataFile data = read_data_file(data_path);
  const std::string error = error_of([&] { required(data, data.train, "train"); });
  EXPECT_TRUE(holds(error, data_path.string() + ":2: train: ")) << error;
  EXPECT_TRUE(holds(error, "t-1.tar: cannot read this file")) << error;
}

}  // namespace
}  // namespace darknet::testing_files
