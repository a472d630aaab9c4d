// Lists that another program writes into a pipe, for commands that read them more than once.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "cli_harness.h"
#include "tests/paths.h"

namespace darknet::test {
namespace {

class PipedLists : public CliTest {
 protected:
  PipedLists() {
    work_.put("x.data",
              "classes = 3\ntrain = /dev/stdin\nvalid = /dev/stdin\nnames = x.names\n"
              "backup = backup\n");
    put_tiny_weights(work_, "x.weights");
  }
  // Everything that is printed where train.txt comes through a pipe, then "exit" and the code.
  std::string output_of(const std::string& command) const {
    const std::string line = cat("cd '", work_.path("").string(), "' && cat train.txt | (",
                                 program().string(), " ", command, "; echo exit $?) 2>&1");
    std::string out;
    FILE* const shell = ::popen(line.c_str(), "r");
    for (int c = std::fgetc(shell); c != EOF; c = std::fgetc(shell)) out += static_cast<char>(c);
    ::pclose(shell);
    return out;
  }
};

TEST_F(PipedLists, CheckReadsThemForErrorsAndForAdvice) {
  const std::string out = output_of("detector check x.data x.cfg");
  for (const char* part : {"train: 8 images", "valid: 8 images", "(8 objects in 8 images)",
                           "8 of 8 images of valid= are in train= too", "exit 0"})
    EXPECT_NE(out.find(part), out.npos) << part << '\n' << out;
}

TEST_F(PipedLists, MapReadsThemForItsOutputsAndForItsWork) {
  const std::string out = output_of("detector map x.data x.cfg x.weights -out map.json");
  EXPECT_NE(out.find("8 images in"), out.npos) << out;
  EXPECT_NE(out.find("exit 0"), out.npos) << out;
  EXPECT_TRUE(work_.has("map.json"));
}

TEST_F(PipedLists, CompareReadsThemInEveryTraining) {
  const std::string out =
      output_of("detector compare x.data x.cfg -out c -max_batches 2 -images 0");
  EXPECT_NE(out.find("exit 0"), out.npos) << out;
  EXPECT_TRUE(work_.has("c/table.txt"));
}

}  // namespace
}  // namespace darknet::test
