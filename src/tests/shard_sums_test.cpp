// Checksums of shards: what a training finds of shards that are not what was packed.
#include "dataset/shard_sums.h"

#include "cli_harness.h"
#include "core/file.h"
#include "core/log_capture.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/shard_sequence.h"
#include "dataset/shard_verifier.h"
#include "image/codec.h"
#include "image_samples.h"
#include "shell_command.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

// Three shards with two images each, and their checksums.
class ShardChecksums : public testing_files::InFolder {
 protected:
  void SetUp() override {
    std::string sums;
    for (int s = 0; s < 3; ++s) {
      TarWriter tar(folder_ / name(s));
      for (int i = 0; i < 2; ++i) tar.add(cat(i, ".png"), std::string(3000, 'x'));
      const TarWriter::Written written = tar.commit();
      sums += sum_lines(name(s), {written.sha256, written.bytes});
    }
    file(kShardSums, sums);
  }
  static std::string name(int s) { return cat("t-", s, ".tar"); }
  // Behind the end mark, where no reader of tar files looks.
  void damage(int s) const {
    std::string bytes = read_file(folder_ / name(s), 1 << 20);
    bytes.back() = 'x';
    file(name(s), bytes);
  }
  ImagePaths images() const { return read_image_list(folder_ / "t-{0..2}.tar"); }
  static constexpr const char* kChanged =
      "was changed or damaged since it was packed: its SHA-256 is not that of shards.sha256; copy "
      "it again, or pack again; darknet data check names all";
};

TEST_F(ShardChecksums, OfSoundShardsAreFound) {
  ShardVerifier shards(images());
  for (std::int64_t i = 0; i < 6; ++i) shards.note_use(i);
  shards.finish();
}

TEST_F(ShardChecksums, NameADamagedShardOnceAnImageOfItIsUsed) {
  damage(1);
  ShardVerifier shards(images());
  shards.note_use(0), shards.note_use(1), shards.note_use(4);
  shards.finish();
  shards.note_use(3);
  try {
    shards.finish();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const SourceFailure& e) {
    EXPECT_EQ(e.name(), (folder_ / name(1)).string());
    EXPECT_TRUE(holds(e.what(), cat(name(1), ": ", kChanged))) << e.what();
  }
  EXPECT_THROW(shards.note_use(0), SourceFailure);  // whoever reads on hears of it
}

TEST_F(ShardChecksums, AreSharedOutOverTheProcessesOfAHost) {
  for (int damaged = 0; damaged < 3; ++damaged) {
    SetUp();
    damage(damaged);
    for (int process = 0; process < 2; ++process) {
      ShardVerifier shards(images(), process, 2);
      for (std::int64_t i = 0; i < 6; ++i) shards.note_use(i);
      EXPECT_EQ(error_of([&] { shards.finish(); }).empty(), damaged % 2 != process)
          << damaged << ' ' << process;
    }
  }
}

// As `sha256sum ./*.tar` and `sha256sum` on other systems write them.
TEST_F(ShardChecksums, MayBeWrittenInOtherWays) {
  std::string sums = read_file(folder_ / kShardSums, 1 << 20), plain;
  std::istringstream in(sums);
  for (std::string line; std::getline(in, line);)
    if (!line.starts_with('#')) plain += line.replace(64, 2, " *./") + "\n";
  file(kShardSums, plain);
  damage(1);
  ShardVerifier shards(images());
  shards.note_use(0), shards.finish();
  shards.note_use(2);
  EXPECT_TRUE(holds(error_of([&] { shards.finish(); }), kChanged));
}

// As where a shuffled list names paths that go through shards.
TEST_F(ShardChecksums, OfAListThatAlternatesAreReadOncePerShard) {
  const ImagePaths in_order = images();
  ImagePaths mixed;
  for (const std::size_t i : {0u, 2u, 4u, 1u, 3u, 5u}) mixed.push_back(in_order[i]);
  std::vector<std::string> names;
  for (int s = 0; s < 3; ++s) names.push_back((folder_ / name(s)).string());
  EXPECT_EQ(shards_of(mixed), names);
  damage(1);
  for (int process = 0; process < 2; ++process) {
    ShardVerifier shards(mixed, process, 2);
    for (const std::int64_t other : {0, 2, 3, 5}) shards.note_use(other);
    EXPECT_EQ(shards.finish(), 0);
    shards.note_use(4);
    EXPECT_EQ(error_of([&] { shards.finish(); }).empty(), process == 0);
  }
}

