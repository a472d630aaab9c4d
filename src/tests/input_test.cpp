// Input files that are none: pipes without a writer, loops of links, sockets, devices, lines and
// texts without an end. Each is refused with a sentence, none is waited for.
#include "core/input.h"
#include "core/file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/text.h"
#include "dataset/detection_files.h"
#include "report/training_chart.h"
#include "temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;

constexpr std::uint64_t kMax = 1 << 20;
constexpr std::uint64_t kHuge = 3u << 30;

class Input : public testing_files::InFolder {};

// Both ends of a pipe, as a shell makes one for `<(...)`.
class ShellPipe {
 public:
  ShellPipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~ShellPipe() { ::close(ends_[0]), writer_.join(); }
  ShellPipe(const ShellPipe&) = delete;
  ShellPipe& operator=(const ShellPipe&) = delete;
  // Writes after a while, as another program may.
  fs::path with(const std::string& text) {
    writer_ = std::thread([this, text] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<::ssize_t>(text.size()));
      ::close(ends_[1]);
    });
    return cat("/dev/fd/", ends_[0]);
  }

 private:
  int ends_[2] = {-1, -1};
  std::thread writer_;
};

TEST_F(Input, FilesAreReadWhole) {
  const std::string text(200000, 'x');
  EXPECT_EQ(read_file(file("x", text), kMax), text);
  EXPECT_EQ(read_file(file("empty", ""), kMax), "");
  InputFile in(folder_ / "x", kMax);
  EXPECT_EQ(in.get(), 'x');
  EXPECT_EQ(in.rest().size(), text.size() - 1);
  EXPECT_NE(read_file("/proc/self/status", kMax), "");  // the system reports 0 bytes
}

TEST_F(Input, LimitsHoldWhateverTheSystemTells) {
  EXPECT_EQ(read_file(file("x", "12345"), 5), "12345");
  EXPECT_NE(error_of([&] { read_file(folder_ / "x", 4); }).find("larger than 4 bytes"),
            std::string::npos);
  EXPECT_NE(error_of([&] { read_file("/proc/self/status", 10); }).find("larger than 10 bytes"),
            std::string::npos);
  ShellPipe pipe;
  const fs::path path = pipe.with("123456");
  EXPECT_NE(error_of([&] { InputFile(path, 5, Pipes::allowed).rest(); }).find("larger than 5"),
            std::string::npos);
}

TEST_F(Input, PipesOfAShellAreTexts) {
  ShellPipe pipe;
  const fs::path path = pipe.with("[net]\nwidth=8\n");
  EXPECT_TRUE(is_pipe(path));
  EXPECT_NE(error_of([&] { read_file(path, kMax); }).find("this is a pipe, not a file"),
            std::string::npos);
  EXPECT_EQ(read_cfg(path).size(), 1u);
}

TEST_F(Input, APipeIsReadOnceForAllReaders) {
  ShellPipe pipe;
  const std::string text(200000, 'x');
  const fs::path path = pipe.with(text);
  { const InputFile unread(path, kMax, Pipes::allowed); }  // takes nothing out of it
  InputFile first(path, kMax, Pipes::allowed);
  EXPECT_EQ(first.get(), 'x');
  EXPECT_EQ(InputFile(path, kMax, Pipes::allowed).rest(), text);
  EXPECT_EQ(first.rest().size(), text.size() - 1);
  EXPECT_NE(error_of([&] { InputFile(path, 5, Pipes::allowed).rest(); }).find("larger than 5"),
            std::string::npos);
}

TEST_F(Input, APipeForOneReaderIsNotKept) {
  ShellPipe pipe;
  const fs::path path = pipe.with("[]");
  EXPECT_EQ(InputFile(path, kMax, Pipes::once).rest(), "[]");
  EXPECT_EQ(InputFile(path, kMax, Pipes::once).rest(), "");
}

// The file is changed meanwhile, which shows what was read again.
TEST_F(Input, ASeekWithinTheBufferReadsNothingAgain) {
  std::string text(200000, 'a');
  text[100] = 'b', text[70000] = 'c', text[199999] = 'd';
  InputFile in(file("x", text), kMax);
  EXPECT_EQ(in.get(), 'a');
  std::ofstream(folder_ / "x") << std::string(text.size(), '-');
  const auto at = [&](std::streamoff by, std::ios::seekdir from) {
    in.clear();
    in.seekg(by, from);
    return in.get();
  };
  EXPECT_EQ(at(100, std::ios::beg), 'b');
  EXPECT_EQ(in.tellg(), 101);
  EXPECT_EQ(at(-101, std::ios::cur), 'a');
  EXPECT_EQ(at(99, std::ios::cur), 'b');
  EXPECT_EQ(at(69899, std::ios::cur), '-');  // beyond it
  EXPECT_EQ(in.tellg(), 70001);
  std::ofstream(folder_ / "x") << text;
  EXPECT_EQ(at(70000, std::ios::beg), '-');
  EXPECT_EQ(at(-1, std::ios::end), 'd');
  EXPECT_EQ(in.get(), std::char_traits<char>::eof());
  EXPECT_EQ(at(199999, std::ios::beg), 'd');
  EXPECT_EQ(at(0, std::ios::beg), 'a');
}

