// Sweeps of the built program on the tiny data, and what of their folders must be the same bytes
// however the runs are made.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "cli_harness.h"
#include "core/json.h"

namespace darknet::test {

using Words = std::vector<std::string>;

// Flags of a sweep that chooses on a split of its own.
inline const Words kTune{"-tune", "-seeds", "1..2"};

inline Words plus(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Six images to train on, two to test.
inline void part_lists(const Workspace& work) {
  std::string train, valid;
  for (int i = 0; i < kTinyImages; ++i) (i < 6 ? train : valid) += cat("images/", i, ".png\n");
  work.put("train.txt", train);
  work.put("valid.txt", valid);
  work.put("x.data", replaced(work.get("x.data"), "valid = train.txt", "valid = valid.txt"));
}

// Variants ce and focal, if nothing else is asked for.
inline CommandResult sweep(const Workspace& work, const Words& more,
                           const CommandOptions& options = {}) {
  Words words{"detector", "sweep", "x.data",   "x.cfg", "-out",         "r",
              "-images",  "0",     "-threads", "1",     "-max_batches", "4"};
  if (std::find(more.begin(), more.end(), "-vary") == more.end() &&
      std::find(more.begin(), more.end(), "-collect") == more.end())
    words.insert(words.end(), {"-vary", "obj_loss=ce,focal"});
  words.insert(words.end(), more.begin(), more.end());
  return work.darknet(words, options);
}

// What a folder of runs is, but for the time that they took and the state to resume from.
inline std::map<std::string, std::string> results(const Workspace& work) {
  std::map<std::string, std::string> kept;
  for (auto& [name, bytes] : work.tree("r")) {
    std::string text = bytes;
    if (name.ends_with("results.json")) {
      auto j = parse_json(text);
      for (auto& run : j["runs"]) run.erase("training_seconds");
      for (auto& variant : j["variants"]) variant["metrics"].erase("training_seconds");
      text = dump_json(j);
    } else if (!name.ends_with("_final.weights") && !name.ends_with(".bin") &&
               !name.ends_with("result.json") && !name.ends_with(".cfg") &&
               !name.ends_with("sweep.json")) {
      continue;
    }
    kept[name] = text;
  }
  return kept;
}

inline void expect_equal(const std::map<std::string, std::string>& a,
                         const std::map<std::string, std::string>& b) {
  EXPECT_EQ(a.size(), b.size());
  for (const auto& [name, bytes] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(b.at(name) == bytes) << name;
  }
}

inline nlohmann::json json_of(const Workspace& work, const std::string& name) {
  return parse_json(work.get(name));
}

// One thread for each process, as jobs share out what others have.
class SweepFixture : public CliTest {
 public:
  ~SweepFixture() override { ::unsetenv("OMP_NUM_THREADS"); }

 protected:
  SweepFixture() { ::setenv("OMP_NUM_THREADS", "1", 1); }
};

}  // namespace darknet::test