// A wait that is ended says how many are left.
TEST_F(ShardChecksums, AreNotWaitedForWhereTheProgramIsToStop) {
  file(kShardSums, sum_lines(name(0), {std::string(64, '0'), 0}));
  TarWriter tar(folder_ / "small.tar");
  tar.add("0.png", "x"), tar.commit();
  fs::copy_file(folder_ / "small.tar", folder_ / name(0), fs::copy_options::overwrite_existing);
  fs::resize_file(folder_ / name(0),
                  std::uintmax_t{8} << 30);  // zeros, which take no room on the disk
  const ImagePaths one{folder_ / name(0) / "0.png"};
  ShardVerifier shards(one);
  shards.note_use(0);
  EXPECT_EQ(shards.unread(), 1);
  std::vector<std::string> said;
  const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
  const log::Capture capture(take);
  EXPECT_EQ(shards.finish([] { return true; }), 1);
  EXPECT_EQ(said, std::vector<std::string>{"comparing 1 shard with its checksum"});
}

// Each rank makes a part of each batch, and its shards are those that all ranks take images of.
TEST_F(ShardChecksums, AreThoseOfTheImagesOfAllRanks) {
  TarWriter tar(folder_ / "sound.tar");
  tar.add("0.png", encode(testing_images::noise(40, 40, 3), ".png"));
  const TarWriter::Written written = tar.commit();
  TarWriter other(folder_ / "other.tar");
  other.add("1.png", encode(testing_images::noise(40, 40, 3), ".png"));
  other.commit();
  file(kShardSums, sum_lines("sound.tar", {written.sha256, written.bytes}) +
                       sum_lines("other.tar", {std::string(64, '0'), 0}));
  const ImagePaths all = read_image_list(folder_ / "{sound,other}.tar");
  ASSERT_EQ(all.size(), 2u);
  for (const std::int64_t first : {0, 1}) {  // rank 1's share has other.tar
    ShardVerifier shards(all, 1, 2);
    const Batches batches({.images = all,
                           .truths = GroundTruths(std::vector<std::vector<Truth>>(2)),
                           .batch = 2,
                           .size =
                               [](std::int64_t) {
                                 return InputSize{32, 32};
                               },
                           .augmentation = Augmentation{},
                           .first = first,
                           .count = 1,
                           .shards = &shards});
    batches.make(0);
    EXPECT_TRUE(holds(error_of([&] { shards.finish(); }), "other.tar: was changed or damaged"))
        << first;
  }
}

TEST_F(ShardChecksums, TheSizeOfEachIsComparedAtOnce) {
  std::string bytes = read_file(folder_ / name(2), 1 << 20);
  file(name(2), bytes + std::string(10240, '\0'));
  const std::string error = error_of([&] { ShardVerifier shards(images()); });
  EXPECT_TRUE(holds(error, cat(name(2), ": was changed or cut short since it was packed: it has ",
                               bytes.size() + 10240, " bytes, in shards.sha256 ", bytes.size(),
                               "; copy it again")))
      << error;
}

TEST_F(ShardChecksums, ThatAreMissingOrOfOthersAreNoFault) {
  damage(0);
  std::vector<std::string> said;
  const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
  const log::Capture capture(take);
  const auto use_all = [&](const ImagePaths& all) {
    ShardVerifier shards(all);
    for (std::size_t i = 0; i < all.size(); ++i) shards.note_use(static_cast<std::int64_t>(i));
    shards.finish();
  };
  const std::string of_2 = read_file(folder_ / kShardSums, 1 << 20);
  file(kShardSums, of_2.substr(of_2.rfind('#')));
  use_all(images());
  ASSERT_FALSE(said.empty());
  EXPECT_TRUE(holds(said[0], "t-0.tar: shards.sha256 next to it does not list this shard"));
  EXPECT_EQ(std::ranges::count_if(said, [](auto& m) { return holds(m, "does not list"); }), 1);
  said.clear();
  fs::remove(folder_ / kShardSums);
  use_all(images());
  use_all({folder_ / "a.png", folder_ / "t.tar/b.png", folder_ / "c.png"});  // no shards
  EXPECT_TRUE(std::ranges::none_of(said, [](auto& m) { return holds(m, kShardSums); }));
}

TEST_F(ShardChecksums, ThatAreDamagedAreNamed) {
  file(kShardSums, "# of today\n\n0123 t-0.tar\n");
  const std::string error = error_of([&] { ShardVerifier shards(images()); });
  EXPECT_TRUE(holds(error, "shards.sha256:3: expected a SHA-256 and the name of a shard")) << error;
  file(kShardSums, cat(std::string(63, '0'), "g  t-0.tar\n"));
  EXPECT_EQ(error_of([&] { ShardVerifier shards(images()); }),
            cat((folder_ / kShardSums).string(), ":1: expected a SHA-256 and the name of a shard"));
}

