// A terminal that is closed: its program gets SIGHUP, and all that it prints from then on fails.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "cli_harness.h"
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
  std::string read_until(const std::string& wanted) {
    std::string all;
    std::array<char, 4096> some{};
    while (all.find(wanted) == all.npos) {
      const ssize_t got = ::read(terminal_, some.data(), some.size());
      if (got <= 0) break;
      all.append(some.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
  void close() {
    if (terminal_ >= 0) ::close(terminal_);
    terminal_ = -1;
  }
  int exit_code() {  // -1: a signal ended it
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

}  // namespace
}  // namespace darknet::test
