// cfg convert: what changes and what stays, what is refused, and the same for the functions on
// text.
#include <gtest/gtest.h>
#include <algorithm>

#include "cfg/batch_lines.h"
#include "cfg/idle_keys.h"
#include "cli_harness.h"
#include "nn/head_types.h"

namespace darknet::test {
namespace {

class CfgConvert : public CliTest {
 protected:
  CommandResult convert(std::vector<std::string> more, int exit_code = 0) const {
    more.insert(more.begin(), {"cfg", "convert", "x.cfg", "y.cfg"});
    CommandResult ran = work_.darknet(more);
    EXPECT_EQ(ran.exit_code, exit_code) << ran.all();
    return ran;
  }
  std::string made() const { return work_.get("y.cfg"); }
};

TEST_F(CfgConvert, ChangesKeysAndKeepsTheRest) {
  const std::string commented = "# mine\n" + replaced(kTinyCfg, "size=1\n", "size=1   # one\n");
  work_.put("x.cfg", commented);
  convert({"-set", "convolutional.2.size=3", "-set", "yolo.*.obj_loss=focal"});
  EXPECT_EQ(made(), replaced(replaced(commented, "size=1   # one", "size=3  # one"), "[yolo]\n",
                             "[yolo]\nobj_loss=focal\n"));
  EXPECT_EQ(work_.get("x.cfg"), commented);
}

TEST_F(CfgConvert, WithoutFlagsItCopies) {
  convert({});
  EXPECT_EQ(made(), kTinyCfg);
}

TEST_F(CfgConvert, FocalSetsTheKeysOfTheFocalCfgs) {
  convert({"-focal", "-set", "yolo.0.obj_gamma=1.5"});
  EXPECT_EQ(made(),
            replaced(kTinyCfg, "[yolo]\n",
                     "[yolo]\nobj_loss=focal\nobj_gamma=1.5\nobj_alpha=.25\n"
                     "obj_prior=auto\nobj_init=auto\nobj_target=one\nobj_normalizer=auto\n"));
  const CommandResult trained =
      work_.darknet({"detector", "train", "x.data", "y.cfg", "-max_batches", "1"});
  EXPECT_EQ(trained.exit_code, 0) << trained.all();
  work_.put("x.cfg", std::string("[net]\nwidth=8\nheight=8\n[convolutional]\n[softmax]\n"));
  expect_refused(convert({"-focal", "-force"}, 1), "x.cfg: -focal: there is no detection head");
}

TEST_F(CfgConvert, RefusesWhatDoesNotLoadAndWritesNothing) {
  expect_refused(convert({"-set", "yolo.0.obj_los=focal"}, 1),
                 "[yolo] obj_los: unknown key; did you mean 'obj_loss'?");
  expect_refused(convert({"-set", "yolo.0.obj_gamma=x"}, 1), "expected a number, got 'x'");
  expect_refused(convert({"-set", "region.0.thresh=.5"}, 1), "there is no [region] section");
  expect_refused(convert({"-set", "yolo"}, 1), "expected type.index.key=value");
  expect_refused(convert({"-training", "-testing"}, 2), "cannot be given together", 2);
  EXPECT_FALSE(work_.has("y.cfg"));
  work_.put("x.cfg", std::string("[net]\n[lstm]\noutput=3\n"));
  expect_refused(convert({}, 1), "x.cfg:2: [lstm]: recurrent networks are not supported");
  EXPECT_FALSE(work_.has("y.cfg"));
}

TEST_F(CfgConvert, ReplacesOnlyWithForce) {
  work_.put("y.cfg", std::string("[mine]\n"));
  expect_refused(convert({}, 1), "y.cfg: the file exists; -force replaces it");
  EXPECT_EQ(made(), "[mine]\n");
  convert({"-force"});
  EXPECT_EQ(made(), kTinyCfg);
  expect_refused(work_.darknet({"cfg", "convert", "x.cfg", "x.cfg", "-force"}), "x.cfg");
  work_.put("notes", std::string("mine\n"));
  expect_refused(work_.darknet({"cfg", "convert", "x.cfg", "notes", "-force"}),
                 "notes: would replace a text file");
  const CommandResult full = work_.darknet({"cfg", "convert", "x.cfg", "z.cfg"}, {.max_file = 100});
  EXPECT_EQ(full.exit_code, 1) << full.all();
  EXPECT_FALSE(work_.has("z.cfg"));
}

TEST_F(CfgConvert, CleanRemovesWhatHasNoEffectAndSaysSo) {
  work_.put("x.cfg",
            replaced(replaced(kTinyCfg, "[net]\n",
                              "[net]\nshow_receptive_field=1  # wide\noptimized_memory=1\n"),
                     "[yolo]\n", "[yolo]\nshow_details=0\nclasses=3\n"));
  const CommandResult ran = convert({"-clean"});
  EXPECT_TRUE(said(ran, "x.cfg:3: [net] optimized_memory=1: removed: has no effect: "))
      << ran.all();
  EXPECT_TRUE(said(ran, "[yolo] show_details=0: removed: ")) << ran.all();
  EXPECT_TRUE(said(ran, "[yolo] classes=3: removed: it was already set on line ")) << ran.all();
  EXPECT_EQ(made().find("optimized_memory"), std::string::npos);
  const CommandResult info = work_.darknet({"net", "info", "y.cfg"});
  EXPECT_EQ(info.err, "") << "no warning is left";
}

TEST_F(CfgConvert, SwitchesBetweenTrainingAndTesting) {
  const std::string darknet =
      replaced(kTinyCfg, "batch=2\nsubdivisions=1\n",
               "# Testing\nbatch=1\nsubdivisions=1\n# Training\n# batch=64\n# subdivisions=16\n");
  work_.put("x.cfg", darknet);
  convert({"-training"});
  const std::string training =
      replaced(kTinyCfg, "batch=2\nsubdivisions=1\n",
               "# Testing\n# batch=1\n# subdivisions=1\n# Training\nbatch=64\nsubdivisions=16\n");
  EXPECT_EQ(made(), training);
  work_.put("x.cfg", training);
  convert({"-testing", "-force"});
  EXPECT_EQ(made(), darknet);
}

TEST_F(CfgConvert, CleanSaysThatNothingIsLeftOut) {
  const CommandResult ran = convert({"-clean"});
  EXPECT_TRUE(said(ran, "x.cfg: -clean leaves nothing out: every key has an effect")) << ran.all();
  EXPECT_EQ(made(), kTinyCfg);
}

TEST_F(CfgConvert, KeepsTheLineEndsOfWindows) {
  std::string windows;
  for (const char c : kTinyCfg) windows += c == '\n' ? "\r\n" : std::string(1, c);
  work_.put("x.cfg", windows);
  convert({"-set", "convolutional.2.size=3"});
  EXPECT_EQ(made(), replaced(windows, "size=1\r\n", "size=3\r\n"));
}

TEST_F(CfgConvert, LinesThatEndInCrAloneAreNamed) {
  std::string mac = kTinyCfg;
  std::replace(mac.begin(), mac.end(), '\n', '\r');
  work_.put("x.cfg", mac);
  expect_refused(convert({}, 1), "x.cfg: its lines end in CR alone");
}

TEST_F(CfgConvert, AnAssignmentNeedsAValue) {
  expect_refused(convert({"-set", "yolo.0.obj_loss="}, 1), "expected a value behind the =");
  expect_refused(work_.darknet({"net", "info", "x.cfg", "-set", "yolo.0.obj_loss= # none"}),
                 "expected a value behind the =");
}

TEST(SwitchedBatch, KeepsOrFindsThePair) {
  const auto switched = [](const std::string& text, bool training) {
    return switched_batch(text, training, "x.cfg");
  };
  const std::string other = "[convolutional]\n#batch=9\nbatch=7\n";
  EXPECT_EQ(switched("[net]\nbatch=64\nsubdivisions=8\n" + other, true),
            "[net]\nbatch=64\nsubdivisions=8\n" + other);
  EXPECT_EQ(switched("[net]\nbatch=64\nsubdivisions=8\n" + other, false),
            "[net]\nbatch=1\n# batch=64\nsubdivisions=1\n# subdivisions=8\n" + other);
  EXPECT_EQ(
      switched("[net]\nbatch=1\n# batch=64\nsubdivisions=1\n# subdivisions=8\n" + other, true),
      "[net]\nbatch=64\nsubdivisions=8\n" + other);
  EXPECT_EQ(switched("[net]\n#batch=1\nbatch=4 # four\n", false),
            "[net]\nbatch=1\n# batch=4 # four\n");
  EXPECT_EQ(switched("[net]\nbatch=64\n#batch=96\nsubdivisions=16\n#subdivisions=64\n", true),
            "[net]\n# batch=64\nbatch=96\nsubdivisions=16\n#subdivisions=64\n")
      << "64 does not divide 96";
  EXPECT_EQ(switched("[net]\nwidth=8\n", false), "[net]\nwidth=8\n");
  for (const char* text : {"[net]\nwidth=8\n", "[net]\nbatch=1\n"})
    EXPECT_THROW(switched(text, true), Error) << text;
}

TEST(IdleKeys, AreThoseOfOtherForks) {
  const auto clean = [](const std::string& text) {
    return without_idle_keys(
               text, [](std::string_view type) { return std::string(layer_type_name(type)); })
        .text;
  };
  EXPECT_EQ(clean("[network]\noptimized_memory=4\nwidth=8\n[conv]\nstream=0\nxnor=0\nfilters=2\n"),
            "[network]\nwidth=8\n[conv]\nfilters=2\n");
  // What is refused stays: it would have an effect.
  EXPECT_EQ(clean("[conv]\nxnor=1\n"), "[conv]\nxnor=1\n");
  // Of layers alone.
  EXPECT_EQ(clean("[net]\ndontsave=1\n[yolo]\ndontsave=1\n"), "[net]\ndontsave=1\n[yolo]\n");
}

}  // namespace
}  // namespace darknet::test