TEST_F(ShardChecksums, AreThoseOfSha256sum) {
  const ShellResult ran =
      run_in_shell(cat("cd '", folder_.string(), "' && sha256sum --strict -c ", kShardSums));
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  ShardSums sums;
  sums.add_next_to((folder_ / name(0)).string());
  ASSERT_NE(sums.of((folder_ / name(1)).string()), nullptr);
  EXPECT_EQ(sums.of((folder_ / name(1)).string())->bytes, fs::file_size(folder_ / name(1)));
  EXPECT_EQ(sums.of((folder_ / "t-3.tar").string()), nullptr);
}

// Two shards of which training takes one after the other.
class ShardChecksumsInTraining : public CliTest {
 protected:
  static constexpr int kImages = 60;  // of a shard
  void SetUp() override {
    std::string sums;
    for (const char* const name : {"t-0.tar", "t-1.tar"}) {
      TarWriter tar(work_.path(name));
      for (int i = 0; i < kImages; ++i) {
        tar.add(cat(i, ".png"), work_.get(cat("images/", i % kTinyImages, ".png")));
        tar.add(cat(i, ".txt"), work_.get(cat("images/", i % kTinyImages, ".txt")));
      }
      const TarWriter::Written written = tar.commit();
      sums += sum_lines(name, {written.sha256, written.bytes});
    }
    work_.put(kShardSums, sums);
    work_.put("x.data", replaced(work_.get("x.data"), "train = train.txt", "train = t-{0..1}.tar"));
  }
  CommandResult train_on(const std::string& backup) const {
    return train({"-backup", backup, "-max_batches", "50", "-set", "net.0.shuffle_window=1"});
  }
};

TEST_F(ShardChecksumsInTraining, ADamagedShardEndsItAfterSaving) {
  const EpochOrders orders(2 * kImages, 1, {.starts = {0, kImages}, .window = 1});
  const std::string second = orders.at(0) < kImages ? "t-1.tar" : "t-0.tar";
  std::string bytes = work_.get(second);
  bytes.back() = 'x';
  work_.put(second, bytes);
  CommandResult ran = train_on("a");
  expect_refused(ran, cat(second, ": was changed or damaged since it was packed: its SHA-256"));
  EXPECT_TRUE(said(ran, "darknet data check names all")) << ran.all();
  EXPECT_TRUE(work_.has("a/x_last.state")) << ran.all();
  EXPECT_FALSE(work_.has("a/x_final.weights"));
  work_.remove(kShardSums);
  ran = train_on("b");
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

// Of what is read last, too.
TEST_F(ShardChecksumsInTraining, IsWaitedForAtTheEnd) {
  for (const char* const name : {"t-0.tar", "t-1.tar"}) {
    std::string bytes = work_.get(name);
    bytes.resize(bytes.size() - 1);
    work_.put(name, bytes + 'x');
  }
  const CommandResult ran = train({"-backup", "a", "-max_batches", "1"});
  expect_refused(ran, "since it was packed");
  EXPECT_TRUE(work_.has("a/x_last.state"));
  EXPECT_FALSE(work_.has("a/x_final.weights"));
}

// What was learned is on the disk before the wait, which a signal ends.
TEST_F(ShardChecksumsInTraining, ASignalEndsTheWaitAtTheEnd) {
  for (const char* const name : {"t-0.tar", "t-1.tar"})
    fs::resize_file(work_.path(name),
                    std::uintmax_t{256} << 30);  // zeros, which take no room on the disk
  work_.put(kShardSums,
            cat(std::string(64, '0'), "  t-0.tar\n", std::string(64, '0'), "  t-1.tar\n"));
  const CommandResult ran =
      work_.darknet({"detector", "train", "x.data", "x.cfg", "-backup", "a", "-max_batches", "1"},
                    {.signal_when = "comparing ", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_TRUE(said(ran, "not compared with the checksums; darknet data check compares all"))
      << ran.all();
  EXPECT_TRUE(said(ran, "interrupted at iteration 1; saved")) << ran.all();
  EXPECT_TRUE(work_.has("a/x_last.state"));
  EXPECT_FALSE(work_.has("a/x_final.weights"));
}

}  // namespace
}  // namespace darknet::test
