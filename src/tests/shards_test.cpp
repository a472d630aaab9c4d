// Tar shards as lists of images: what is read from them is what the files hold, and what is wrong
// with them is said with shard and member.
#include "core/tar_shard.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <set>

#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log_capture.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/image_sizes.h"
#include "dataset/labels.h"
#include "dataset/shard_sequence.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;
using testing_images::noise;

using Members = std::vector<std::pair<std::string, std::string>>;  // names and contents

class Shards : public InFolder {
 protected:
  fs::path tar(const std::string& name, const Members& members) const {
    fs::path path = folder_ / name;
    TarWriter writer(path);
    for (const auto& [member, contents] : members) writer.add(member, contents);
    writer.commit();
    return path;
  }
  // So many images, each with a label file, and the same as files in files/.
  fs::path shard(const std::string& name, std::int64_t first, std::int64_t count) const {
    Members members;
    for (std::int64_t i = first; i < first + count; ++i) {
      const std::string key = std::to_string(1000 + i);
      members.emplace_back(key + ".png", unreadable_.contains(i)
                                             ? "no image"
                                             : encode(noise(8 + i, 9 + i, 3), ".png"));
      members.emplace_back(key + ".txt", cat(i % 3, " .5 .5 .", 1 + i % 9, " .3\n"));
    }
    for (const auto& [member, contents] : members) file("files/" + member, contents);
    return tar(name, members);
  }
  std::set<std::int64_t> unreadable_;  // images of shard()
  std::string whole(const fs::path& path) const { return read_file(path, 1 << 30); }
  std::string list_error(const std::string& list) const {
    return error_of([&] { read_image_list(folder_ / list); });
  }
};

std::vector<std::string> names_of(const ImagePaths& images, const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& image : images) names.push_back(image.lexically_relative(folder).string());
  return names;
}

