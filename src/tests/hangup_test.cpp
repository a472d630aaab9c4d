// Ctrl-C in a terminal, and a terminal that is closed: its program gets SIGHUP, and all that it
// prints from then on fails.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "core/text.h"
#include "paths.h"

namespace darknet::test {
namespace {

// The program in a terminal of its own.
class Terminal {
 public:
  Terminal(const Workspace& work, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program().string());
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    child_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    std::signal(SIGHUP, SIG_DFL);
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    ::unsetenv("DISPLAY");
    if (::chdir(work.path(".").c_str()) == 0) ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() { close(); }

  // What it printed, until that holds `wanted`; the rest where it ends before.
  std::string read_until(const std::string& wanted) const {
    std::string all;
    std::array<char, 4096> some{};
    while (all.find(wanted) == all.npos) {
      const ssize_t got = ::read(terminal_, some.data(), some.size());
      if (got <= 0) break;
      all.append(some.data(), to_size(got));
    }
    return all;
  }
  void type(const std::string& keys) const {
    EXPECT_EQ(::write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void close() {
    if (terminal_ >= 0) ::close(terminal_);
    terminal_ = -1;
  }
  int exit_code() const {  // -1: a signal ended it
    int status = 0;
    ::waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int terminal_ = -1;
  ::pid_t child_ = -1;
};

class Hangup : public CliTest {};

TEST_F(Hangup, ATrainingWhoseTerminalIsClosedSaves) {
  Terminal terminal(work_,
                    {"detector", "train", "x.data", "x.cfg", "-set", "net.0.max_batches=100000"});
  const std::string said = terminal.read_until("150/");
  ASSERT_NE(said.find("150/"), std::string::npos) << said;
  terminal.close();
  EXPECT_EQ(terminal.exit_code(), 128 + SIGHUP);
  EXPECT_TRUE(work_.has("backup/x_last.weights"));
  EXPECT_TRUE(work_.has("backup/x_last.state"));
}

TEST_F(Hangup, ADemoWhoseTerminalIsClosedClosesItsFiles) {
  put_tiny_weights(work_, "x.weights");
  Terminal terminal(
      work_, {"detector", "demo", "x.data", "x.cfg", "x.weights", "synth:64x64?frames=100000",
              "-dont_show", "-ext_output", "-json_file_output", "x.json"});
  const std::string said = terminal.read_until("frame 20:");
  ASSERT_NE(said.find("frame 20:"), std::string::npos) << said;
  terminal.close();
  EXPECT_EQ(terminal.exit_code(), 128 + SIGHUP);
  const std::string json = work_.get("x.json");
  EXPECT_TRUE(json.ends_with("}\n]\n")) << json;
}

// ---- detector valid: whole files of the images so far ----

class ValidOfMany : public Hangup {
 protected:
  static constexpr int kImages = 4000;
  ValidOfMany() {
    put_tiny_weights(work_, "x.weights");
    std::string list;
    std::filesystem::create_directories(work_.path("many"));
    for (int i = 0; i < kImages; ++i) {
      const std::string name = cat("many/", i, ".png");
      std::filesystem::create_hard_link(work_.path(cat("images/", i % kTinyImages, ".png")),
                                        work_.path(name));
      list += name + "\n";
    }
    work_.put("many.txt", list);
    work_.put("many.data", "names = x.names\nvalid = many.txt\nresults = r\n");
  }
  std::vector<std::string> valid(const char* format) const {
    return {"detector", "valid", "many.data", "x.cfg", "x.weights",
            "-format",  format,  "-thresh",   ".1"};
  }
  // Of how many images the files in r/ are, as the format says; -1: the format has not each image.
  int images_in(const std::string& format) const {
    const auto files = work_.tree("r");
    if (format == "yolo") return static_cast<int>(files.size()) - 1;  // and the record of them
    if (format == "voc") {
      EXPECT_EQ(files.size(), 3u);
      for (const auto& [name, bytes] : files)
        EXPECT_TRUE(bytes.empty() || bytes.ends_with("\n")) << name;
      return -1;
    }
    EXPECT_EQ(files.size(), 1u);
    const auto array = parse_json(files.begin()->second);
    EXPECT_TRUE(array.is_array());
    return format == "darknet" ? static_cast<int>(array.size()) : -1;
  }
  // As `said` has it: some, and not all.
  static int images_before_the_interrupt(const std::string& said) {
    const std::string words = "interrupted after ";
    const auto at = said.find(words);
    if (at == said.npos) {
      ADD_FAILURE() << said;
      return 0;
    }
    const int images = std::stoi(said.substr(at + words.size()));
    EXPECT_NE(said.find(cat(" images of ", kImages)), std::string::npos) << said;
    EXPECT_GE(images, 4);
    EXPECT_LT(images, kImages);
    return images;
  }
  // Closes the terminal once `sign` was printed: the run ends with SIGHUP's code and an array of
  // the images so far.
  void expect_whole_file_after_close(Terminal& terminal, const char* sign) const {
    const std::string before = terminal.read_until(sign);
    ASSERT_NE(before.find(sign), std::string::npos) << before;
    terminal.close();
    EXPECT_EQ(terminal.exit_code(), 128 + SIGHUP);
    const int images = images_in("darknet");
    EXPECT_GE(images, 4);
    EXPECT_LT(images, kImages);
  }
};

class InterruptedValid : public ValidOfMany, public testing::WithParamInterface<const char*> {};

TEST_P(InterruptedValid, HasWholeFilesOfTheImagesSoFar) {
  Terminal terminal(work_, valid(GetParam()));
  const std::string before = terminal.read_until("evaluating ");
  ASSERT_NE(before.find("evaluating "), std::string::npos) << before;
  terminal.type("\x03");
  const std::string after = terminal.read_until("what was found in them is in r");
  EXPECT_EQ(terminal.exit_code(), 128 + SIGINT) << after;
  const int images = images_before_the_interrupt(after);
  if (const int written = images_in(GetParam()); written >= 0) {
    EXPECT_EQ(written, images);
  }
}
INSTANTIATE_TEST_SUITE_P(Formats, InterruptedValid,
                         testing::Values("darknet", "coco", "voc", "yolo"),
                         [](const auto& info) { return std::string(info.param); });

// Figures need all images.
class InterruptedFigures : public ValidOfMany, public testing::WithParamInterface<const char*> {
 protected:
  InterruptedFigures() {
    for (int i = 0; i < kImages; ++i)
      std::filesystem::create_hard_link(work_.path(cat("images/", i % kTinyImages, ".txt")),
                                        work_.path(cat("many/", i, ".txt")));
  }
};

TEST_P(InterruptedFigures, AreNotGivenOfAPart) {
  Terminal terminal(work_,
                    {"detector", GetParam(), "many.data", "x.cfg", "x.weights", "-out", "figures"});
  const std::string before = terminal.read_until("evaluating ");
  ASSERT_NE(before.find("evaluating "), std::string::npos) << before;
  terminal.type("\x03");
  const std::string after = terminal.read_until("no figures are given, they need all of them");
  EXPECT_EQ(terminal.exit_code(), 128 + SIGINT) << after;
  images_before_the_interrupt(after);
  for (const auto& [name, bytes] : work_.tree("."))
    EXPECT_FALSE(name.starts_with("figures")) << name;
}
INSTANTIATE_TEST_SUITE_P(Commands, InterruptedFigures, testing::Values("map", "recall"),
                         [](const auto& info) { return std::string(info.param); });

// The iterations of the layers' times are those that were measured.
TEST_F(Hangup, AnInterruptedBenchPrintsWhatItMeasured) {
  Terminal terminal(work_, {"bench", "x.cfg", "-iterations", "1000000", "-json", "b.json"});
  const std::string before = terminal.read_until("measuring ");
  ASSERT_NE(before.find("measuring "), std::string::npos) << before;
  terminal.type("\x03");
  const std::string said = terminal.read_until(" of 1000000\r\n");
  EXPECT_EQ(terminal.exit_code(), 128 + SIGINT) << said;
  EXPECT_NE(said.find("stopping after the step in progress; a second signal stops at once\r\n"),
            std::string::npos)
      << said;  // nothing is saved
  const auto figures = parse_json(work_.get("b.json"));
  const auto iterations = figures["iterations"].get<std::int64_t>();
  EXPECT_GE(iterations, 1);
  EXPECT_LT(iterations, 1000000);
  EXPECT_GT(figures["seconds"]["median"].get<double>(), 0);
  for (const auto& layer : figures["layers"]) EXPECT_GT(layer["forward"].get<double>(), 0);
  EXPECT_NE(said.find(cat("median of ", iterations, "\r\n")), std::string::npos) << said;
  EXPECT_NE(said.find(cat("interrupted after ", plural(iterations, "iteration"), " of 1000000")),
            std::string::npos)
      << said;
}

// Starts that take hours together.
TEST_F(Hangup, AnInterruptedCalcAnchorsReportsWhatItWasDoing) {
  std::string labels;
  for (int i = 1; i <= 3000; ++i)
    labels += cat("0 .5 .5 ", .0003 * i, " ", .00029 * (i * 7 % 3000 + 1), "\n");
  work_.put("images/0.txt", labels);
  Terminal terminal(work_, {"detector", "calc_anchors", "x.data", "-num_of_clusters", "50",
                            "-restarts", "10000"});
  const std::string before = terminal.read_until("clustering ");
  ASSERT_NE(before.find("clustering "), std::string::npos) << before;
  terminal.type("\x03");
  const std::string said = terminal.read_until("nothing was written\r\n");
  EXPECT_EQ(terminal.exit_code(), 128 + SIGINT) << said;
  EXPECT_NE(said.find("interrupted while anchors for 3007 objects in 8 images were clustered; no "
                      "anchors are given, and nothing was written\r\n"),
            std::string::npos)
      << said;
  EXPECT_FALSE(work_.has("anchors.svg") || work_.has("anchors.png"));
}

TEST_F(ValidOfMany, SoHasDetectorTest) {
  std::filesystem::create_directories(work_.path("r"));
  Terminal terminal(work_, {"detector", "test", "many.data", "x.cfg", "x.weights", "many.txt",
                            "-dont_show", "-thresh", ".1", "-out", "r/o.json"});
  expect_whole_file_after_close(terminal, "[5/");
}

TEST_F(ValidOfMany, HasWholeFilesWhereTheTerminalIsClosed) {
  Terminal terminal(work_, valid("darknet"));
  expect_whole_file_after_close(terminal, "evaluating ");
}

}  // namespace
}  // namespace darknet::test
