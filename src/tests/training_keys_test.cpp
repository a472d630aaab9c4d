// Keys that concern training alone, keys of other Darknet forks, and what a network needs to run:
// nothing that only training minds stops inference, and what changes nothing is not mentioned.
#include <cmath>
#include <sstream>

#include "cfg/legacy_keys.h"
#include "cfg/parse.h"
#include "cli_harness.h"
#include "nn/network.h"

namespace darknet::test {
namespace {

// What reading a section prints on standard error, or its error.
std::string told(const std::string& text, std::string_view name, bool training) {
  std::istringstream in(text);
  std::vector<Section> sections = parse_cfg(in, "net.cfg");
  sections.front().set_training(training);
  testing::internal::CaptureStderr();
  std::string error;
  try {
    take_legacy_keys(sections.front(), name);
    sections.front().finish();
  } catch (const Error& e) {
    error = e.what();
  }
  return testing::internal::GetCapturedStderr() + error;
}

TEST(LegacyKeys, SayNothingWhereTheyChangeNothing) {
  for (const LegacyKey& k : legacy_keys()) {
    const std::string section = k.section == "*" ? "convolutional" : std::string(k.section);
    const auto text = [&](const std::string& value) {
      return cat("[", section, "]\n", k.key, "=", value, "\n");
    };
    if (!std::isnan(k.no_op)) {
      EXPECT_EQ(told(text(cat(k.no_op)), section, true), "") << k.key;
      EXPECT_EQ(told(text(cat(k.no_op)), section, false), "") << k.key;
    }
    const std::string training = told(text("17"), section, true),
                      inference = told(text("17"), section, false);
    EXPECT_NE(training.find(cat(k.key, ": ")), std::string::npos) << training;
    if (k.kind == LegacyKey::Kind::untrainable) {
      EXPECT_EQ(inference, "") << k.key;
    } else {
      EXPECT_NE(inference.find(cat(k.key, ": ")), std::string::npos) << inference;
    }
    const bool refused = inference.find("not supported") != std::string::npos;
    EXPECT_EQ(refused, k.kind == LegacyKey::Kind::unsupported) << k.key;
  }
}

class TrainingKeys : public CliTest {
 protected:
  TrainingKeys() { put_tiny_weights(work_, "x.weights"); }
  CommandResult expect_runs(const std::vector<std::string>& arguments) const {
    CommandResult ran = work_.darknet(arguments);
    EXPECT_EQ(ran.exit_code, 0) << testing::PrintToString(arguments) << ran.all();
    return ran;
  }
};

struct Line {
  const char *from, *to;
};
constexpr Line kOnlyForTraining[] = {
    {"momentum=0.9", "momentum=9"},
    {"momentum=0.9", "policy=steps"},
    {"momentum=0.9", "policy=steps\nsteps=1,2\nscales=.1"},
    {"momentum=0.9", "policy=foo"},
    {"momentum=0.9", "mixup=7"},
    {"momentum=0.9", "angle=270\nblur=-1\ngaussian_noise=128"},
    {"momentum=0.9", "cutmix=1\nblur=1\nattention=1\ncontrastive=1"},
    {"learning_rate=0.002", "learning_rate=fast"},
    {"max_batches=4", "policy=poly"},
    {"batch=2\nsubdivisions=1", "batch=4\nsubdivisions=3"},
    {"batch=2\nsubdivisions=1", "batch=0\nsubdivisions=0"},
    {"batch=2\nsubdivisions=1", "batch=1048576\nsubdivisions=1"},  // does not fit
    {"filters=6", "filters=6\nassisted_excitation=4000\ngrad_centr=1\nstretch=1"},
    {"filters=6", "filters=6\ncbn=1"},
    {"filters=6", "filters=6\nstopbackward=-1\nonlyforward=7\ntrain_only_bn=2\nclip=-1"},
    {"num=3", "num=3\nignore_thresh=7\njitter=5\niou_loss=siou\nmax=0"},
    {"num=3", "num=3\nobj_loss=focl\nobj_prior=much"},
    {"num=3", "num=3\nobj_loss=focal\nobj_gamma=-1"},
    {"num=3", "num=3\nobj_loss=focal\nobj_target=iou"},
    {"num=3", "num=3\ntruth_thresh=.5\nobj_norm=positives"},
    {"num=3", "num=3\ncounters_per_class=1,2"},
};

TEST_F(TrainingKeys, NeverStopInference) {
  const std::string before = expect_runs({"net", "info", "x.cfg"}).out;
  const auto total = before.find("total: "), end = before.find("memory, training");
  const std::string totals = before.substr(total, end - total);  // and inference's memory
  for (const Line& line : kOnlyForTraining) {
    work_.put("x.cfg", replaced(kTinyCfg, line.from, line.to));
    const CommandResult info = expect_runs({"net", "info", "x.cfg"});
    EXPECT_NE(info.out.find("training is not possible: x.cfg"), std::string::npos)
        << line.to << info.all();
    EXPECT_NE(info.out.find(totals), std::string::npos) << line.to << info.all();
    expect_runs({"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show"});
    expect_refused(train(), "x.cfg");
  }
  expect_runs({"detector", "map", "x.data", "x.cfg", "x.weights"});
  expect_runs({"bench", "x.cfg", "-iterations", "1"});
}

int times(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// The keys of the list that the sections of x.cfg may have, all at once.
TEST_F(TrainingKeys, OfTheWholeListNeverStopInferenceAndAreMentionedOnce) {
  std::string cfg = kTinyCfg;
  std::vector<std::string> mentioned, silent;
  for (const LegacyKey& k : legacy_keys()) {
    if (k.section != "*" && k.section != "net" && k.section != "yolo") continue;
    if (k.kind == LegacyKey::Kind::unsupported) continue;
    const std::string line = cat(k.key, "=17");
    const char* const after = k.section == "yolo"  ? "num=3"
                              : k.section == "net" ? "momentum=0.9"
                                                   : "filters=6";
    cfg = replaced(cfg, after, cat(after, '\n', line));
    (k.kind == LegacyKey::Kind::ignored ? mentioned : silent).push_back(std::string(k.key));
  }
  ASSERT_GT(mentioned.size(), 20u);
  ASSERT_GT(silent.size(), 5u);
  work_.put("x.cfg", cfg);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"net", "info", "x.cfg"},
        {"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show"},
        {"detector", "map", "x.data", "x.cfg", "x.weights"},
        {"detector", "demo", "x.data", "x.cfg", "x.weights", "images", "-dont_show"}}) {
    const std::string err = expect_runs(command).err;
    for (const std::string& key : mentioned)
      EXPECT_EQ(times(err, cat("] ", key, ": has no effect")), 1) << key << '\n' << err;
    for (const std::string& key : silent)
      EXPECT_EQ(err.find(cat("] ", key, ':')), std::string::npos) << key << '\n' << err;
  }
  expect_refused(train(), "not supported in training");
}