TEST_F(Shards, MembersAreReadLikeFiles) {
  const std::string large(200'000, 'x'), long_name = std::string(150, 'd') + "/\xC3\xA4.txt";
  const fs::path path =
      tar("a.tar",
          {{"1.txt", "0 1"}, {"empty.txt", ""}, {"large.bin", "begin" + large}, {long_name, "l"}});
  EXPECT_EQ(whole(path / "1.txt"), "0 1");
  EXPECT_EQ(whole(path / "empty.txt"), "");
  EXPECT_EQ(whole(path / "large.bin"), "begin" + large);
  EXPECT_EQ(whole(path / long_name), "l");
  EXPECT_TRUE(is_present(path / "1.txt"));
  EXPECT_FALSE(is_present(path / "2.txt"));
  InputFile in(path / "large.bin", 1 << 20);
  std::string word;
  in.seekg(3);
  in >> word;
  EXPECT_EQ(word.substr(0, 4), "inxx");
  in.clear();
  in.seekg(-2, std::ios::end);
  EXPECT_EQ(in.rest(), "xx");
  EXPECT_EQ(error_of([&] { whole(path / "2.txt"); }),
            path.string() + ": 2.txt: the tar has no such member");
  EXPECT_NE(error_of([&] { read_file(path / "1.txt", 2); }), "");  // the limit holds
}

TEST_F(Shards, AFolderMayBeCalledLikeOne) {
  file("a.tar/1.txt", "in a folder");
  EXPECT_EQ(whole(folder_ / "a.tar/1.txt"), "in a folder");
  EXPECT_FALSE(is_present(folder_ / "a.tar/2.txt"));
  const ImagePaths images{folder_ / "a.tar/1.png", folder_ / "a.tar/2.png"};
  EXPECT_TRUE(shard_sequence(images, 9).starts.empty());
  EXPECT_TRUE(shards_of(images).empty());
  // Shards in such a folder are shards.
  shard("a.tar/b-0.tar", 0, 2), shard("a.tar/b-1.tar", 2, 1);
  const ImagePaths in_shards = read_image_list(folder_ / "a.tar/b-*.tar");
  EXPECT_EQ(shard_sequence(in_shards, 9).starts, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(shards_of(in_shards), (std::vector<std::string>{(folder_ / "a.tar/b-0.tar").string(),
                                                            (folder_ / "a.tar/b-1.tar").string()}));
  EXPECT_TRUE(holds(error_of([&] { write_file_atomically(folder_ / "a.tar/b-0.tar/x", "x"); }),
                    "nothing is written into a tar shard"));
  EXPECT_EQ(error_of([&] { write_file_atomically(folder_ / "a.tar/x.txt", "x"); }), "");
}

// Of a data set's folders packed as they are.
TEST_F(Shards, LabelFilesMayLieInLabels) {
  const fs::path path = tar("images.tar", {{"images/1.png", "x"},
                                           {"labels/1.txt", "1 .5 .5 .1 .1\n"},
                                           {"a/JPEGImages/b/2.png", "x"},
                                           {"a/labels/b/2.txt", "2 .5 .5 .1 .1\n"},
                                           {"images/3.png", "x"},
                                           {"images/3.txt", "0 .5 .5 .1 .1\n"}});
  std::vector<std::string> said;
  const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
  const log::Capture capture(take);
  const LabelledImages all = read_all_labels(read_image_list(path), 3);
  EXPECT_TRUE(said.empty()) << said.front();
  ASSERT_EQ(all.truths.size(), 3u);
  for (const std::size_t i : {0u, 1u, 2u})
    EXPECT_EQ(all.truths[i][0].class_id, static_cast<int>((i + 1) % 3));
  tar("both.tar", {{"images/1.png", "x"}, {"JPEGImages/1.png", "x"}, {"labels/1.txt", ""}});
  EXPECT_TRUE(holds(list_error("both.tar"), "has the key of"));
}

TEST(LabelNames, AreMadeOfTheLastFolderOfImages) {
  const std::pair<const char*, const char*> names[] = {
      {"images/1.jpg", "labels/1.txt"},
      {"/a/images/images/b/1.x.jpg", "/a/images/labels/b/1.x.txt"},
      {"JPEGImages//1.jpg", "labels//1.txt"},
      {"http://h/images/1.jpg", "http://h/labels/1.txt"},
      {"my_images/1.jpg", ""},
      {"images", ""},
      {"/images", ""},
      {"1.jpg", ""}};
  for (const auto& [image, labels] : names) EXPECT_EQ(label_in_labels_folder(image), labels);
}

// What could not be opened as a shard is looked at again.
TEST_F(Shards, AFolderMayTakeThePlaceOfADamagedOne) {
  file("b.tar", std::string(5000, 'x'));
  EXPECT_TRUE(holds(error_of([&] { whole(folder_ / "b.tar/1.txt"); }), "this is not a tar file"));
  fs::remove(folder_ / "b.tar");
  file("b.tar/1.txt", "in a folder");
  EXPECT_EQ(whole(folder_ / "b.tar/1.txt"), "in a folder");
}

TEST(ShardNames, HaveRangesAndLists) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(shard_names("t-{08..11}.tar"), (Names{"t-08.tar", "t-09.tar", "t-10.tar", "t-11.tar"}));
  EXPECT_EQ(shard_names("{a,b}/{1..2}.tar"), (Names{"a/1.tar", "a/2.tar", "b/1.tar", "b/2.tar"}));
  EXPECT_EQ(shard_names("http://h/x.tar"), Names{"http://h/x.tar"});
  EXPECT_EQ(shard_names("train.txt"), Names{});
  EXPECT_EQ(shard_names("{1..2}.jpg"), Names{});
  EXPECT_EQ(error_of([] { shard_names("{5..2}.tar"); }), "{5..2}.tar: the range {5..2} is empty");
  EXPECT_TRUE(holds(error_of([] { shard_names("{0..99999999}.tar"); }), "is too long"));
  EXPECT_TRUE(holds(error_of([] { shard_names("{a..c}.tar"); }), "is no range of numbers"));
  EXPECT_TRUE(holds(error_of([] { shard_names("t-{0..2.tar"); }), "the last { has no }"));
  EXPECT_TRUE(holds(error_of([] { shard_names("{a,{b,c}}.tar"); }), "braces within braces"));
  EXPECT_TRUE(holds(error_of([] { shard_names("a.tar,b.tar"); }), "not named with commas"));
}

TEST(ShardNames, HaveLimits) {
  const auto braces = [](int pairs) {
    std::string text;
    for (int i = 0; i < pairs; ++i) text += "{x}";
    return text + ".tar";
  };
  EXPECT_EQ(shard_names(braces(16)), std::vector<std::string>{std::string(16, 'x') + ".tar"});
  EXPECT_TRUE(
      holds(error_of([&] { shard_names(braces(1'000'000)); }), "more than 16 pairs of braces"));
  EXPECT_TRUE(holds(error_of([] { shard_names("{0..999}{0..1000}.tar"); }),
                    "stands for more than 1000000 names"));
}

TEST_F(Shards, AreNamedInManyWays) {
  shard("t-0.tar", 0, 2), shard("t-1.tar", 2, 1);
  const std::vector<std::string> all{"t-0.tar/1000.png", "t-0.tar/1001.png", "t-1.tar/1002.png"};
  for (const char* list : {"t-{0..1}.tar", "t-*.tar"})
    EXPECT_EQ(names_of(read_image_list(folder_ / list), folder_), all) << list;
  file("list.txt", "t-0.tar\nt-1.tar\n");
  EXPECT_EQ(names_of(read_image_list(folder_ / "list.txt"), folder_), all);
  file("range.txt", "t-{0..1}.tar\nfiles/1000.png\nt-0.tar/1001.png\n");
  auto mixed = all;
  mixed.insert(mixed.end(), {"files/1000.png", "t-0.tar/1001.png"});
  EXPECT_EQ(names_of(read_image_list(folder_ / "range.txt"), folder_), mixed);
  fs::remove_all(folder_ / "files");
  EXPECT_EQ(names_of(read_image_list(folder_), folder_), all);  // a folder
  const auto data = file("x.data", "train = t-{0..1}.tar\n");
  EXPECT_EQ(names_of(read_image_list(read_data_file(data).train), folder_), all);
}

TEST_F(Shards, HoldTheSamePixelsAndLabelsAsTheFiles) {
  const fs::path path = shard("t.tar", 0, 7);
  const auto batches_of = [](const fs::path& list) {
    LabelledImages all = read_all_labels(read_image_list(list), 3);
    return Batches(
        {.images = all.images, .truths = all.truths, .batch = 7, .size = [](std::int64_t) {
           return InputSize{32, 64};
         }});
  };
  const Batch a = batches_of(path).make(0), b = batches_of(folder_ / "files").make(0);
  ASSERT_EQ(a.images.size(), 7u);
  EXPECT_TRUE(a.pixels == b.pixels);
  ASSERT_EQ(a.truths.size(), b.truths.size());
  for (std::size_t i = 0; i < a.truths.size(); ++i) {
    ASSERT_EQ(a.truths[i].size(), 1u);
    EXPECT_EQ(a.truths[i][0].class_id, b.truths[i][0].class_id);
    EXPECT_EQ(a.truths[i][0].box.w, b.truths[i][0].box.w);
  }
  EXPECT_EQ(image_size_of(path / "1003.png").width, 11);
}

// A damaged shard is named with the member at which it ends.
TEST_F(Shards, CutShortAreRefused) {
  const std::string bytes = whole(shard("t.tar", 0, 2));
  const auto cut = [&](const char* name, std::size_t size) {
    file(name, bytes.substr(0, size));
    return list_error(name);
  };
  const std::string at = (folder_ / "").string();
  EXPECT_TRUE(holds(cut("a.tar", 540), at + "a.tar: 1000.png: the tar ends within this member"));
  // Between two members: all that is there is sound.
  std::vector<std::size_t> ends;
  for_each_tar_member(
      *open_source((folder_ / "t.tar").string()), "t.tar", [](const TarMember&) { return false; },
      [&](const TarMember& m, const std::string&) {
        ends.push_back(m.offset + (m.bytes + 511) / 512 * 512);
      });
  ASSERT_EQ(ends.size(), 4u);
  EXPECT_TRUE(holds(cut("b.tar", ends[1]), at + "b.tar: 1000.txt: the tar ends with this member"));
  EXPECT_TRUE(holds(cut("c.tar", ends[1] + 100), at + "c.tar: 1000.txt: "));
  EXPECT_TRUE(holds(cut("d.tar", 0), at + "d.tar: "));
  file("e.tar", std::string(5000, 'x'));
  EXPECT_TRUE(holds(list_error("e.tar"), "e.tar: this is not a tar file"));
  EXPECT_TRUE(holds(list_error("none.tar"), "none.tar: cannot read this file: No such file"));
  EXPECT_TRUE(holds(list_error("t.tar.gz"), "compressed shards are not read"));
}

TEST_F(Shards, FaultsOfTheirMembersAreNamed) {
  tar("images.tar", {{"1.png", "x"}, {"1.jpg", "x"}, {"1.txt", ""}});
  EXPECT_TRUE(holds(list_error("images.tar"), "images.tar: 1.png: has the key of 1.jpg"));
  tar("twice.tar", {{"1.png", "x"}, {"2.png", ""}, {"1.png", "y"}});
  EXPECT_TRUE(holds(list_error("twice.tar"), "twice.tar: 1.png: the tar has this member twice"));
  tar("none.tar", {{"1.txt", ""}});
  EXPECT_TRUE(holds(list_error("none.tar"), "none.tar: holds 1 file and no image"));
  const fs::path path = tar("label.tar", {{"1.png", "x"}});
  EXPECT_TRUE(
      holds(error_of([&] { read_all_labels(read_image_list(path), 3); }),
            path.string() + "/1.txt: the label file of " + path.string() + "/1.png is missing"));
  const fs::path bad =
      tar("bad.tar", {{"1.png", "x"}, {"1.txt", "0 .5 .5 .1 .1\n7 .5 .5 .1 .1\n"}});
  EXPECT_TRUE(holds(error_of([&] { read_all_labels(read_image_list(bad), 3); }),
                    bad.string() + "/1.txt:2: class 7 is not among 0 to 2"));
}

TEST_F(Shards, LabelFilesWithoutAnImageGiveOneWarning) {
  const fs::path path =
      tar("t.tar", {{"1.png", "x"}, {"1.txt", ""}, {"2.txt", ""}, {"3.txt", ""}, {"11.txt", ""}});
  std::vector<std::string> said;
  const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
  const log::Capture capture(take);
  EXPECT_EQ(read_image_list(path).size(), 1u);
  EXPECT_EQ(read_image_list(path).size(), 1u);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], path.string() + ": 11.txt: no image has this key") &&
              holds(said[0], "so are 2 more"))
      << said[0];
}

