// Bad cfg, label, weights and data files: each is refused with exit code 1, its file and line and a
// reason, and nothing that was there before is written over.
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "cli_harness.h"

namespace darknet::test {
namespace {

// Of their kinds: files of other kinds are not replaced, and that would be said first.
const std::map<std::string, std::string> kFormerFiles = {
    {"backup/x_last.weights", std::string("\0\0\0\0\2\0\0\0\5\0\0\0last", 16)},
    {"backup/x_last.state", "DNFSTAT former"},
    {"backup/x_best.weights", std::string("\0\0\0\0\2\0\0\0\5\0\0\0best", 16)},
    {"backup/x_final.weights", std::string("\0\0\0\0\2\0\0\0\5\0\0\0done", 16)},
    {"backup/x_log.jsonl", "{\"iteration\": 1}\n"}};

// With a backup folder that holds the files of an earlier training.
class ErrorTest : public CliTest {
 public:
  ~ErrorTest() override { EXPECT_EQ(work_.tree("backup"), kFormerFiles); }

 protected:
  ErrorTest() {
    for (const auto& [name, bytes] : kFormerFiles) work_.put(name, bytes);
  }
};

struct CfgError {
  const char *name, *from, *to, *said;
  int offset = 0;  // lines after the first changed one; kWhole: the message names no line
};
constexpr int kWhole = -1000;

class CfgErrors : public ErrorTest, public testing::WithParamInterface<CfgError> {};

TEST_P(CfgErrors, AreReportedWithTheirLine) {
  const CfgError& f = GetParam();
  const std::string cfg = replaced(kTinyCfg, f.from, f.to);
  work_.put("x.cfg", cfg);
  const CommandResult ran = train();
  expect_refused(ran, f.said);
  const std::string where =
      f.offset == kWhole ? "x.cfg" : cat("x.cfg:", first_difference(kTinyCfg, cfg) + f.offset);
  EXPECT_NE(ran.err.find(where), std::string::npos) << where << '\n' << ran.all();
}

const CfgError kCfg[] = {
    {"first_section", "[net]", "[nett]", "the first section must be [net], not [nett]"},
    {"unknown_section", "[yolo]", "[foobar]", "unknown section [foobar]"},
    {"section_typo", "[yolo]", "[yola]", "unknown section [yola]; did you mean [yolo]?"},
    {"second_net", "[yolo]", "[net]\nbatch=1\n\n[yolo]",
     "a second [net]: a .cfg has one, its first section; put these keys there"},
    {"section_not_closed", "[yolo]", "[yolo", "expected [section], got '[yolo'"},
    {"section_empty", "[yolo]", "[]", "expected [section], got '[]'"},
    {"unknown_key", "num=3", "num=3\nfoo=1", "[yolo] foo: unknown key"},
    {"key_typo", "filters=24", "filtres=24", "unknown key; did you mean 'filters'?"},
    {"no_equals", "filters=24", "filters 24", "expected key=value, got 'filters 24'"},
    {"no_key", "filters=24", "=24", "expected key=value, got '=24'"},
    {"no_value", "filters=24", "filters=", "filters: expected an integer, got ''"},
    {"key_before_section", "[net]", "batch=2\n[net]", "a key before the first [section]"},
    {"text_for_integer", "filters=24", "filters=abc", "expected an integer, got 'abc'"},
    {"real_for_integer", "filters=24", "filters=24.5", "expected an integer, got '24.5'"},
    {"hex", "filters=24", "filters=0x18", "expected an integer, got '0x18'"},
    {"text_for_number", "learning_rate=0.002", "learning_rate=0.00x2",
     "learning_rate: expected a number, got '0.00x2'"},
    {"comma_for_point", "learning_rate=0.002", "learning_rate=0,002", "expected a number"},
    {"not_a_number", "learning_rate=0.002", "learning_rate=nan", "learning_rate: nan is outside"},
    {"infinite", "learning_rate=0.002", "learning_rate=inf", "learning_rate: inf is outside"},
    {"negative_rate", "learning_rate=0.002", "learning_rate=-1", "learning_rate: -1 is outside"},
    {"momentum", "momentum=0.9", "momentum=9", "momentum: 9 is outside [0, 1]"},
    {"filters_of_head", "filters=24", "filters=23", "need filters=24", 4},
    {"num_above_anchors", "num=3", "num=6", "num=6 anchors need 12 numbers, there are 6", -2},
    {"anchors_odd", "14,14", "14", "num=3 anchors need 6 numbers, there are 5"},
    {"anchors_zero", "14,14", "0,14", "anchors: 0 is outside"},
    {"anchors_text", "14,14", "14,x", "anchors: expected a number, got 'x'"},
    {"anchors_comma", "14,14", "14,,14", "anchors: expected a number, got ''"},
    {"anchors_missing", "anchors=6,6, 9,9, 14,14\n", "", "anchors", kWhole},
    {"mask_above_num", "mask=0,1,2", "mask=0,1,7", "there is no anchor 7 among 3"},
    {"mask_negative", "mask=0,1,2", "mask=0,1,-1", "mask: -1 is outside"},
    {"mask_twice", "mask=0,1,2", "mask=0,1,1", "an anchor is named twice"},
    {"num_huge", "num=3", "num=1000000000", "num: 1000000000 is outside"},
    {"classes_zero", "classes=3", "classes=0", "classes: 0 is outside"},
    {"classes_huge", "classes=3", "classes=2000000000", "classes: 2000000000 is outside"},
    {"classes_of_data", "classes=3", "classes=2", "need filters=21", kWhole},
    {"route_back", "[yolo]", "[route]\nlayers=-50\n\n[yolo]", "there is no layer -50", 1},
    {"route_forward", "[yolo]", "[route]\nlayers=7\n\n[yolo]", "there is no layer 7", 1},
    {"route_nothing", "[yolo]", "[route]\n\n[yolo]", "layers: expected a list of layers"},
    {"route_text", "[yolo]", "[route]\nlayers=all\n\n[yolo]", "expected an integer, got 'all'", 1},
    {"route_sizes", "[yolo]", "[route]\nlayers=0,1\n\n[yolo]", "only equal sizes"},
    {"route_first", "[convolutional]\nbatch_normalize=1\nfilters=4",
     "[route]\nlayers=-1\n\n[convolutional]\nbatch_normalize=1\nfilters=4",
     "the first layer cannot refer to another one", 1},
    {"shortcut_back", "[yolo]", "[shortcut]\nfrom=-9\n\n[yolo]", "there is no layer -9", 1},
    {"shortcut_nothing", "[yolo]", "[shortcut]\n\n[yolo]", "from: expected a list of layers"},
    {"width_zero", "width=32", "width=0", "width: 0 is outside [1, 32768]"},
    {"width_negative", "width=32", "width=-32", "width: -32 is outside"},
    {"height_huge", "height=32", "height=2000000000", "height: 2000000000 is outside"},
    {"overflow", "height=32", "height=99999999999999999999", "height: "},
    {"channels_zero", "channels=3", "channels=0", "channels: 0 is outside"},
    {"batch_zero", "batch=2", "batch=0", "batch: 0 is outside"},
    {"too_large", "batch=2\nsubdivisions=1\nwidth=32\nheight=32",
     "batch=1048576\nsubdivisions=1\nwidth=512\nheight=512", "GiB of memory, there are", -1},
    {"far_too_large", "batch=2\nsubdivisions=1\nwidth=32\nheight=32",
     "batch=1048576\nsubdivisions=1\nwidth=32000\nheight=32000", "is too large", -1},
    {"weights_too_large", "filters=6\nsize=3", "filters=1000000\nsize=255",
     "MiB are needed, there are ", -2},
    {"number_too_large", "learning_rate=0.002", "learning_rate=1e99",
     "learning_rate: 1e99 is outside [0, 1e+30]"},
    {"integer_too_large", "filters=24", "filters=99999999999999999999",
     "filters: 99999999999999999999 is outside [1, 1048576]"},
    {"fewer_classes", "filters=24", "filters=21",
     "need filters=24 in the convolution before it, or classes=2 here", 4},
    {"section_case", "[yolo]", "[YOLO]", "unknown section [YOLO]; did you mean [yolo]?"},
    {"kernel_of_local", "[yolo]", "[local]\nsize=99\npad=0\n\n[yolo]",
     "size=99 is larger than its input of 8x8"},
    {"several_sizes", "[convolutional]\nfilters=24\nsize=1\nactivation=linear\n\n[yolo]",
     "[local]\nfilters=24\nactivation=linear\n\n[yolo]\nrandom=1",
     "[yolo] random: it trains with inputs of several sizes, and layer 2 [local]", 5},
    {"subdivisions_zero", "subdivisions=1", "subdivisions=0", "subdivisions: 0 is outside"},
    {"subdivisions_odd", "batch=2\nsubdivisions=1", "batch=4\nsubdivisions=3",
     "batch=4 is not a multiple of subdivisions=3", 1},
    {"filters_huge", "filters=24", "filters=2000000000", "filters: 2000000000 is outside"},
    {"filters_zero", "filters=24", "filters=0", "filters: 0 is outside"},
    {"stride_zero", "size=1\n", "size=1\nstride=0\n", "stride: 0 is outside [1, 255]"},
    {"stride_negative", "size=1\n", "size=1\nstride=-2\n", "stride: -2 is outside"},
    {"size_zero", "size=1\n", "size=0\n", "size: 0 is outside"},
    {"size_above_input", "size=1\n", "size=99\n",
     "a kernel of extent 99 does not fit into 8 pixels", -2},
    {"too_small_input", "width=32\nheight=32", "width=1\nheight=1\nresize_stop=1",
     "did you mean 'resize_step'", 2},
    {"groups", "filters=24", "filters=24\ngroups=5", "filters=24 is not a multiple of 5"},
    {"groups_of_input", "filters=24", "filters=24\ngroups=4", "does not divide its 6 input", -2},
    {"policy", "momentum=0.9", "policy=foo", "'foo' is none of constant,"},
    {"policy_typo", "momentum=0.9", "policy=step5", "did you mean 'step"},
    {"steps_without_list", "momentum=0.9", "policy=steps",
     "policy=steps needs steps and scales; add both"},
    {"steps_without_scales", "momentum=0.9", "policy=steps\nsteps=2,3",
     "steps: 0 scales for 2 steps; give scales= and steps= as many numbers", 1},
    {"scales_without_steps", "momentum=0.9", "scales=.1,.1\npolicy=steps",
     "scales: 2 scales for 0 steps"},
    {"scales", "momentum=0.9", "policy=steps\nsteps=2,3\nscales=.1", "1 scale for 2 steps", 2},
    {"activation", "activation=linear", "activation=foo", "'foo' is none of"},
    {"activation_typo", "activation=linear", "activation=linaer", "did you mean 'linear'?"},
    {"max_batches_missing", "max_batches=4\n", "", "max_batches", kWhole},
    {"max_batches_zero", "max_batches=4", "max_batches=0", "max_batches", kWhole},
    {"flag", "momentum=0.9", "mosaic=2", "mosaic: 2 is outside [0, 1]"},
    {"unsupported", "momentum=0.9", "attention=1", "attention: not supported in training"},
    {"plus_minus", "momentum=0.9", "momentum=+-0.9", "momentum: expected a number, got '+-0.9'"},
    {"stopbackward", "momentum=0.9", "momentum=0.9\nstopbackward=1", "unknown key"},
    {"stopbackward_negative", "filters=6", "filters=6\nstopbackward=-1",
     "stopbackward: -1 is outside"},
    {"loss", "num=3", "num=3\nobj_loss=focl", "did you mean 'focal'?"},
    {"gamma", "num=3", "num=3\nobj_loss=focal\nobj_gamma=-1", "obj_gamma: -1 is outside", 1},
    {"ignore_thresh", "num=3", "num=3\nignore_thresh=7", "ignore_thresh: 7 is outside [0, 1]"},
    {"iou_loss", "num=3", "num=3\niou_loss=siou", "'siou' is none of"},
    {"maxpool", "[yolo]", "[maxpool]\nsize=2\nstride=0\n\n[yolo]", "stride: 0 is outside", 2},
    {"upsample", "[yolo]", "[upsample]\nstride=100000\n\n[yolo]", "stride: 100000 is outside", 1},
    {"no_head", "[yolo]\nmask=0,1,2\nanchors=6,6, 9,9, 14,14\nclasses=3\nnum=3\n", "",
     "this network has no detection head", kWhole},
};
INSTANTIATE_TEST_SUITE_P(Cli, CfgErrors, testing::ValuesIn(kCfg), name_of_case<CfgError>);

// The line that is named is right in the file: what the command line changed is named too.
TEST_F(ErrorTest, SizesThatFollowFromTheCommandLine) {
  const CommandResult ran = work_.darknet({"net", "info", "x.cfg", "-set", "yolo.0.classes=9"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(
      ran.err.find(
          "in the convolution before it, or classes=3 here; changed by -set yolo.0.classes=9"),
      std::string::npos)
      << ran.err;
}

TEST_F(ErrorTest, OnlyWhatAnErrorDependsOnIsNamed) {
  expect_refused(
      train({"-max_batches", "9", "-set", "yolo.0.classes=9"}),
      "in the convolution before it, or classes=3 here; changed by -set yolo.0.classes=9\n");
  work_.put("x.cfg", replaced(kTinyCfg, "momentum=0.9", "steps=2,3"));
  expect_refused(train({"-set", "yolo.0.classes=9", "-set", "net.0.policy=steps"}),
                 "multiplies the learning rate by its scale; changed by -set net.0.policy=steps\n");
  work_.put("x.cfg", replaced(kTinyCfg, "momentum=0.9", "momentum=x"));
  expect_refused(train({"-max_batches", "9"}), "expected a number, got 'x'\n");
}

// More memory than there is is asked for by the sum alone: nothing is touched before it is known.
TEST_F(ErrorTest, NetworksThatNoMemoryHoldsNameTheLayer) {
  const double mebibytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                           static_cast<double>(::sysconf(_SC_PAGE_SIZE)) / (1 << 20);
  const auto filters = static_cast<std::int64_t>(std::sqrt(.4 * mebibytes * (1 << 20) / 4 / 9));
  std::string cfg = "[net]\nwidth=4\nheight=4\n[convolutional]\nfilters=" + cat(filters) + "\n";
  for (int i = 0; i < 3; ++i) cfg += cat("[convolutional]\nsize=3\npad=1\nfilters=", filters, "\n");
  work_.put("x.cfg", cfg);
  const CommandResult ran = work_.darknet({"net", "info", "x.cfg"}, {.timeout = 60});
  expect_refused(ran, "[convolutional] (x.cfg:");
  EXPECT_TRUE(said(ran, "of them in this layer, and there are ")) << ran.all();
  EXPECT_TRUE(said(ran, "fewer filters= (or output=) of this layer")) << ran.all();
}

TEST_F(ErrorTest, AnErrorSuppressesTheWarningsOfItsSection) {
  work_.put("x.cfg", replaced(kTinyCfg, "[yolo]",
                              "[shortcut]\nfrom=-2\nweight_type=per_channel\n"
                              "weights_normalization=relu\n\n[yolo]"));
  const CommandResult ran = train();
  expect_refused(ran, "weight_type: unknown key; did you mean 'weights_type'?");
  EXPECT_FALSE(said(ran, "without weights_type")) << ran.all();
}

// A fraction that no float holds counts as 0, as Darknet reads it.
TEST_F(ErrorTest, TinyNumbersAreNone) {
  const auto info = [&](const std::string& decay) {
    work_.put("x.cfg", replaced(kTinyCfg, "decay=0.0005", "decay=" + decay));
    return work_.darknet({"net", "info", "x.cfg"});
  };
  const std::string zeros(400, '0');
  for (const std::string& tiny : {std::string("1e-99"), std::string("1E-999"), "." + zeros + "1"})
    EXPECT_EQ(info(tiny).exit_code, 0) << tiny;
  for (const std::string& large : {std::string("1e99"), "1" + zeros, "1" + zeros + "e-9"})
    EXPECT_TRUE(said(info(large), "is outside ")) << large;
}

TEST_F(ErrorTest, WarningsOfACfgAreGivenOnce) {
  work_.put("x.cfg", replaced(kTinyCfg, "momentum=0.9", "momentum=0.9\nmomentum=0.8\nrandom=1"));
  const std::string err = work_.darknet({"detector", "check", "x.data", "x.cfg"}).err;
  for (const char* warning : {"was already set on line", "[net] random: has no effect"}) {
    ASSERT_NE(err.find(warning), std::string::npos) << err;
    EXPECT_EQ(err.find(warning), err.rfind(warning)) << err;
  }
}

TEST_F(ErrorTest, AnActivationBeforeAHeadIsAWarning) {
  const std::string warning = "of layer 2 changes them; set activation=linear there";
  EXPECT_FALSE(said(work_.darknet({"net", "info", "x.cfg"}), warning));
  work_.put("x.cfg", replaced(kTinyCfg, "activation=linear", "activation=leaky"));
  const CommandResult ran = work_.darknet({"net", "info", "x.cfg"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "layer 3 [yolo] (x.cfg:"));
  EXPECT_TRUE(said(ran, warning)) << ran.all();
}

TEST_F(ErrorTest, FilesInTheWrongOrderAreCalledWhatTheyAre) {
  put_tiny_weights(work_, "x.weights");
  expect_refused(
      work_.darknet({"quantize", "x.weights", "x.cfg", "x.data"}),
      "x.weights:1: this is not a text file; it is a weights file in the place of a .cfg "
      "file");
  expect_refused(work_.darknet({"quantize", "x.cfg", "x.data", "x.weights"}),
                 "x.weights:1: this is not a text file; it is a weights file in the place of a "
                 ".data file");
  expect_refused(work_.darknet({"partial", "x.cfg", "x.data", "p", "1"}),
                 "it is a .data file in the place of a weights file");
  expect_refused(work_.darknet({"detect", "x.cfg", "images/0.png"}),
                 "it is an image in the place of a weights file");
  expect_refused(work_.darknet({"detector", "map", "train.txt", "x.cfg", "x.weights"}),
                 "it is a list of images in the place of a .data file");
}

TEST_F(ErrorTest, CfgFilesThatAreNone) {
  work_.remove("x.cfg");
  expect_refused(train(), "x.cfg: cannot read this file: No such file");
  work_.put("x.cfg", "");
  expect_refused(train(), "x.cfg: no [section] in this file");
  work_.put("x.cfg", "\n\n# only a remark\n");
  expect_refused(train(), "x.cfg: no [section] in this file");
  work_.put("x.cfg", "[net]\nmax_batches=3\n");
  expect_refused(train(), "x.cfg:1: no layer after [net]");
  work_.put("x.cfg", std::string("\x7F"
                                 "ELF\0\0\1",
                                 7));
  expect_refused(train(), "x.cfg:1: this is not a text file");
  work_.put("x.cfg", work_.get("x.data"));
  expect_refused(train(), "x.cfg:1: a key before the first [section]: this is not a .cfg");
  work_.put("x.cfg", std::string(1 << 20, '\x81'));
  expect_refused(train(), "x.cfg:1: ");
  work_.put("x.cfg", "[net]\nbatch=" + std::string(100000, '9') + "\n");
  const CommandResult ran = train();
  expect_refused(ran, "x.cfg:2: [net] batch");
  EXPECT_LT(ran.err.size(), 2000u);
  work_.remove("x.cfg");
  work_.put("x.cfg/inside", "");
  expect_refused(train(), "x.cfg: this is a folder, not a file");
}

TEST_F(CliTest, CfgFilesFromOtherEditors) {
  std::string windows = "\xEF\xBB\xBF";
  for (const char c : kTinyCfg) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  for (const std::string& cfg :
       {"\xEF\xBB\xBF" + kTinyCfg, windows, kTinyCfg.substr(0, kTinyCfg.size() - 1),
        replaced(kTinyCfg, "filters=24", "  filters = 24   # of the head"),
        replaced(kTinyCfg, "learning_rate=0.002", "learning_rate=+2.0e-3")}) {
    work_.put("x.cfg", cfg);
    const CommandResult ran = train({"-max_batches", "1"});
    EXPECT_EQ(ran.exit_code, 0) << cfg << ran.all();
  }
}

TEST_F(CliTest, AFlagForAKeyIsNamedAsItWasTyped) {
  expect_refused(
      work_.darknet({"check", "x.cfg", "-devices", "cpu,reference", "-precision", "f16"}),
      "darknet: -precision f16: [net] precision: f16: ");
  expect_refused(
      work_.darknet({"check", "x.cfg", "-devices", "cpu,reference", "-set", "net.0.precision=f16"}),
      "darknet: -set net.0.precision=f16: [net] precision: f16: ");
  put_tiny_weights(work_, "x.weights");
  expect_refused(
      test({"x.weights", "images/0.png", "-precision", "int8", "-set", "yolo.0.classes=9"}),
      "; changed by -precision int8, -set yolo.0.classes=9\n");
  expect_refused(train({"-set", "net.0.batch=0"}), "-set net.0.batch=0: [net] batch: ");
}

TEST_F(CliTest, AKeySetTwiceIsAWarning) {
  work_.put("x.cfg", replaced(kTinyCfg, "filters=24", "filters=24\nfilters=25"));
  const CommandResult ran = train({"-max_batches", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find("filters was already set on line"), std::string::npos) << ran.all();
}

struct LabelError {
  const char *name, *text, *said;
};
class LabelErrors : public ErrorTest, public testing::WithParamInterface<LabelError> {};

// Of the second line: every command that reads labels says the same.
TEST_P(LabelErrors, AreReportedWithTheirLine) {
  work_.put("images/3.txt", cat("0 .5 .5 .2 .2\n", GetParam().text, "\n"));
  put_tiny_weights(work_, "x.weights");
  const std::string said = cat("images/3.txt:2: ", GetParam().said);
  expect_refused(train(), said);
  expect_refused(work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights"}), said);
  const CommandResult check = work_.darknet({"detector", "check", "x.data", "x.cfg"});
  expect_refused(check, said);
  EXPECT_NE(check.out.find("1 bad label line;"), std::string::npos) << check.all();
}

const LabelError kLabels[] = {
    {"nan", "0 nan .5 .2 .2", "'nan' is not a finite number"},
    {"inf", "0 .5 .5 inf .2", "'inf' is not a finite number"},
    {"overflow", "0 .5 .5 1e39 .2", "'1e39' is not a finite number"},
    {"large", "0 .5 .5 1e30 .2", "the box reaches out of the image"},
    {"four_fields", "0 .5 .5 .2", "expected 5 numbers: class x y w h, got 4 fields"},
    {"six_fields", "0 .5 .5 .2 .2 .9", "expected 5 numbers: class x y w h, got 6 fields"},
    {"commas", "0,.5,.5,.2,.2", "expected 5 numbers: class x y w h, got 1 field"},
    {"text", "hello world", "expected 5 numbers"},
    {"class_text", "cat .5 .5 .2 .2", "the class 'cat' is not an integer"},
    {"class_real", "0.0 .5 .5 .2 .2", "the class '0.0' is not an integer"},
    {"class_too_large", "3 .5 .5 .2 .2", "class 3 is not among 0 to 2"},
    {"class_negative", "-1 .5 .5 .2 .2", "class -1 is not among 0 to 2"},
    {"class_2_31", "2147483648 .5 .5 .2 .2", "class 2147483648 is not among 0 to 2"},
    {"class_2_64", "18446744073709551616 .5 .5 .2 .2",
     "the class '18446744073709551616' is not an integer"},
    {"outside", "0 1.5 .5 .2 .2", "the box reaches out of the image"},
    {"pixels", "0 32 32 16 16", "the box reaches out of the image"},
    {"width_zero", "0 .5 .5 0 .2", "the box is empty"},
    {"height_negative", "0 .5 .5 .2 -.2", "the box is empty"},
    {"hex", "0 0x1p-1 .5 .2 .2", "'0x1p-1' is not a finite number"},
};
INSTANTIATE_TEST_SUITE_P(Cli, LabelErrors, testing::ValuesIn(kLabels), name_of_case<LabelError>);

TEST_F(ErrorTest, LabelFilesThatAreNone) {
  put_tiny_weights(work_, "x.weights");
  const std::string good = work_.get("images/3.txt");
  work_.remove("images/3.txt");
  for (const auto& ran :
       {train(), work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights"}),
        work_.darknet({"detector", "check", "x.data"})})
    expect_refused(ran, "images/3.txt: the label file of images/3.png is missing");
  work_.put("images/3.txt/inside", "");
  expect_refused(train(), "images/3.txt: this is a folder, not a file");
  work_.remove("images/3.txt");
  work_.put("images/3.txt", std::string("\0\1\2\3", 4));
  expect_refused(train(), "images/3.txt:1: this is not a text file");
  work_.put("images/3.txt", work_.get("images/0.png"));
  expect_refused(train(), "images/3.txt:1: ");
}

TEST_F(CliTest, LabelFilesThatWork) {
  for (const char* text : {"", "\n\n", "\r\n", "\357\273\2770 .5 .5 .2 .2\r\n\r\n1 .4 .4 .1 .1",
                           "  0\t.5 .5  .2 .2  ", "0 .5 .5 1 1", "0 .9 .5 .2005 .2"}) {
    work_.put("images/3.txt", text);
    const CommandResult ran = train({"-max_batches", "1"});
    EXPECT_EQ(ran.exit_code, 0) << text << ran.all();
  }
}

struct WeightsError {
  const char* name;
  std::string (*make)(const std::string& good);
  const char* said;
};
class WeightsErrors : public ErrorTest, public testing::WithParamInterface<WeightsError> {};

TEST_P(WeightsErrors, AreReported) {
  put_tiny_weights(work_, "good.weights");
  work_.put("x.weights", GetParam().make(work_.get("good.weights")));
  const std::string said = GetParam().said;
  expect_refused(test({"x.weights", "images/0.png"}), said);
  expect_refused(work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights"}), said);
  expect_refused(work_.darknet({"detect", "x.cfg", "x.weights", "images/0.png"}), said);
  expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", "x.conv", "2"}), said);
  expect_refused(train({"x.weights"}), said);
  EXPECT_FALSE(work_.has("x.conv"));
  EXPECT_FALSE(work_.has("predictions.jpg"));
}

constexpr std::size_t kHeader = 20;
std::string with_float(std::string bytes, std::size_t index, float value) {
  std::memcpy(bytes.data() + kHeader + index * sizeof value, &value, sizeof value);
  return bytes;
}

const WeightsError kWeights[] = {
    {"empty", [](const std::string&) { return std::string(); }, "x.weights: the file is too short"},
    {"header_only", [](const std::string& g) { return g.substr(0, kHeader); },
     "x.weights: the file is too short"},
    {"half_a_header", [](const std::string& g) { return g.substr(0, 10); },
     "x.weights: the file is too short"},
    {"cut", [](const std::string& g) { return g.substr(0, g.size() / 2); },
     "x.weights: the file is too short"},
    {"one_byte_missing", [](const std::string& g) { return g.substr(0, g.size() - 1); },
     "x.weights: the file is too short"},
    {"too_long", [](const std::string& g) { return g + "more"; },
     "x.weights: the file is too long"},
    {"text", [](const std::string&) { return cat("this is text\n", std::string(9000, 'x')); },
     "x.weights: this is not a .weights file"},
    {"image",
     [](const std::string&) { return std::string("\x89PNG\r\n\x1A\n", 8) + std::string(9000, 7); },
     "x.weights: this is not a .weights file"},
    {"zeros", [](const std::string&) { return std::string(100, '\0'); },
     "x.weights: the file is too short"},
    {"nan", [](const std::string& g) { return with_float(g, 40, std::nanf("")); },
     "the file holds a value that is not finite"},
    {"inf",
     [](const std::string& g) { return with_float(g, 40, std::numeric_limits<float>::infinity()); },
     "the file holds a value that is not finite"},
};
INSTANTIATE_TEST_SUITE_P(Cli, WeightsErrors, testing::ValuesIn(kWeights),
                         name_of_case<WeightsError>);

TEST_F(ErrorTest, WeightsThatAreNotThere) {
  for (const auto& ran : {test({"y.weights", "images/0.png"}), train({"y.weights"}),
                          work_.darknet({"detector", "map", "x.data", "x.cfg", "y.weights"}),
                          work_.darknet({"partial", "x.cfg", "y.weights", "x.conv", "2"})})
    expect_refused(ran, "y.weights: ");
  expect_refused(train({"images"}), "images: this is a folder, not a file");
}

// Cut at a layer's end, a file is a backbone for train and an error for all others.
TEST_F(ErrorTest, ABackboneIsNotAWholeNetwork) {
  put_tiny_weights(work_, "x.weights");
  EXPECT_EQ(work_.darknet({"partial", "x.cfg", "x.weights", "x.conv", "2"}).exit_code, 0);
  expect_refused(test({"x.conv", "images/0.png"}), "x.conv: the file is too short");
}

}  // namespace
}  // namespace darknet::test
