// `detector sweep -collect`, and what else only writes the page of a folder: it takes the settings
// from there, and replaces no flag silently.
#include "sweep_harness.h"

namespace darknet::test {
namespace {

class CollectTest : public SweepFixture {
 protected:
  CollectTest() { part_lists(work_); }
};

TEST_F(CollectTest, ReplacesNoFlag) {
  put_tiny_weights(work_, "start.weights"), put_tiny_weights(work_, "other.weights", 4);
  ASSERT_EQ(sweep(work_, {"-weights", "start.weights"}).exit_code, 0);
  const auto collected = [&](Words words) {
    words.insert(words.begin(),
                 {"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-images", "0", "-collect"});
    return work_.darknet(words);
  };
  EXPECT_EQ(collected({"-weights", "start.weights", "-max_batches", "4"}).exit_code, 0);
  const std::string takes = ", and -collect takes its settings; call it without ";
  const auto expect = [&](const Words& words, const std::string& made) {
    expect_refused(collected(words), "r: this folder was made " + made + takes + words.front());
  };
  expect({"-tune"}, "without -tune");
  expect({"-set", "net.0.momentum=.8"}, "without -set");
  expect({"-max_batches", "5"}, "with -max_batches 4, not 5");
  expect({"-exact"}, "without -exact");
  expect({"-deterministic"}, "without -deterministic");
  expect({"-clear", "-weights", "start.weights"}, "without -clear");
  expect({"-freeze", "1", "-weights", "start.weights"}, "without -freeze");
  expect({"-bad_labels", "skip"}, "without -bad_labels");
  expect({"-weights", "other.weights"}, "with another -weights");
}

TEST_F(CollectTest, ReplacesNoFlagOfTuning) {
  ASSERT_EQ(sweep(work_, plus(kTune, {"-per", "obj_loss"})).exit_code, 0);
  EXPECT_EQ(sweep(work_, {"-collect"}).exit_code, 0);
  EXPECT_EQ(sweep(work_, {"-collect", "-tune"}).exit_code, 0);
  EXPECT_EQ(sweep(work_, {"-collect", "-tune", "-per", "obj_loss", "-tune_share", ".2"}).exit_code,
            0);
  const std::string takes = ", and -collect takes its settings; call it without ";
  expect_refused(sweep(work_, {"-collect", "-tune", "-per", "obj_gamma"}),
                 "r: this folder was made with -per obj_loss, not obj_gamma" + takes + "-per");
  expect_refused(sweep(work_, {"-collect", "-tune", "-tune_share", ".5"}),
                 "r: this folder was made with -tune_share 0.2, not 0.5" + takes + "-tune_share");
}

// The same call, and -collect; a run to be made needs them.
TEST_F(CollectTest, ThePageOfRunsThatHaveEndedNeedsNoImages) {
  ASSERT_EQ(sweep(work_, kTune).exit_code, 0);
  const std::string kept = work_.get("r/tuning-valid.txt"), image = kept.substr(3, kept.size() - 4),
                    page = work_.get("r/results.json");
  ASSERT_TRUE(work_.has(image)) << kept;
  work_.remove(image);
  for (const Words& words : {kTune, Words{"-collect"}}) {
    work_.remove("r/results.json");
    const CommandResult ran = sweep(work_, words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_EQ(work_.get("r/results.json"), page);
  }
  const CommandResult drawn = work_.darknet(
      {"detector", "sweep", "x.data", "x.cfg", "-out", "r", "-images", "2", "-collect"});
  EXPECT_EQ(drawn.exit_code, 0) << drawn.all();
  EXPECT_NE(drawn.all().find("warning: not drawn: no such image: " + image), std::string::npos)
      << drawn.all();
  for (const Words& more : {Words{"-tune", "-seed", "3"}, plus(kTune, {"-retry"})})
    expect_refused(sweep(work_, more), "no such image: " + image);
  work_.remove("r/ce-seed2/result.json");
  expect_refused(sweep(work_, kTune), "no such image: " + image);
  EXPECT_FALSE(work_.has("r/ce-seed3"));
}

}  // namespace
}  // namespace darknet::test