TEST_F(Input, FifosWithANameAreNotWaitedFor) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  for (const Pipes pipes : {Pipes::refused, Pipes::allowed, Pipes::once})
    EXPECT_NE(error_of([&] { InputFile(folder_ / "fifo", kMax, pipes); }).find("this is a pipe"),
              std::string::npos);
}

TEST_F(Input, WhatIsNoFileIsCalledByItsName) {
  fs::create_symlink("loop", folder_ / "loop");
  fs::create_symlink("nothing", folder_ / "dangling");
  const auto why = [&](const fs::path& path) { return error_of([&] { read_file(path, kMax); }); };
  EXPECT_EQ(why(folder_), folder_.string() + ": this is a folder, not a file");
  EXPECT_NE(why(folder_ / "loop").find("its links lead in a circle"), std::string::npos);
  EXPECT_NE(why("/dev/zero").find("this is a device"), std::string::npos);
  EXPECT_NE(why(folder_ / "dangling").find("No such file"), std::string::npos);
  EXPECT_TRUE(is_present(folder_ / "loop"));
  EXPECT_FALSE(is_present(folder_ / "dangling"));
  EXPECT_FALSE(is_present(file("x", "") / "below"));
}

// Gives letters for ever and counts them.
class Endless : public std::streambuf {
 public:
  std::size_t given = 0;

 protected:
  int_type underflow() override {
    if (given > 8 * LineReader::kMaxLine) return traits_type::eof();  // for readers that go on
    given += sizeof block_;
    std::memset(block_, 'x', sizeof block_);
    setg(block_, block_, block_ + sizeof block_);
    return 'x';
  }

 private:
  char block_[4096];
};

TEST(LineReaderTest, AnEndlessLineIsRefusedWhileItIsRead) {
  Endless endless;
  std::istream in(&endless);
  LineReader lines(in, "x.txt");
  std::string_view line;
  EXPECT_NE(error_of([&] { lines.next(line); }).find("x.txt:1: this line is longer"),
            std::string::npos);
  EXPECT_LE(endless.given, LineReader::kMaxLine + 4096);
}

TEST(LineReaderTest, LinesUpToTheLimitAreRead) {
  const std::string longest(LineReader::kMaxLine, 'x');
  std::istringstream in("\xEF\xBB\xBF a \r\n\n" + longest + "\n" + longest + "y\n");
  LineReader lines(in, "x.txt");
  std::string_view line;
  EXPECT_TRUE(lines.next(line) && line == "a");
  EXPECT_TRUE(lines.next(line) && line.empty());
  EXPECT_TRUE(lines.next(line) && line == longest);
  EXPECT_NE(error_of([&] { lines.next(line); }).find("x.txt:4: "), std::string::npos);
}

TEST(LineReaderTest, TheLastLineNeedsNoEnd) {
  std::istringstream in("a\nb");
  LineReader lines(in, "x.txt");
  std::string_view line;
  EXPECT_TRUE(lines.next(line) && lines.next(line) && line == "b");
  EXPECT_EQ(lines.number(), 2);
  EXPECT_FALSE(lines.next(line));
}

// Sparse files: gigabytes without a line's end that take no room on the disk.
TEST_F(Input, HugeFilesWithoutLinesAreRefusedAtOnce) {
  const fs::path log = file("x_log.jsonl", "");
  fs::resize_file(log, kHuge);
  EXPECT_NE(error_of([&] { read_history(log); }).find("x_log.jsonl:1: this line is longer"),
            std::string::npos);
  const ImageSet set{.images = {"a.png"}, .sizes = {{8, 8}}, .names = {"red"}};
  const fs::path voc = file("comp4_det_test_red.txt", "");
  fs::resize_file(voc, kHuge);
  EXPECT_NE(error_of([&] { read_detections(voc, set); }).find("red.txt:1: this line is longer"),
            std::string::npos);
}

TEST_F(Input, EndlessTextsAndNumbersInJsonAreRefused) {
  const ImageSet set{.images = {"1.png"}, .sizes = {{8, 8}}, .names = {"red"}};
  const auto why = [&](const std::string& json) {
    const fs::path path = file("x.json", json);
    return error_of([&] { read_detections(path, set); });
  };
  const std::string max(LineReader::kMaxLine - 2, ','), too_long(LineReader::kMaxLine + 1, ',');
  const std::string entry = "\"image_id\":1,\"category_id\":1,\"bbox\":[1,1,2,2],\"score\":.5}]";
  EXPECT_EQ(why("[{\"a\\\"\\\\\":\"" + max + "\"," + test::replaced(entry, ".5", "0.5")), "");
  EXPECT_NE(why("[{\"a\":\"" + too_long + "\"," + entry).find("longer than"), std::string::npos);
  EXPECT_NE(why("[{\"a\\\"" + too_long + "\":1," + entry).find("longer than"), std::string::npos);
  EXPECT_NE(why("[{\"a\":" + std::string(too_long.size(), '1')).find("longer than"),
            std::string::npos);
}

