#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "cli/image_arguments.h"
#include "core/error.h"
#include "core/file.h"
#include "dataset/label_files.h"
#include "dataset/scene_set.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;

class FileTest : public testing_files::InFolder {};

// std::filesystem's functions throw what is no Error where links lead in a circle.
TEST_F(FileTest, LinksInACircleAreReportedWithASentence) {
  const fs::path loop = folder_ / "loop.png";
  fs::create_symlink("loop.png", loop);
  EXPECT_EQ(
      error_of([&] { make_folder(loop / "x"); }).find((loop / "x").string() + ": cannot make"), 0u);
  EXPECT_EQ(error_of([&] { entries_of(loop); }).find(loop.string() + ": cannot read this folder"),
            0u);
  EXPECT_EQ(error_of([&] { require_scene_folder(loop); }),
            loop.string() + ": this is not a folder");
  for (const bool recursive : {false, true}) {
    const ImagePaths images = cli::images_of({folder_.string()}, recursive);
    ASSERT_EQ(images.size(), 1u);
    EXPECT_EQ(images[0], loop);
  }
}

TEST_F(FileTest, ALabelFileThatIsALinkInACircleIsNotReplaced) {
  fs::create_symlink("a.txt", folder_ / "a.txt");
  EXPECT_NE(error_of([&] { LabelWriter(folder_).write("a.txt", ""); }).find("lead in a circle"),
            std::string::npos);
  fs::create_symlink(".darknet_labels", folder_ / ".darknet_labels");
  EXPECT_NE(error_of([&] { const LabelWriter writer(folder_); }).find("lead in a circle"),
            std::string::npos);
}

TEST_F(FileTest, EntriesComeInTheOrderOfTheirNames) {
  for (const char* name : {"c", "a", "b"}) write_file_atomically(folder_ / name, "");
  EXPECT_EQ(entries_of(folder_), (std::vector{folder_ / "a", folder_ / "b", folder_ / "c"}));
  remove_file(folder_ / "b");
  remove_file(folder_ / "b");
  EXPECT_EQ(entries_of(folder_), (std::vector{folder_ / "a", folder_ / "c"}));
}

TEST_F(FileTest, WithoutCommitThePreviousFileStays) {
  write_file_atomically(folder_ / "x", "old");
  { AtomicFile(folder_ / "x").write("new", 3); }
  EXPECT_EQ(read_file(folder_ / "x", 100), "old");
  write_file_atomically(folder_ / "x", "newer");
  EXPECT_EQ(read_file(folder_ / "x", 100), "newer");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, ErrorsNameTheFile) {
  EXPECT_THROW(AtomicFile(folder_ / "no" / "x"), Error);
  EXPECT_THROW(read_file(folder_ / "missing", 10), Error);
  EXPECT_THROW(read_file(folder_, 10), Error);
  write_file_atomically(folder_ / "x", "12345678901");
  EXPECT_THROW(read_file(folder_ / "x", 10), Error);
}

TEST_F(FileTest, ALinkStaysOneAndItsTargetIsReplaced) {
  write_file_atomically(folder_ / "target", "old");
  fs::create_symlink("target", folder_ / "link");
  write_file_atomically(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "target", 100), "new");
}

TEST_F(FileTest, OnlyOrdinaryFilesAreReplaced) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(require_writable_file(pipe, kTextFormat), Error);
  EXPECT_THROW(write_file_atomically(pipe, "x"), Error);
  EXPECT_TRUE(fs::is_fifo(pipe));
  require_writable_file(folder_ / "new", kTextFormat);
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(FileTest, AFolderThatCannotBeMadeIsAnError) {
  require_writable_folder(folder_ / "a" / "b");
  EXPECT_TRUE(fs::is_empty(folder_ / "a" / "b"));
  write_file_atomically(folder_ / "f", "x");
  EXPECT_THROW(require_writable_folder(folder_ / "f" / "b"), Error);
}

TEST_F(FileTest, AFullDiskIsAnErrorAndLeavesNothing) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_THROW(
      {
        fs::create_symlink("/dev/full",
                           folder_ / (std::string("y.tmp") + std::to_string(::getpid())));
        AtomicFile file(folder_ / "y");
        file.write(std::string(100000, 'x'));
        file.commit();
      },
      Error);
  EXPECT_FALSE(fs::exists(folder_ / "y"));
}

TEST_F(FileTest, LeftoversOfDeadProgramsGo) {
  const std::string dead = ".tmp4194303",  // beyond what Linux hands out by default
      alive = cat(".tmp", ::getpid());
  for (const std::string& name : {"x_a.weights" + dead, "x_a.weights" + alive, "y_a" + dead,
                                  std::string("x_a.tmp"), std::string("x_a.tmp7z")})
    write_file_atomically(folder_ / name, "x");
  remove_leftovers(folder_, "x_");
  EXPECT_FALSE(fs::exists(folder_ / ("x_a.weights" + dead)));
  for (const std::string& name :
       {"x_a.weights" + alive, "y_a" + dead, std::string("x_a.tmp"), std::string("x_a.tmp7z")})
    EXPECT_TRUE(fs::exists(folder_ / name)) << name;
}

}  // namespace
}  // namespace darknet