TEST_F(TrainingKeys, OfAugmentationSayWhatDoesNotHappen) {
  const auto said_of = [&](const std::string& keys) {
    work_.put("x.cfg", replaced(kTinyCfg, "momentum=0.9", "momentum=0.9\n" + keys));
    return expect_runs({"detector", "train", "x.data", "x.cfg"}).err;
  };
  EXPECT_NE(said_of("mixup=2").find("[net] mixup: 2 and 4 ask for cutmix"), std::string::npos);
  EXPECT_NE(said_of("mosaic=1\nmixup=1").find("[net] mixup: has no effect next to mosaic=1"),
            std::string::npos);
  EXPECT_NE(said_of("cutmix=1").find("[net] cutmix: has no effect on detectors"),
            std::string::npos);
  EXPECT_NE(said_of("mosaic=1\nmosaic_bound=0").find("[net] mosaic_bound: has no effect"),
            std::string::npos);
  EXPECT_NE(said_of("max_crop=99").find("[net] max_crop: has no effect on detectors"),
            std::string::npos);
  EXPECT_EQ(said_of("mixup=3\nmosaic_bound=1\npolicy=SGDR\nangle=9\nblur=1").find("[net]"),
            std::string::npos);
}

// Those that are right for training too.
TEST_F(TrainingKeys, OfOtherProgramsWork) {
  work_.put("x.cfg", replaced(replaced(kTinyCfg, "momentum=0.9",
                                       "momentum=0.9\nsteps=2,3\nmax_epochs=30\nseen=12\nangle=0\n"
                                       "aspect=1.0\nmixup=0"),
                              "filters=6", "filters=6\nstopbackward=800"));
  const CommandResult info = expect_runs({"net", "info", "x.cfg"});
  EXPECT_NE(info.err.find("[net] max_epochs: has no effect"), std::string::npos) << info.err;
  EXPECT_NE(info.err.find("[net] seen: has no effect"), std::string::npos) << info.err;
  for (const char* silent : {"angle", "aspect", "mixup", "steps", "stopbackward"})
    EXPECT_EQ(info.err.find(silent), std::string::npos) << info.err;
  expect_runs({"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show"});
  CommandResult ran = expect_runs({"detector", "train", "x.data", "x.cfg"});
  EXPECT_NE(ran.out.find("frozen are layers 0-1"), std::string::npos) << ran.out;
  EXPECT_NE(ran.err.find("layers 0-1 are frozen"), std::string::npos) << ran.err;
  ran = expect_runs({"detector", "train", "x.data", "x.cfg", "x.weights", "-clear"});
  EXPECT_EQ(ran.err.find("are frozen"), std::string::npos)
      << "their weights were loaded" << ran.err;
  ran = expect_runs({"detector", "train", "x.data", "x.cfg", "x.weights", "-clear", "-set",
                     "convolutional.1.stopbackward=2"});
  EXPECT_NE(ran.out.find("iteration 3: no layer is frozen any more"), std::string::npos) << ran.out;
}