struct NoFile {
  const char* name;
  void (*make)(const fs::path&);
  const char* said;
};

void make_socket(const fs::path& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ::sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(descriptor, reinterpret_cast<::sockaddr*>(&address), sizeof address), 0);
  ::close(descriptor);
}

const NoFile kNoFiles[] = {
    {"fifo", [](const fs::path& p) { ASSERT_EQ(::mkfifo(p.c_str(), 0600), 0); },
     "this is a pipe, not a file"},
    {"socket", make_socket, "this is a socket, not a file"},
    {"device", [](const fs::path& p) { fs::create_symlink("/dev/zero", p); },
     "this is a device, not a file"},
    {"loop", [](const fs::path& p) { fs::create_symlink(p.filename(), p); },
     "its links lead in a circle"},
};

class NoFiles : public test::CliTest, public testing::WithParamInterface<NoFile> {
 protected:
  // Each command with such a thing in the place of one of its files.
  void expect_refusal(const std::string& name, const std::vector<std::string>& command) {
    const fs::path kept = work_.path("kept");
    if (work_.has(name)) fs::rename(work_.path(name), kept);
    GetParam().make(work_.path(name));
    const test::CommandResult ran = work_.darknet(command, {.timeout = 30});
    test::expect_refused(ran, cat(name, ": "));
    test::expect_refused(ran, GetParam().said);
    work_.remove(name);
    if (fs::exists(kept)) fs::rename(kept, work_.path(name));
  }
};

TEST_P(NoFiles, AreRefusedWithASentence) {
  put_tiny_weights(work_, "x_last.weights");
  const std::vector<std::string> map{"detector", "map", "x.data", "x.cfg", "x_last.weights"},
      detect{"detect", "x.cfg", "x_last.weights", "images/0.png", "-dont_show"};
  for (const char* name : {"x.data", "x.cfg", "x_last.weights", "train.txt", "x.names",
                           "images/3.png", "images/3.txt"})
    expect_refusal(name, map);
  for (const char* name : {"x.cfg", "x_last.weights", "images/0.png"}) expect_refusal(name, detect);
  expect_refusal("more.txt", {"detect", "x.cfg", "x_last.weights", "more.txt", "-dont_show"});
  expect_refusal("x_last.state", {"detector", "train", "x.data", "x.cfg", "x_last.weights"});
  expect_refusal("x_last.state",
                 {"detector", "train", "x.data", "x.cfg", "x_last.weights", "-epochs", "3"});
  fs::create_directories(work_.path("c"));
  expect_refusal("c/sweep.json", {"detector", "compare", "x.data", "x.cfg", "-out", "c"});
  expect_refusal("x.json", {"detector", "map", "x.data", "-detections", "x.json"});
  expect_refusal("x_log.jsonl", {"chart", "x_log.jsonl"});
  expect_refusal("x.tuning",
                 {"detect", "x.cfg", "x_last.weights", "images/0.png", "-tuning", "x.tuning"});
  expect_refusal("images/5.png", {"detector", "check", "x.data"});
  expect_refusal("images/5.txt", {"detector", "check", "x.data"});
}
INSTANTIATE_TEST_SUITE_P(Cli, NoFiles, testing::ValuesIn(kNoFiles),
                         [](const auto& info) { return std::string(info.param.name); });

// With an address space that the sanitizers' own tables would fill.
class OutOfMemoryTest : public test::CliTest {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers reserve terabytes";
#endif
    put_tiny_weights(work_, "x.weights");
  }
  test::CommandResult run(const std::vector<std::string>& command) const {
    return work_.darknet(command, {.memory = std::uint64_t{1500} << 20});
  }
  void grow(const char* name, std::uint64_t bytes) const {
    fs::resize_file(work_.path(name), bytes);
  }
};

TEST_F(OutOfMemoryTest, IsReportedWithWhatItWasFor) {
  if (run({"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show"}).exit_code != 0)
    GTEST_SKIP() << "the libraries of this build alone need more memory than the test allows";
  work_.put("x.pgm", "P5 16000 16000 255\n");  // all of it black, without room on the disk
  grow("x.pgm", (std::uint64_t{256} << 20) + 19);
  test::expect_refused(run({"detect", "x.cfg", "x.weights", "x.pgm", "-dont_show"}),
                       "out of memory for the image x.pgm");
  grow("x.weights", kHuge);
  test::expect_refused(run({"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show"}),
                       "out of memory for x.weights: all of its 3221225472 bytes at once");
  work_.put("x.cfg", test::replaced(test::kTinyCfg, "batch=2\nsubdivisions=1\nwidth=32\nheight=32",
                                    "batch=64\nsubdivisions=1\nwidth=1024\nheight=1024"));
  const test::CommandResult train = run({"detector", "train", "x.data", "x.cfg"});
  test::expect_refused(train, "a smaller batch, more subdivisions or a smaller input need less");
}

}  // namespace
}  // namespace darknet
