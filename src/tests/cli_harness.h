// Runs the built program as a user would, in a folder of its own, on a data set of eight small
// images.
#pragma once
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "image/image.h"

namespace darknet::test {

struct CommandResult {
  int exit_code = -1;  // -1: a signal ended it, or the time limit
  int signal = 0;      // that ended it
  bool timed_out = false;
  std::string out, err;
  std::string all() const {
    return cat("exit ", exit_code, " signal ", signal, timed_out ? " TIMED OUT" : "", "\n-- out\n",
               out, "-- err\n", err);
  }
};

struct CommandOptions {
  double timeout = 100;          // seconds
  std::string input;             // standard input
  double signal_after = -1;      // seconds; -1: never
  std::string signal_when = {};  // sends it once either output holds this
  int signal = SIGKILL;
  std::uint64_t memory = 0;     // bytes of address space; 0: as much as there is
  bool ignores_hangup = false;  // started as by nohup
  // Bytes that a file may grow to, as where the disk is full; 0: as many as there is room for. The
  // standard output is lost then.
  std::uint64_t max_file = 0;
};

// A folder that goes away with it.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::filesystem::path path(const std::filesystem::path& name) const { return folder_ / name; }
  void put(const std::filesystem::path& name, const std::string& bytes) const;
  void put(const std::filesystem::path& name, const Image&) const;
  std::string get(const std::filesystem::path& name) const;
  bool has(const std::filesystem::path& name) const;
  void remove(const std::filesystem::path& name) const;
  // Every file below `name` and its bytes.
  std::map<std::string, std::string> tree(const std::filesystem::path& name) const;

  CommandResult darknet(const std::vector<std::string>& arguments,
                        const CommandOptions& options = {}) const;

 private:
  std::filesystem::path folder_;
};

// x.data, x.names (three classes), x.cfg (three convolutions and a [yolo]), train.txt, and
// images/0.png to 7.png of 64x64 pixels with one bright square and its label each.
inline constexpr int kTinyImages = 8;
extern const std::string kTinyCfg;
void put_tiny_data(const Workspace&);
// Weights of x.cfg, freshly initialised.
void put_tiny_weights(const Workspace&, const std::filesystem::path& name, std::uint64_t seed = 3);

// `text` with the only `from` in it replaced.
std::string replaced(const std::string& text, const std::string& from, const std::string& to);
// The line of `changed` on which the two first differ, counted from 1.
int first_difference(const std::string& text, const std::string& changed);

// A workspace with the tiny data, for fixtures.
class CliTest : public testing::Test {
 protected:
  CliTest() { put_tiny_data(work_); }
  CommandResult train(std::vector<std::string> more = {}, const CommandOptions& o = {}) const;
  CommandResult test(std::vector<std::string> more = {}) const;
  Workspace work_;
};

// Whether it printed the text, on either stream.
bool said(const CommandResult& ran, const std::string& text);
// Exit code, and a message on standard error that holds `said`.
void expect_refused(const CommandResult& ran, const std::string& said, int exit_code = 1);

// The name of a case of INSTANTIATE_TEST_SUITE_P that has one.
template <class Case>
std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

}  // namespace darknet::test
