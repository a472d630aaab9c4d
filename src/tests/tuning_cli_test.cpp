// Tuning files and what a .state remembers of algorithms, through the built program.
#include <cstring>
#include <regex>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/json.h"
#include "core/tuning.h"
#include "nn/network.h"
#include "tests/other_algorithms.h"

namespace darknet::test {
namespace {

using nlohmann::json;

// Not a constant: kTinyCfg of another file may not be there yet when constants are made.
std::string two_convolutions() {
  return replaced(replaced(replaced(kTinyCfg, "batch=2", "batch=8"), "filters=4", "filters=16"),
                  "filters=6\nsize=3\nstride=2", "filters=16\nsize=3\nstride=1");
}

// The header of a .state is JSON behind eight bytes of magic and its length; a checksum ends it.
template <class F>
std::string with_header(const std::string& state, F change) {
  std::uint64_t length = 0;
  std::memcpy(&length, state.data() + 8, sizeof length);
  json header = parse_json(state.substr(16, length));
  change(header);
  const std::string text = dump_json(header);
  const std::uint64_t new_length = text.size();
  std::string out = state.substr(0, 8);
  out.append(reinterpret_cast<const char*>(&new_length), sizeof new_length);
  out += text + state.substr(16 + length, state.size() - 24 - length);
  Checksum sum;
  sum.add(out.data(), out.size());
  const std::uint64_t value = sum.value();
  return out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

class TuningCliTest : public CliTest {
 protected:
  TuningCliTest() { work_.put("x.cfg", two_convolutions()); }
  // A table that takes, for every convolution of a training run, something else than the
  // heuristic does.
  void put_others(const std::string& name) const {
    const Network net(read_cfg(work_.path("x.cfg")), {.mode = Mode::training});
    const Tuning tuning = testing_tuning::others_for(net);
    ASSERT_GT(tuning.size(), 0);
    merge_into_file(work_.path(name), tuning);
  }
  CommandResult train_to(int end, const std::string& folder,
                         std::vector<std::string> more = {}) const {
    const std::string last = folder + "/x_last.weights";
    if (work_.has(last)) more.insert(more.begin(), last);
    more.insert(more.end(), {"-backup", folder, cat("-max_batches=", end)});
    return train(more);
  }
  std::string weights(const std::string& folder) const {
    return work_.get(folder + "/x_final.weights");
  }
};

TEST_F(TuningCliTest, AResumedTrainingKeepsItsAlgorithms) {
  put_others("t.tuning");
  const std::vector<std::string> tuned{"-tuning", "t.tuning"};
  ASSERT_EQ(train_to(12, "tuned", tuned).exit_code, 0);
  ASSERT_EQ(train_to(12, "by_rule").exit_code, 0);
  EXPECT_TRUE(weights("tuned") != weights("by_rule")) << "the table changes no bit";
  for (const std::string folder : {"a", "b"}) ASSERT_EQ(train_to(6, folder, tuned).exit_code, 0);
  CommandResult ran = train_to(12, "a", tuned);
  EXPECT_TRUE(said(ran, "not those of -tuning")) << ran.all();
  EXPECT_TRUE(weights("a") == weights("tuned"));
  work_.remove("t.tuning");
  ran = train_to(12, "b");
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(weights("b") == weights("tuned"));
  put_others("t.tuning");
  ASSERT_EQ(train_to(6, "c").exit_code, 0);
  ASSERT_EQ(train_to(12, "c", tuned).exit_code, 0);
  EXPECT_TRUE(weights("c") == weights("by_rule"));
}

TEST_F(TuningCliTest, StatesOfOtherArithmeticAreRefused) {
  ASSERT_EQ(train_to(6, "a").exit_code, 0);
  const std::string state = work_.get("a/x_last.state");
  const auto resumed = [&](auto change, std::vector<std::string> more = {}) {
    work_.put("a/x_last.state", with_header(state, change));
    return train_to(8, "a", std::move(more));
  };
  expect_refused(resumed([](json& h) { h["device"] = "GPU"; }), "that training ran on a GPU");
  expect_refused(resumed([](json&) {}, {"-deterministic"}),
                 "that training ran without -deterministic");
  expect_refused(resumed([](json& h) { h["deterministic"] = true; }),
                 "that training ran with -deterministic");
  expect_refused(resumed([](json& h) { h["algorithms"] = "{}"; }), "x_last.state:1: ");
  EXPECT_FALSE(said(resumed([](json&) {}), "bits"));
}

// It changes pixels. States of before it was kept say nothing of it.
TEST_F(TuningCliTest, AnotherScaledDecodeIsReported) {
  ASSERT_EQ(train_to(6, "a").exit_code, 0);
  const std::string state = work_.get("a/x_last.state"), weights = work_.get("a/x_last.weights");
  const auto resumed = [&](const std::string& bytes, const char* scaled_decode) {
    work_.put("a/x_last.state", bytes);
    work_.put("a/x_last.weights", weights);
    CommandResult ran = train_to(8, "a", {"-set", cat("net.0.scaled_decode=", scaled_decode)});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran;
  };
  const std::string reported = "that training decoded JPEGs with scaled_decode=1, this one with 0";
  EXPECT_TRUE(said(resumed(state, "0"), reported));
  EXPECT_TRUE(said(resumed(state, "0"), "will not be bitwise equal"));
  EXPECT_FALSE(said(resumed(state, "1"), "bitwise"));
  const std::string old =
      with_header(state, [](json& h) { ASSERT_EQ(h.erase("scaled_decode"), 1u); });
  EXPECT_FALSE(said(resumed(old, "0"), "bitwise"));
}

TEST_F(TuningCliTest, AnotherLibraryIsReportedAndOldStatesLoad) {
  ASSERT_EQ(train_to(8, "whole").exit_code, 0);
  const auto resumed = [&](const std::string& folder, auto change) {
    EXPECT_EQ(train_to(6, folder).exit_code, 0);
    const std::string path = folder + "/x_last.state";
    work_.put(path, with_header(work_.get(path), change));
    CommandResult ran = train_to(8, folder);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_TRUE(weights(folder) == weights("whole"));
    return ran;
  };
  EXPECT_TRUE(said(resumed("a", [](json& h) { h["library"] = "oneDNN 1.0"; }),
                   "that training ran on oneDNN 1.0, this is oneDNN"));
  EXPECT_FALSE(
      said(resumed("b",
                   [](json& h) {
                     for (const char* key : {"library", "algorithms", "device", "deterministic"})
                       ASSERT_EQ(h.erase(key), 1u) << key;
                   }),
           "bits"));
}

// As where the words of the algorithms are those of an earlier version of the program.
TEST_F(TuningCliTest, AlgorithmsThatCannotBeTakenAreReported) {
  ASSERT_EQ(train_to(6, "a").exit_code, 0);
  CommandResult ran = train_to(8, "a");
  EXPECT_FALSE(said(ran, "cannot be taken any more")) << ran.all();
  work_.put("a/x_last.state", with_header(work_.get("a/x_last.state"), [](json& h) {
              const std::regex word("\"algorithm\":\"[^\"]*\"");
              h["algorithms"] = std::regex_replace(h["algorithms"].get<std::string>(), word,
                                                   "\"algorithm\":\"1 fma\"");
            }));
  ran = train_to(10, "a");
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "algorithms that the run began with cannot be taken any more: it resumes"))
      << ran.all();
}

// A .state of before losses kept anything has no "running"; one of another loss, or of another
// number of bins, has other names in it.
TEST_F(TuningCliTest, WhatALossKeepsBeginsWithZeroWhereTheStateHasNone) {
  const std::pair<std::string, std::string> losses[] = {
      {"cls_loss=equalized_focal", "class gradients"},
      {"obj_loss=ghm\nobj_momentum=.75\nobj_bins=20", "ghm counts of 20 bins"}};
  for (const auto& [keys, kept] : losses) {
    SCOPED_TRACE(kept);
    work_.put("x.cfg", two_convolutions() + keys + "\n");
    for (const char* folder : {"a", "b", "zero", "whole"}) work_.remove(folder);
    ASSERT_EQ(train_to(6, "whole").exit_code, 0);
    const std::string weights_at_6 = work_.get("whole/x_last.weights"),
                      state = work_.get("whole/x_last.state");
    const auto resumed = [&](const std::string& folder, auto change) {
      work_.put(folder + "/x_last.weights", weights_at_6);
      work_.put(folder + "/x_last.state", with_header(state, change));
      CommandResult ran = train_to(12, folder);
      EXPECT_EQ(ran.exit_code, 0) << ran.all();
      return ran;
    };
    std::string layer;
    const CommandResult zero = resumed("zero", [&](json& h) {
      ASSERT_EQ(h["running"].size(), 1u);
      layer = h["running"].items().begin().key();
      for (json& v : h["running"][layer]) v = 0.;
    });
    EXPECT_TRUE(layer.ends_with(": " + kept)) << layer;
    EXPECT_FALSE(said(zero, "begin with 0")) << zero.all();
    const std::string message = layer + " begin with 0: the .state file has none\n";
    const CommandResult older = resumed("a", [](json& h) { ASSERT_EQ(h.erase("running"), 1u); });
    EXPECT_TRUE(said(older, message)) << older.all();
    EXPECT_TRUE(weights("a") == weights("zero"));
    const CommandResult other = resumed("b", [&](json& h) {
      h["running"] = {{layer.substr(0, layer.find(':')) + ": ghm counts of 30 bins",
                       std::vector<double>(30, 7.)}};
    });
    EXPECT_TRUE(said(other, message)) << other.all();
    EXPECT_TRUE(weights("b") == weights("zero"));
    EXPECT_EQ(train_to(12, "whole").exit_code, 0);
    EXPECT_FALSE(weights("whole") == weights("zero")) << "what is kept has no effect here";
  }
}

TEST_F(TuningCliTest, ChoicesThatCannotBeTakenAreOneWarning) {
  put_others("t.tuning");
  const std::regex word("\"algorithm\":\"[^\"]*\"");
  work_.put("t.tuning", std::regex_replace(work_.get("t.tuning"), word, "\"algorithm\":\"1 fma\""));
  const CommandResult ran = train_to(2, "a", {"-tuning", "t.tuning"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  const auto choices = read_tunings(work_.path("t.tuning")).at(0).size();
  const std::string warning =
      cat(choices,
          " choices of the tuning file cannot be taken, and the heuristic's are; bench -tune "
          "measures anew; the first: layer 0 [convolutional] (x.cfg:");
  const std::size_t at = ran.all().find(warning);
  ASSERT_NE(at, std::string::npos) << ran.all();
  EXPECT_TRUE(said(ran, ", forward: '1 fma', takes '")) << ran.all();
  EXPECT_EQ(ran.all().find("fma", ran.all().find("1 fma") + 5), std::string::npos) << ran.all();
}

TEST_F(TuningCliTest, AFileWithoutChoicesForANetworkSaysSo) {
  const auto bench = [&](const std::string& file, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"bench", "x.cfg", "-iterations", "1", "-tuning", file});
    CommandResult ran = work_.darknet(more);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran;
  };
  work_.put("empty.tuning", "");
  EXPECT_TRUE(said(bench("empty.tuning"),
                   "empty.tuning: holds no choices; darknet bench -tune puts some there"));
  put_others("t.tuning");
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"-train"}}) {
    const CommandResult ran = bench("t.tuning", more);
    EXPECT_EQ(said(ran, ", none for a convolution of x.cfg at inference with 1 image "),
              more.empty())
        << ran.all();
  }
}