TEST_F(TrainingKeys, OfMoreAnchorsThanNumTheFirstCount) {
  const std::string test = "detector test x.data x.cfg x.weights images/0.png";
  const auto weights_of = [&](const std::string& anchors) {
    work_.put("x.cfg", replaced(kTinyCfg, "anchors=6,6, 9,9, 14,14", anchors));
    const CommandResult ran = expect_runs({"detector", "train", "x.data", "x.cfg"});
    EXPECT_EQ(ran.err.find("anchors: num=3 anchors need 6 numbers") == std::string::npos,
              anchors == "anchors=6,6, 9,9, 14,14")
        << ran.err;
    return work_.get("backup/x_final.weights");
  };
  const std::string six = weights_of("anchors=6,6, 9,9, 14,14");
  EXPECT_TRUE(weights_of("anchors=6,6, 9,9, 14,14, 20,20") == six);
  EXPECT_TRUE(weights_of("anchors=6,6, 9,9, 14,14, 20") == six);
  const CommandResult info = work_.darknet({"net", "info", "x.cfg"});
  EXPECT_NE(info.err.find("x.cfg:36: [yolo] anchors: num=3 anchors need 6 numbers, there are 7; "
                          "the first 6 count"),
            std::string::npos)
      << info.err;
}

// At the end of every freezing a resumed training is where an uninterrupted one is.
TEST_F(TrainingKeys, AFrozenTrainingResumesBitForBit) {
  const auto run = [&](const std::string& folder, const std::string& weights, int end) {
    return expect_runs({"detector", "train", "x.data", "x.cfg", weights, "-backup", folder,
                        "-max_batches", cat(end), "-set", "convolutional.1.stopbackward=7", "-set",
                        "convolutional.2.dont_update=9"});
  };
  run("a", "x.weights", 12);
  run("b", "x.weights", 4), run("b", "b/x_last.weights", 8), run("b", "b/x_last.weights", 12);
  for (const char* name : {"x_final.weights", "x_last.weights"})
    EXPECT_TRUE(work_.get(cat("a/", name)) == work_.get(cat("b/", name))) << name;
  EXPECT_TRUE(work_.get("a/x_final.weights") != work_.get("x.weights"));
}

// Images of 320 x 160 with one object of 40 x 40: 16 x 32 pixels of an input of 128 x 128 when
// stretched, 16 x 16 with bars.
class LetterBox : public CliTest {
 protected:
  LetterBox() {
    std::string list;
    for (int i = 0; i < 8; ++i) {
      work_.put(cat("wide/", i, ".png"), Image(320, 160, 3));
      work_.put(cat("wide/", i, ".txt"), cat("0 ", .2 + .07 * i, " .5 .125 .25\n"));
      list += cat("wide/", i, ".png\n");
    }
    work_.put("wide.txt", list);
    work_.put("w.data", "classes=1\ntrain=wide.txt\nbackup=bk\n");
    for (const bool bars : {false, true}) {
      const auto head = [](int mask) {
        return cat("[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[yolo]\nmask=", mask,
                   "\nanchors=16,16, 16,32\nnum=2\nclasses=1\njitter=0\nobj_prior=auto\n");
      };
      work_.put(bars ? "bars.cfg" : "plain.cfg",
                cat("[net]\nbatch=4\nwidth=128\nheight=128\nmax_batches=1\nflip=0\n",
                    bars ? "letter_box=1\n" : "",
                    "[convolutional]\nfilters=4\nsize=3\nstride=8\npad=1\nactivation=leaky\n"
                    "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n",
                    head(1), "[route]\nlayers=0\n", head(0)));
    }
  }
  std::string out_of(const std::vector<std::string>& arguments) const {
    const CommandResult ran = work_.darknet(arguments);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran.out;
  }
};

