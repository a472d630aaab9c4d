// Files that grow during long work and take their name at the end.
#include "core/streamed_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <deque>

#include "temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

constexpr std::size_t kMuch = 3 * StreamedFile::kBufferBytes;

class StreamedFileTest : public testing_files::InFolder {
 protected:
  std::size_t files() const { return entries_of(folder_).size(); }
  static std::size_t descriptors() { return entries_of("/proc/self/fd").size(); }
};

TEST_F(StreamedFileTest, TakesItsNameAtTheEnd) {
  const fs::path to = file("x.txt", "old words");
  std::string all;
  StreamedFile out(to, kTextFormat);
  EXPECT_EQ(files(), 1u);
  for (int i = 0; all.size() < kMuch; ++i) {
    const std::string line = cat("line ", i, "\n");
    out.append(line);
    all += line;
  }
  EXPECT_EQ(files(), 2u);  // it grows on the disk
  EXPECT_EQ(read_file(to, 100), "old words");
  out.commit();
  EXPECT_EQ(read_file(to, 2 * kMuch), all);
  EXPECT_EQ(files(), 1u);
}

TEST_F(StreamedFileTest, NothingIsAnEmptyFile) {
  StreamedFile(folder_ / "x", kTextFormat).commit();
  EXPECT_EQ(read_file(folder_ / "x", 1), "");
}

TEST_F(StreamedFileTest, LeavesTheEarlierFileWithoutItsEnd) {
  const fs::path to = file("x.txt", "old words");
  {
    StreamedFile out(to, kTextFormat);
    out.append(std::string(kMuch, 'x'));
    EXPECT_EQ(files(), 2u);
  }
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(read_file(to, 100), "old words");
}

TEST_F(StreamedFileTest, HoldsNoDescriptors) {
  const std::size_t before = descriptors();
  std::deque<StreamedFile> all;
  for (int i = 0; i < 100; ++i) {
    all.emplace_back(folder_ / cat(i), kTextFormat);
    all.back().append(std::string(StreamedFile::kBufferBytes, 'x'));
  }
  EXPECT_EQ(files(), 100u);
  EXPECT_EQ(descriptors(), before);
  for (StreamedFile& file : all) file.commit();
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(fs::file_size(folder_ / "99"), StreamedFile::kBufferBytes);
}

// A full disk, played by a limit on the size of files.
TEST_F(StreamedFileTest, AFailedWriteIsNotCompletedLater) {
  const fs::path to = file("x.txt", "old words");
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const action = std::signal(SIGXFSZ, SIG_IGN);
  {
    StreamedFile out(to, kTextFormat);
    out.append(std::string(StreamedFile::kBufferBytes, 'a'));
    const ::rlimit little{StreamedFile::kBufferBytes + 10, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &little);
    const std::string why =
        error_of([&] { out.append(std::string(StreamedFile::kBufferBytes, 'b')); });
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_TRUE(holds(why, to.string() + ": cannot write this file: ")) << why;
    EXPECT_EQ(error_of([&] { out.append("more"); }), why);
    EXPECT_EQ(error_of([&] { out.commit(); }), why);
  }
  std::signal(SIGXFSZ, action);
  EXPECT_EQ(read_file(to, 100), "old words");
  EXPECT_EQ(files(), 1u);
}

TEST_F(StreamedFileTest, AnotherKindOfFileIsNotReplaced) {
  const fs::path to = file("x.txt", "old words");
  StreamedFile out(to, kTextFormat);
  out.append(std::string(kMuch, 'x'));
  file("x.txt", "0 .5 .5 .1 .1\n");  // by another program, meanwhile
  EXPECT_TRUE(holds(error_of([&] { out.commit(); }), "would replace a label file"));
  EXPECT_EQ(read_file(to, 100), "0 .5 .5 .1 .1\n");
}

}  // namespace
}  // namespace darknet
