// `darknet data pack` and `data check`, and commands on what they leave.
#include "dataset/pack.h"

#include "cli_harness.h"
#include "core/file.h"
#include "core/lock_file.h"
#include "dataset/image_list.h"
#include "image/codec.h"
#include "image_samples.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

class DataPack : public CliTest {
 protected:
  void pack(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"data", "pack", "x.data", "out"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult ran = work_.darknet(words);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
  }
  CommandResult train_on(const std::string& data, const std::string& backup,
                         std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"detector", "train", data, "x.cfg", "-backup", backup, "-deterministic"});
    return work_.darknet(more);
  }
  // Interrupted before so many images more; -1: never.
  PackOptions stopping_after(int images, const char* out) const {
    return {.out = work_.path(out),
            .shard_bytes = 3000,
            .classes = 3,
            .stop = [left = images]() mutable { return left-- == 0; }};
  }
  ImagePaths all_images() const {
    std::string list;
    for (int i = 0; i < kTinyImages; ++i)
      list += work_.path(cat("images/", i, ".png")).string() + "\n";
    work_.put("all.txt", list);
    return read_image_list(work_.path("all.txt"));
  }
};

TEST_F(DataPack, CommandsWorkOnWhatItLeaves) {
  pack();
  EXPECT_EQ(work_.get("out/x.data"),
            "classes = 3\ntrain = train-000000.tar\nvalid = valid-000000.tar\nnames = x.names\n"
            "backup = backup\n");
  put_tiny_weights(work_, "x.weights");
  CommandResult ran = work_.darknet({"data", "check", "out/x.data"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "2 shards: as they were packed")) << ran.all();
  ran = work_.darknet({"detector", "check", "out/x.data", "x.cfg"});
  EXPECT_TRUE(said(ran, "train: 8 images (0 without objects, 0 listed twice), 8 objects"))
      << ran.all();
  EXPECT_TRUE(said(ran, "8 images of valid= are in train= too"))
      << ran.all();  // x.data has one list
  const auto result = [&](const char* data, std::vector<std::string> words) {
    words.insert(words.begin() + 2, data);
    const CommandResult of = work_.darknet(words);
    EXPECT_EQ(of.exit_code, 0) << of.all();
    return of.out.substr(of.out.find("mAP"));
  };
  EXPECT_EQ(result("out/x.data", {"detector", "map", "x.cfg", "x.weights"}),
            result("x.data", {"detector", "map", "x.cfg", "x.weights"}));
  ran = work_.darknet({"detector", "valid", "out/x.data", "x.cfg", "x.weights"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  ran = work_.darknet({"detector", "test", "out/x.data", "x.cfg", "x.weights", "-dont_show",
                       "-save_labels", "out/valid-000000.tar/3.png"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  EXPECT_TRUE(said(ran, "valid-000000.tar/3.txt: ")) << ran.all();
  EXPECT_EQ(work_.darknet({"data", "check", "out/x.data"}).exit_code, 0);  // as it was
}

// Of one shard that the window holds, training is that on the same images as files.
TEST_F(DataPack, TrainingIsThatOnTheFiles) {
  pack();
  std::string list;
  for (const fs::path& image : read_image_list(work_.path("out/train-000000.tar")))
    list += "images/" + image.filename().string() + "\n";
  work_.put("packed.txt", list);
  work_.put("files.data", replaced(work_.get("x.data"), "train = train.txt", "train = packed.txt"));
  const std::vector<std::string> four{"-set", "net.0.max_batches=4", "-map"};
  CommandResult ran = train_on("files.data", "a", four);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  ran = train_on("out/x.data", "b", four);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(work_.get("a/x_final.weights"), work_.get("b/x_final.weights"));
}

TEST_F(DataPack, TrainingResumesBitForBit) {
  Packer packer({.out = work_.path("out"), .shard_bytes = 4000, .classes = 3}, "work");
  std::string list;
  for (int i = 0; i < kTinyImages; ++i)
    list += work_.path(cat("images/", i, ".png")).string() + "\n";
  work_.put("all.txt", list);
  ASSERT_TRUE(packer.pack("train", read_image_list(work_.path("all.txt")), true));
  ASSERT_GT(packer.shards("train").size(), 1u);
  packer.finish();
  work_.put("out/x.data", "classes = 3\ntrain = train-*.tar\nnames = ../x.names\n");
  const auto window = [](std::vector<std::string> more) {
    more.insert(more.end(), {"-set", "net.0.shuffle_window=3", "-set", "net.0.mosaic=1"});
    return more;
  };
  CommandResult ran = train_on("out/x.data", "a", window({"-set", "net.0.max_batches=9"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  ran = train_on("out/x.data", "b", window({"-set", "net.0.max_batches=5"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  ran = train_on("out/x.data", "b", window({"b/x_last.weights", "-set", "net.0.max_batches=9"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "resumed")) << ran.all();
  EXPECT_EQ(work_.get("a/x_final.weights"), work_.get("b/x_final.weights"));
}

TEST_F(DataPack, AChangedShardIsReported) {
  pack();
  std::string bytes = work_.get("out/valid-000000.tar");
  bytes[600] = static_cast<char>(bytes[600] + 1);
  work_.put("out/valid-000000.tar", bytes);
  CommandResult ran = work_.darknet({"data", "check", "out/x.data"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  EXPECT_TRUE(said(ran, "valid-000000.tar: was changed or damaged since it was packed"))
      << ran.all();
  work_.remove("out/shards.sha256");
  ran = work_.darknet({"data", "check", "out/x.data"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  EXPECT_TRUE(said(ran, "shards.sha256: cannot read this file")) << ran.all();
  expect_refused(work_.darknet({"data", "check", "x.data"}), "its lists name no tar shards");
}

// Of a shard that was read in part nothing is said.
TEST_F(DataPack, AnInterruptedCheckReportsNothing) {
  pack();
  std::string bytes(9u << 20, 'x');  // three pieces
  work_.put("out/large.tar", bytes);
  work_.put("out/shards.sha256", std::string(64, '0') + "  large.tar\n");
  const std::vector<std::string> shards{work_.path("out/large.tar").string()};
  for (const int pieces : {0, 1, 2, 99}) {
    int asked = 0, reports = 0;
    const std::int64_t errors = check_shards(
        shards, [&](const std::string&) { ++reports; }, [&] { return asked++ > pieces; });
    EXPECT_EQ(errors, pieces == 99 ? 1 : 0) << pieces;
    EXPECT_EQ(reports, errors) << pieces;
  }
}

TEST_F(DataPack, AFailureThatIsNoErrorEndsTheCheck) {
  pack();
  const std::vector<std::string> shards{work_.path("out/train-000000.tar").string(),
                                        work_.path("out/valid-000000.tar").string()};
  EXPECT_THROW(
      check_shards(
          shards, [](const std::string&) {}, []() -> bool { throw std::runtime_error("a fault"); }),
      std::runtime_error);
}

TEST_F(DataPack, WhatIsWrongEndsIt) {
  pack();
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}), "holds shards already");
  work_.put("images/3.txt", "0 .5 .5 .1\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "b"}),
                 "images/3.txt:1: expected 5 numbers");
  work_.remove("images/3.txt");
  expect_refused(work_.darknet({"data", "pack", "x.data", "c"}),
                 "images/3.txt: the label file of images/3.png is missing; an empty file marks an "
                 "image without objects; the images of a classifier, whose paths hold their class, "
                 "are packed with -classifier");
  work_.put("images/3.png", "no image");
  work_.put("images/3.txt", "");
  expect_refused(work_.darknet({"data", "pack", "x.data", "d"}), "images/3.png: this is no image");
  const std::string jpeg = encode(testing_images::noise(40, 30, 3), ".jpg");
  const std::size_t scan = jpeg.find("\xFF\xDA");
  std::string scans;
  for (int i = 0; i < 200; ++i) scans += jpeg.substr(scan, 14);
  work_.put("images/3.png", jpeg.substr(0, scan) + scans + jpeg.substr(scan));
  expect_refused(work_.darknet({"data", "pack", "x.data", "e"}),
                 "images/3.png: this JPEG has 201 scans, more than 100; write it again");
  work_.remove("images/3.png");
  expect_refused(work_.darknet({"data", "pack", "x.data", "f"}), "train.txt:4: no such image");
}

// What other work began there holds nothing up before it has packed a shard.
TEST_F(DataPack, AnEndBeforeTheFirstShardLeavesTheFolderFree) {
  const std::string labels = work_.get("images/3.txt");
  work_.put("images/3.txt", "0 .5 .5 .1\n");
  EXPECT_EQ(work_.darknet({"data", "pack", "x.data", "out"}).exit_code, 1);
  work_.put("images/3.txt", labels);
  pack({"-seed", "2"});
}

// Which numbers the classes have is part of the work.
TEST_F(DataPack, OtherClassesAreOtherWork) {
  work_.put("large.png", testing_images::noise(200, 200, 3));
  work_.put("large.txt", std::string());
  const std::string train = work_.get("train.txt"), names = work_.get("x.names");
  work_.put("valid.txt", "images/0.png\n");
  work_.put("x.data", replaced(work_.get("x.data"), "valid = train.txt", "valid = valid.txt"));
  work_.put("train.txt", train + "large.png\n");
  const auto interrupt = [&] {
    EXPECT_EQ(work_.darknet({"data", "pack", "x.data", "out"}, {.max_file = 100'000}).exit_code, 1);
  };
  interrupt();
  ASSERT_TRUE(work_.has("out/valid-000000.tar"));
  const std::size_t first = names.find('\n') + 1;
  work_.put("x.names", names.substr(first) + names.substr(0, first));
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}),
                 "out: holds shards of another call that was interrupted (other lists, classes, "
                 "-seed or -shard_mb)");
  work_.put("x.names", names);
  work_.put("out/x.names", "mine\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}),
                 "out/x.names: would be replaced");
  EXPECT_EQ(work_.get("out/x.names"), "mine\n");
  work_.put("out/x.names", names);  // as this work writes it
  work_.put("out/x.data", "mine\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}), "out/x.data: would be replaced");
  EXPECT_EQ(work_.get("out/x.data"), "mine\n");
  work_.remove("out/x.data");
  const CommandResult ran = work_.darknet({"data", "pack", "x.data", "out"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran,
                   "going on with what was interrupted: 2 complete shards stay as they were "
                   "packed, also where images or label files were changed since"))
      << ran.all();
  EXPECT_FALSE(work_.has("out/.darknet_pack"));
}

// The record of a call that packed nothing gives no leave to replace files.
TEST_F(DataPack, AStaleRecordLeavesTheFilesOfOthersAlone) {
  work_.put("set/x.names", "mine\n");
  work_.put("set/x.data", "mine too\n");
  for (const char* const record : {"lists 1 seed 1 shard_mb 512\n", ""}) {
    work_.put("set/.darknet_pack", record);
    expect_refused(work_.darknet({"data", "pack", "x.data", "set"}),
                   "set/x.data: would be replaced");
    EXPECT_FALSE(work_.has("set/.darknet_pack"));
    EXPECT_EQ(work_.get("set/x.names"), "mine\n");
    EXPECT_EQ(work_.get("set/x.data"), "mine too\n");
  }
  // A pack of a detector writes no .labels.
  work_.put("out/x.labels", "mine\n");
  pack();
  EXPECT_EQ(work_.get("out/x.labels"), "mine\n");
}

TEST_F(DataPack, LabelsOfAClassifierDropNoBoxes) {
  work_.put("x.data", work_.get("x.data") + "labels = x.names\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}),
                 "x.data: with labels= this is a set for classifiers, whose boxes are not packed, "
                 "but images/0.txt has some; remove labels= to pack boxes, or give -classifier");
  EXPECT_FALSE(work_.has("out"));
}

// Before anything is written.
TEST_F(DataPack, WhatCanBeKnownBeforeEndsItAtOnce) {
  expect_refused(work_.darknet({"data", "pack", "x.data", "."}),
                 "x.data: would be replaced; give another folder than .");
  work_.put("has_names/x.names", "mine\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "has_names"}),
                 "has_names/x.names: would be replaced");
  EXPECT_EQ(work_.get("has_names/x.names"), "mine\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "http://h/x"}),
                 "http://h/x: nothing is written to a server; name a folder on this machine");
  EXPECT_FALSE(work_.has("http:"));
  expect_refused(work_.darknet({"data", "pack", "x.data", "x.cfg"}),
                 "x.cfg: cannot make this folder");
  work_.put("train.txt", work_.get("train.txt") + "images/none.png\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "missing"}),
                 "train.txt:9: no such image: images/none.png");
  EXPECT_FALSE(work_.has("missing"));
  for (const char* const size : {"0", "-1", "1.5", "many", "1048577", "99999999999999999999"})
    expect_refused(work_.darknet({"data", "pack", "x.data", "out", "-shard_mb", size}),
                   cat("-shard_mb: '", size, "' is not from 1 to 1048576"), 2);
  EXPECT_FALSE(work_.has("out"));
}

TEST_F(DataPack, OneProcessPacksIntoAFolder) {
  work_.put("out/note.txt", "");
  const LockFile other(work_.path("out/.darknet_pack.lock"), "the packing into out");
  expect_refused(work_.darknet({"data", "pack", "x.data", "out"}), "the packing into out");
  EXPECT_FALSE(work_.has("out/shards.sha256"));
}

// As on a full disk: what is there is whole, and the same command goes on with it.
TEST_F(DataPack, AFullDiskLeavesNoHalfShard) {
  work_.put("large.png", testing_images::noise(200, 200, 3));
  work_.put("large.txt", std::string());
  work_.put("large_list.txt", work_.get("train.txt") + "large.png\n");
  work_.put("x.data", replaced(work_.get("x.data"), "train = train.txt", "train = large_list.txt"));
  CommandResult ran = work_.darknet({"data", "pack", "x.data", "out"}, {.max_file = 100'000});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  EXPECT_TRUE(said(ran, "out/train-000000.tar: cannot write this file: ")) << ran.all();
  std::vector<std::string> left;
  for (const fs::path& file : entries_of(work_.path("out"))) left.push_back(file.filename());
  EXPECT_EQ(left, (std::vector<std::string>{".darknet_pack", "valid-000000.tar"}));
  ran = work_.darknet({"data", "pack", "x.data", "out"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "going on with what was interrupted")) << ran.all();
  ran = work_.darknet({"data", "check", "out/x.data"});
  EXPECT_TRUE(said(ran, "2 shards: as they were packed")) << ran.all();
}

TEST_F(DataPack, ShardsAreNoLargerThanAskedFor) {
  const ImagePaths images = all_images();
  for (const std::int64_t most : {20'480, 25'000, 30'720, 41'000}) {
    const std::string out = cat("out", most);
    Packer packer({.out = work_.path(out), .shard_bytes = most, .classes = 3}, "work");
    ASSERT_TRUE(packer.pack("train", images, true));
    for (const PackedShard& s : packer.shards("train"))
      EXPECT_TRUE(s.images == 1 || static_cast<std::int64_t>(s.bytes) <= most) << s.bytes;
  }
}

TEST_F(DataPack, FoldersOfTheImagesAreRefused) {
  expect_refused(work_.darknet({"data", "pack", "x.data", "images"}), "images: holds images/");
  work_.put("folder.data", replaced(work_.get("x.data"), "train = train.txt", "train = images"));
  expect_refused(work_.darknet({"data", "pack", "folder.data", "images/shards"}),
                 "images/shards: lies in images, a folder of images");
}

TEST_F(DataPack, BackupIsNoPlaceOfThisMachine) {
  work_.put("x.data", replaced(work_.get("x.data"), "backup = backup",
                               "backup = " + work_.path("backup").string()));
  pack();
  EXPECT_TRUE(holds(work_.get("out/x.data"), "\nbackup = backup\n")) << work_.get("out/x.data");
}

// Interrupted at any image, the same call ends with the same files.
TEST_F(DataPack, GoesOnWhereItWasInterrupted) {
  const ImagePaths images = all_images();
  const auto pack_into = [&](const char* out, int stop_after) {
    Packer packer(stopping_after(stop_after, out), "work");
    if (!packer.pack("train", images, true) || !packer.pack("valid", images, false)) return false;
    packer.finish();
    return true;
  };
  ASSERT_TRUE(pack_into("whole", -1));
  EXPECT_GT(work_.tree("whole").size(), 4u);
  EXPECT_FALSE(pack_into("parts", 5));
  EXPECT_FALSE(pack_into("parts", 7));
  EXPECT_TRUE(holds(error_of([&] { Packer({.out = work_.path("parts")}, "other work"); }),
                    "holds shards of another call that was interrupted"));
  ASSERT_TRUE(pack_into("parts", -1));
  const auto files_of = [&](const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& [name, bytes] : work_.tree(folder)) files[name.substr(folder.size())] = bytes;
    return files;
  };
  EXPECT_EQ(files_of("whole"), files_of("parts"));
}

// Difficult objects are those of the images of valid= by their names.
TEST_F(DataPack, DifficultObjectsStayThoseOfTheirImages) {
  const auto image = work_.get("images/0.png");
  work_.put("difficult.txt", "difficult/0.png\n");
  work_.put("difficult/0.txt", "0 .5 .5 .1 .1\n");
  work_.put("one.txt", "images/0.png\n");
  const std::string data = replaced(work_.get("x.data"), "valid = train.txt", "valid = one.txt");
  work_.put("x.data", data + "difficult = difficult.txt\n");
  pack();
  EXPECT_TRUE(holds(work_.get("out/x.data"), "\ndifficult = ../difficult.txt\n"))
      << work_.get("out/x.data");
  work_.put("images/a.b.png", image);
  work_.put("images/a.b.txt", std::string());
  work_.put("one.txt", "images/a.b.png\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "b"}),
                 "images/a.b.png is called a_b.png; give the images");
}

// As a kill, or a full disk, may leave the record: the shard of the last line is packed again.
TEST_F(DataPack, GoesOnBehindHalfALineOfItsRecord) {
  const ImagePaths images = all_images();
  const auto pack_into = [&](const char* out, int stop_after) {
    Packer packer(stopping_after(stop_after, out), "work");
    return packer.pack("train", images, true);
  };
  ASSERT_TRUE(pack_into("whole", -1));
  const std::string whole = work_.get("whole/.darknet_pack");
  const auto last = whole.rfind('\n', whole.size() - 2) + 1;
  // In the first line, in a checksum, in a number, in the name, and all but the end of the line.
  for (const std::size_t kept :
       {std::size_t{2}, last + 20, last + 66, whole.size() - 6, whole.size() - 1}) {
    fs::remove_all(work_.path("parts"));
    ASSERT_TRUE(pack_into("parts", -1));
    if (kept == 2)
      for (const fs::path& file : entries_of(work_.path("parts"))) remove_file(file);
    work_.put("parts/.darknet_pack", whole.substr(0, kept));
    pack_into("parts", 1);  // whatever it packs is recorded on lines of its own
    ASSERT_TRUE(pack_into("parts", -1)) << kept;
    EXPECT_EQ(work_.get("parts/.darknet_pack"), whole) << kept;
  }
  // A line that is no shard's.
  work_.put("parts/.darknet_pack", whole.substr(0, last) + "12 34 1 train-000000.tar\n");
  ASSERT_TRUE(pack_into("parts", -1));
  EXPECT_EQ(work_.get("parts/.darknet_pack"), whole);
}

// Two images of one name, and a name with dots, which would end the key.
TEST_F(DataPack, KeysAreDistinct) {
  const auto image = work_.get("images/0.png");
  for (const char* name : {"a/x.png", "b/x.png", "b/y.left.png"}) work_.put(name, image);
  for (const char* name : {"a/x.txt", "b/x.txt", "b/y.left.txt"}) work_.put(name, std::string());
  work_.put("train.txt", "a/x.png\nb/x.png\nb/y.left.png\n");
  pack();
  std::string names;
  for (const fs::path& one : read_image_list(work_.path("out/valid-000000.tar")))
    names += one.filename().string() + " ";
  EXPECT_EQ(names, "000000000_x.png 000000001_x.png 000000002_y_left.png ");
}

}  // namespace
}  // namespace darknet::test