void expect_holds(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "expected: " << part << '\n' << text;
}

TEST_F(LetterBox, ObjectsHaveTheSizeThatTheNetworkSees) {
  const std::string bars = out_of({"detector", "check", "w.data", "bars.cfg"}),
                    plain = out_of({"detector", "check", "w.data", "plain.cfg"});
  for (const std::string& out : {bars, plain})
    expect_holds(out, "best anchor's IoU with an object: 1.000 on average");
  expect_holds(bars, "anchor   16 x 16   fits 100.0 % of the objects best");
  expect_holds(bars, "anchor   16 x 32   fits   0.0 % of the objects best");
  expect_holds(plain, "anchor   16 x 16   fits   0.0 % of the objects best");
  expect_holds(plain, "anchor   16 x 32   fits 100.0 % of the objects best");
  // 1 of the 16 x 16 anchors of the fine head, or of the 8 x 8 of the coarse one.
  expect_holds(bars, "256 anchors classified per image, 1.00 of them positive");
  expect_holds(bars, "64 anchors classified per image, 0.00 of them positive");
  expect_holds(plain, "256 anchors classified per image, 0.00 of them positive");
  expect_holds(plain, "64 anchors classified per image, 1.00 of them positive");
}

TEST_F(LetterBox, AnchorsAndThePriorToo) {
  for (const bool bars : {false, true}) {
    const std::string cfg = bars ? "bars.cfg" : "plain.cfg";
    expect_holds(
        out_of({"detector", "calc_anchors", "w.data", "-cfg", cfg, "-num_of_clusters", "1"}),
        bars ? "anchors= 16,16\n" : "anchors= 16,32\n");
    const std::string out = out_of({"detector", "train", "w.data", cfg});
    expect_holds(out,
                 bars ? "layer 3: obj_prior=auto: 0 of" : "layer 3: obj_prior=auto: 0.015625 of");
    expect_holds(out,
                 bars ? "layer 6: obj_prior=auto: 0.00390625 of" : "layer 6: obj_prior=auto: 0 of");
    expect_holds(work_.get(cat("bk/", bars ? "bars" : "plain", "_log.jsonl")), "\"positives\":");
  }
}

TEST_F(LetterBox, AHeadWithoutAnchorsIsSaidToHaveNone) {
  work_.put("grid.cfg",
            "[net]\nbatch=4\nwidth=128\nheight=128\nmax_batches=1\nflip=0\n[avgpool]\n"
            "[connected]\noutput=44\nactivation=linear\n[detection]\nside=2\nnum=2\nclasses=1\n");
  const CommandResult ran =
      work_.darknet({"detector", "calc_anchors", "w.data", "-cfg", "grid.cfg"});
  EXPECT_EQ(ran.exit_code, 1);
  expect_holds(ran.err,
               "layer 2 [detection] (grid.cfg:11): has no anchors, it predicts boxes of "
               "any shape; leave out -cfg, and give the size of the input with -width");
  const std::string checked = out_of({"detector", "check", "w.data", "grid.cfg"});
  expect_holds(checked, "8 anchors classified per image, 1.00 of them positive");
  EXPECT_EQ(checked.find("best anchor's IoU"), std::string::npos) << checked;
  EXPECT_EQ(checked.find("calc_anchors"), std::string::npos) << checked;
}

// An unreadable image is not counted, and does not end a training.
TEST_F(LetterBox, AImageWithoutASizeIsLeftOut) {
  work_.put("wide/3.png", std::string("no image"));
  const CommandResult ran =
      work_.darknet({"detector", "train", "w.data", "bars.cfg", "-max_bad", "50"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  expect_holds(ran.err, "1 image of unreadable size not counted");
  expect_holds(ran.out, "layer 6: obj_prior=auto: 0.00390625 of");
}

}  // namespace
}  // namespace darknet::test
