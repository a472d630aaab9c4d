// Checksums of shards: what a training finds of shards that are not what was packed.
#include "dataset/shard_sums.h"

#include "cli_harness.h"
#include "core/file.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/shard_verifier.h"
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
  for (std::int64_t i = 0; i < 6; ++i) shards.uses(i);
  shards.finish();
}

TEST_F(ShardChecksums, NameADamagedShardOnceAnImageOfItIsUsed) {
  damage(1);
  ShardVerifier shards(images());
  shards.uses(0), shards.uses(1), shards.uses(4);
  shards.finish();
  shards.uses(3);
  try {
    shards.finish();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const SourceFailure& e) {
    EXPECT_EQ(e.name(), (folder_ / name(1)).string());
    EXPECT_TRUE(holds(e.what(), cat(name(1), ": ", kChanged))) << e.what();
  }
  EXPECT_THROW(shards.uses(0), SourceFailure);  // whoever reads on hears of it
}

TEST_F(ShardChecksums, AreSharedOutOverTheProcessesOfAHost) {
  for (int damaged = 0; damaged < 3; ++damaged) {
    SetUp();
    damage(damaged);
    for (int process = 0; process < 2; ++process) {
      ShardVerifier shards(images(), process, 2);
      for (std::int64_t i = 0; i < 6; ++i) shards.uses(i);
      EXPECT_EQ(error_of([&] { shards.finish(); }).empty(), damaged % 2 != process)
          << damaged << ' ' << process;
    }
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
  const auto use_all = [&](const ImagePaths& all) {
    ShardVerifier shards(all);
    for (std::size_t i = 0; i < all.size(); ++i) shards.uses(static_cast<std::int64_t>(i));
    shards.finish();
  };
  const std::string of_2 = read_file(folder_ / kShardSums, 1 << 20);
  file(kShardSums, of_2.substr(of_2.rfind('#')));
  use_all(images());
  fs::remove(folder_ / kShardSums);
  use_all(images());
  use_all({folder_ / "a.png", folder_ / "t.tar/b.png", folder_ / "c.png"});  // no shards
}

TEST_F(ShardChecksums, ThatAreDamagedAreNamed) {
  file(kShardSums, "# of today\n\n0123 t-0.tar\n");
  const std::string error = error_of([&] { ShardVerifier shards(images()); });
  EXPECT_TRUE(holds(error, "shards.sha256:3: expected a SHA-256 and the name of a shard")) << error;
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
  EXPECT_FALSE(work_.has("a/x_final.weights"));
}

}  // namespace
}  // namespace darknet::test