TEST_F(TuningCliTest, TheBenchMeasuresAndTheCommandsUseIt) {
  CommandResult ran = work_.darknet({"bench", "x.cfg", "-train", "-tune", "t.tuning"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "take another algorithm than the heuristic's")) << ran.all();
  const auto of_training = read_tunings(work_.path("t.tuning"));
  ASSERT_EQ(of_training.size(), 1u);
  EXPECT_GE(of_training[0].size(), 4);
  ran = work_.darknet({"bench", "x.cfg", "-tune", "t.tuning"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_GT(read_tunings(work_.path("t.tuning"))[0].size(), of_training[0].size());
  ran = work_.darknet(
      {"bench", "x.cfg", "-iterations", "2", "-tuning", "t.tuning", "-json", "x.json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  const json figures = parse_json(work_.get("x.json"));
  EXPECT_EQ(figures["tuning"], "t.tuning");
  EXPECT_EQ(figures["layers"].size(), 4u);
  EXPECT_GT(figures["seconds"]["median"], 0);
  put_tiny_weights(work_, "x.weights");
  EXPECT_EQ(test({"x.weights", "images/0.png", "-tuning", "t.tuning"}).exit_code, 0);
  ran = work_.darknet({"check", "x.cfg", "-devices", "cpu,reference", "-tuning", "t.tuning"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  work_.put("bad.tuning", "{\"library\": 1}\n");
  expect_refused(test({"x.weights", "images/0.png", "-tuning", "bad.tuning"}),
                 "bad.tuning:1: library: not a word");
  Tuning elsewhere("another card");
  elsewhere.put({.spec = {.in = {1, 8, 8, 3}}}, {"1", 1});
  work_.put("other.tuning", elsewhere.lines());
  EXPECT_TRUE(said(test({"x.weights", "images/0.png", "-tuning", "other.tuning"}),
                   "other.tuning: none of its 1 choices are for oneDNN"));
  EXPECT_EQ(work_.darknet({"bench", "x.cfg", "-tune", "t", "-json", "j"}).exit_code, 2);
}

}  // namespace
}  // namespace darknet::test