TEST_F(Shards, ThatChangeAreNoticed) {
  const fs::path path = shard("t.tar", 0, 2);
  ASSERT_EQ(read_image_list(path).size(), 2u);
  const std::string other = whole(shard("other.tar", 2, 3));
  file("t.tar", other);
  EXPECT_TRUE(
      holds(error_of([&] { whole(path / "1001.png"); }), "t.tar: 1001.png: was changed since"));
  EXPECT_EQ(read_image_list(path).size(), 3u);  // read anew
  EXPECT_EQ(whole(path / "1003.png"), whole(folder_ / "files/1003.png"));
}

// Nobody writes into the pipe: who reads it would wait.
TEST_F(Shards, APipeInTheirPlaceIsNotWaitedFor) {
  const fs::path path = shard("t.tar", 0, 1);
  const auto source = open_source(path.string());
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  char byte = 0;
  EXPECT_TRUE(holds(error_of([&] { source->read(0, &byte, 1); }), "t.tar: was changed since"));
}

// Of a size, whose bytes cannot be read.
class Unreadable : public ByteSource {
 public:
  explicit Unreadable(std::uint64_t size) : size_(size) {}
  std::uint64_t size() const override { return size_; }
  void read(std::uint64_t, char*, std::size_t) const override { throw std::bad_alloc(); }

 private:
  std::uint64_t size_;
};

// Its reader is called through libarchive, which is written in C.
TEST(TarHeaders, LetEveryExceptionThrough) {
  const auto read = [](std::uint64_t size) {
    for_each_tar_member(
        Unreadable(size), "x.tar", [](const TarMember&) { return false; },
        [](const TarMember&, const std::string&) {});
  };
  EXPECT_THROW(read(10'000), std::bad_alloc);
  EXPECT_TRUE(holds(error_of([&] { read(std::uint64_t{1} << 63); }), "x.tar: larger than"));
}

TEST(Sources, AreNamedByTheirErrors) {
  char byte = 0;
  EXPECT_EQ(error_of([&] { source_of("x.txt", "ab")->read(2, &byte, 1); }),
            "x.txt: ends at byte 2, before what is to be read");
  EXPECT_THROW(read_all("/no/such/file", 1), NoSuchSource);
}

TEST_F(Shards, AreNotWrittenTo) {
  const fs::path path = shard("t.tar", 0, 1);
  EXPECT_TRUE(holds(error_of([&] { write_file_atomically(path / "1000.txt", "0 .5 .5 .1 .1"); }),
                    "nothing is written into a tar shard; unpack it"));
}

// GNU tar's own formats, as WebDataset users make shards with.
TEST_F(Shards, OfOtherProgramsAreRead) {
  shard("t.tar", 0, 3);
  const std::string all = cat("cd '", (folder_ / "files").string(), "' && ");
  for (const char* format : {"gnu", "posix", "ustar"}) {
    const fs::path made = folder_ / (std::string(format) + ".tar");
    ASSERT_EQ(
        std::system(
            cat(all, "tar --sort=name --format=", format, " -cf '", made.string(), "' .").c_str()),
        0);
    ASSERT_EQ(read_image_list(made).size(), 3u) << format;
    EXPECT_EQ(whole(made / "1002.png"), whole(folder_ / "files/1002.png")) << format;
  }
  fs::create_hard_link(folder_ / "files/1000.txt", folder_ / "files/1003.txt");
  ASSERT_EQ(std::system((all + "tar -cf ../links.tar .").c_str()), 0);
  EXPECT_TRUE(holds(list_error("links.tar"), "this member is a link, which is not read"));
}

// ---- the order of training ----

constexpr std::int64_t kWindow = 16;

TEST(ShardOrder, IsAPermutationWithinAWindow) {
  const ShardSequence shards{.starts = {0, 100, 150}, .window = kWindow};
  const auto order = shards.order(230, Rng(3));
  std::vector<std::int64_t> sorted = order;
  std::ranges::sort(sorted);
  for (std::int64_t i = 0; i < 230; ++i) ASSERT_EQ(sorted[to_size(i)], i);
  // Nothing comes before it is in the buffer: of each shard the k-th place has at most its first
  // k + window images.
  for (const auto& [first, end] : {std::pair{0, 100}, {100, 150}, {150, 230}}) {
    const auto in_shard = [first = first, end = end](std::int64_t i) {
      return i >= first && i < end;
    };
    std::int64_t k = 0;
    for (const std::int64_t i : order)
      if (in_shard(i)) {
        EXPECT_LE(i - first, k + kWindow);
        ++k;
      }
  }
  EXPECT_NE(order, shards.order(230, Rng(3, 1)));
  EXPECT_EQ(order, shards.order(230, Rng(3)));
}

class ShardBatches : public Shards {
 protected:
  BatchSettings settings() const {
    LabelledImages all = read_all_labels(read_image_list(folder_ / "t-{0..3}.tar"), 3);
    return {.images = all.images,
            .truths = all.truths,
            .batch = 4,
            .size =
                [](std::int64_t) {
                  return InputSize{32, 32};
                },
            .augmentation = Augmentation{.image = {.mosaic = true, .shuffle_window = kWindow},
                                         .head = {.jitter = .3f}},
            .seed = 5};
  }
  void SetUp() override {
    for (std::int64_t i = 0; i < 4; ++i) shard(cat("t-", i, ".tar"), 12 * i, 12);
  }
};

TEST_F(ShardBatches, AreAFunctionOfTheirNumber) {
  const Batches all(settings());
  std::vector<Batch> made;
  for (std::int64_t k = 0; k < 30; ++k) made.push_back(all.make(k));
  const Batches resumed(settings());
  for (const std::int64_t k : {29, 13, 0}) {
    const Batch again = resumed.make(k);
    EXPECT_EQ(again.shown, made[to_size(k)].shown);
    EXPECT_TRUE(again.pixels == made[to_size(k)].pixels) << k;
  }
  // Each image once an epoch, and another order in the next.
  std::vector<std::int64_t> first, second;
  for (std::int64_t k = 0; k < 24; ++k)
    for (const std::int64_t i : made[to_size(k)].images) (k < 12 ? first : second).push_back(i);
  EXPECT_NE(first, second);
  std::ranges::sort(first), std::ranges::sort(second);
  EXPECT_EQ(first, second);
  EXPECT_EQ(std::ranges::adjacent_find(first), first.end());
}

class UnreadableShardBatches : public ShardBatches {
 protected:
  void SetUp() override {
    for (std::int64_t i = 0; i < 48; i += 5) unreadable_.insert(i);
    ShardBatches::SetUp();
  }
};

// What is shown in place of an unreadable image is near it in the order of the epoch.
TEST_F(UnreadableShardBatches, OfSeveralProcessesShowTheSame) {
  const Batches all(settings());
  std::int64_t replaced = 0;
  for (const std::int64_t first : {0, 2}) {
    BatchSettings half = settings();
    half.first = first, half.count = 2;
    const Batches some(half);
    for (std::int64_t k = 0; k < 24; ++k) {
      const Batch whole = all.make(k), part = some.make(k);
      for (std::int64_t i = 0; i < 2; ++i) {
        EXPECT_EQ(part.shown[to_size(i)], whole.shown[to_size(first + i)]) << k << ' ' << i;
        replaced += std::ssize(part.unreadable[to_size(i)]);
      }
    }
  }
  EXPECT_GT(replaced, 20);
}

// What a mosaic shows next to its first image is read at about the same time.
TEST_F(ShardBatches, TakeAllOfAMosaicFromTheWindow) {
  const Batches all(settings());
  std::vector<std::int64_t> place(48);
  std::vector<Batch> made;
  for (std::int64_t k = 0; k < 12; ++k) {
    made.push_back(all.make(k));
    for (std::int64_t i = 0; i < 4; ++i) place[to_size(made.back().images[to_size(i)])] = 4 * k + i;
  }
  std::int64_t mosaics = 0;
  for (const Batch& batch : made)
    for (const auto& shown : batch.shown)
      for (const std::int64_t other : shown) {
        mosaics += other != shown.front();
        EXPECT_LE(std::abs(place[to_size(other)] - place[to_size(shown.front())]), kWindow / 2);
      }
  EXPECT_GT(mosaics, 30);
}

}  // namespace
}  // namespace darknet::testing_files
