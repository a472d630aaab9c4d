// The command line itself: commands, flags, help, and what is wrong with them.
#include <regex>
#include <string>

#include "cli_harness.h"
#include "core/device.h"

namespace darknet::test {
namespace {

const std::vector<std::vector<std::string>> kCommands = {{"detector", "train"},
                                                         {"detector", "test"},
                                                         {"detector", "map"},
                                                         {"detector", "check"},
                                                         {"detector", "init"},
                                                         {"detect"},
                                                         {"bench"},
                                                         {"bench", "data"},
                                                         {"check"},
                                                         {"net", "info"},
                                                         {"partial"},
                                                         {"help"},
                                                         {"version"}};

using UsageTest = CliTest;

TEST_F(UsageTest, EveryCommandHasHelp) {
  for (auto command : kCommands) {
    const std::string words = command.size() == 2 ? command[0] + " " + command[1] : command[0];
    for (const char* flag : {"--help", "-help", "-h"}) {
      auto arguments = command;
      arguments.emplace_back(flag);
      const CommandResult ran = work_.darknet(arguments);
      EXPECT_EQ(ran.exit_code, 0) << words << ran.all();
      EXPECT_NE(ran.out.find(command.back()), std::string::npos) << words << ran.all();
      EXPECT_EQ(ran.err, "") << words;
    }
  }
}

// A processor with AVX-VNNI, as many without AVX-512 are: oneDNN has a larger number for it.
TEST_F(UsageTest, VnniInAvx2IsNotAvx512) {
  ::setenv("DNNL_MAX_CPU_ISA", "AVX2_VNNI", 1);
  const CommandResult version = work_.darknet({"version"});
  const CommandResult bf16 = work_.darknet({"check", "x.cfg", "-precision", "bf16"});
  ::unsetenv("DNNL_MAX_CPU_ISA");
  EXPECT_EQ(version.out.find("avx512"), std::string::npos) << version.out;
  expect_refused(bf16, "AVX-512 only", 1);
}

TEST_F(UsageTest, VersionAndHelp) {
  for (const char* word : {"version", "--version", "-version"}) {
    const CommandResult ran = work_.darknet({word});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_NE(ran.out.find("Darknet Focal"), std::string::npos) << ran.all();
  }
  for (const char* word : {"help", "--help", "-h"}) {
    const CommandResult ran = work_.darknet({word});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_NE(ran.out.find("detector"), std::string::npos) << ran.all();
  }
  expect_refused(work_.darknet({"help", "yola"}), "did you mean 'yolo'?", 2);
  expect_refused(work_.darknet({"help", "foo"}), "'foo' is neither a command nor a section", 2);
  EXPECT_FALSE(said(work_.darknet({"help", "foo"}), "did you mean"));
  expect_refused(work_.darknet({"help", "YOLO"}), "did you mean 'yolo'?", 2);
  const CommandResult rnn = work_.darknet({"help", "rnn"});
  EXPECT_EQ(rnn.exit_code, 0) << rnn.all();
  EXPECT_TRUE(said(rnn, "[rnn] is a section of other Darknet forks: recurrent networks are not"));
  EXPECT_TRUE(said(work_.darknet({"help", "detection"}), "boxes that a cell predicts"));
  const CommandResult yolo = work_.darknet({"help", "yolo"});
  EXPECT_EQ(yolo.exit_code, 0) << yolo.all();
  EXPECT_NE(yolo.out.find("ignore_thresh"), std::string::npos) << yolo.all();
  const CommandResult detector = work_.darknet({"detector", "--help"});
  EXPECT_EQ(detector.exit_code, 0) << detector.all();
  EXPECT_NE(detector.out.find("train"), std::string::npos) << detector.all();
}

struct Usage {
  const char* name;
  std::vector<std::string> arguments;
  const char* said;
};

class UsageErrors : public CliTest, public testing::WithParamInterface<Usage> {};

TEST_P(UsageErrors, AreReportedWithExitCode2) {
  const CommandResult ran = work_.darknet(GetParam().arguments);
  expect_refused(ran, GetParam().said, 2);
  EXPECT_TRUE(std::regex_search(ran.err, std::regex("\nsee: darknet[a-z_ ]* --help\n$")))
      << ran.all();
  EXPECT_FALSE(work_.has("backup"));
}

const Usage kUsage[] = {
    {"nothing", {}, "darknet: "},
    {"flag_as_value",
     {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-out", "-dont_show"},
     "-out: needs a value before '-dont_show'"},
    {"no_value_of_a_range", {"detector", "map", "x.data", "-thresh"}, "-thresh needs a value"},
    {"empty_value",
     {"detector", "map", "x.data", "x.cfg", "-threads", ""},
     "-threads: '' is not from 1 to 1024"},
    {"no_value", {"detector", "train", "x.data", "x.cfg", "-backup"}, "-backup needs a value"},
    {"twice",
     {"detector", "train", "x.data", "x.cfg", "-max_batches", "1", "-max_batches", "2"},
     "-max_batches is given 2 times"},
    {"format_without_out",
     {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-format", "coco"},
     "darknet detector test: -format needs -out\n"},
    {"codec_without_video",
     {"detector", "demo", "x.data", "x.cfg", "x.weights", "images", "-codec", "mp4v"},
     "-codec needs -out_filename"},
    {"array_without_file",
     {"detector", "demo", "x.data", "x.cfg", "x.weights", "images", "-json_array"},
     "-json_array needs -json_file_output"},
    {"set_without_cfg", {"synth", "o", "-set", "net.0.width=64"}, "-set needs -cfg"},
    {"set_without_a_cfg_to_check",
     {"detector", "check", "x.data", "-set", "net.0.width=64"},
     "-set needs cfg\n"},
    {"threads_without_data", {"bench", "x.cfg", "-threads", "2"}, "-threads needs -data"},
    {"percentile_of_another_method",
     {"quantize", "x.cfg", "x.weights", "x.data", "-method", "max", "-percentile", "99"},
     "-percentile is for -method percentile, not max"},
    {"unknown_command", {"detektor"}, "unknown command 'detektor'; did you mean 'detector'?"},
    {"unknown_subcommand",
     {"detector", "trian", "x.data"},
     "unknown command 'trian'; did you mean 'train'?"},
    {"group_alone", {"detector"}, "darknet detector: "},
    {"command_of_other_darknets", {"nightmare", "x.cfg"}, "'nightmare' is not there"},
    {"unknown_flag",
     {"detector", "train", "x.data", "x.cfg", "-max_batch", "7"},
     "unknown flag '-max_batch'; did you mean '-max_batches'?"},
    {"unknown_flag_with_value",
     {"detector", "train", "x.data", "x.cfg", "-max_batch=7"},
     "unknown flag '-max_batch'; did you mean '-max_batches'?"},
    {"command_without_group",
     {"train", "x.data", "x.cfg"},
     "unknown command 'train'; did you mean 'detector train'?"},
    {"unlike_any_flag",
     {"detector", "train", "x.data", "x.cfg", "-frobnicate"},
     "unknown flag '-frobnicate'"},
    {"surplus_word",
     {"detector", "train", "x.data", "x.cfg", "x.weights", "more"},
     "surplus word 'more'"},
    {"missing_cfg", {"detector", "train", "x.data"}, "cfg"},
    {"flag_without_value", {"detector", "train", "x.data", "x.cfg", "-max_batches"}, "max_batches"},
    {"value_not_a_number",
     {"detector", "train", "x.data", "x.cfg", "-max_batches", "many"},
     "many"},
    {"value_out_of_range", {"detector", "train", "x.data", "x.cfg", "-max_batches", "0"}, "0"},
    {"negative_value", {"detector", "train", "x.data", "x.cfg", "-max_batches", "-3"}, "-3"},
    {"thresh_out_of_range",
     {"detector", "test", "x.data", "x.cfg", "x.weights", "-thresh", "1.5"},
     "1.5"},
    {"thresh_nan", {"detector", "test", "x.data", "x.cfg", "x.weights", "-thresh", "nan"}, "nan"},
    {"points", {"detector", "map", "x.data", "x.cfg", "x.weights", "-points", "12"}, "12"},
    {"seed_negative", {"detector", "train", "x.data", "x.cfg", "-seed", "-1"}, "-1"},
    {"seed_large",
     {"detector", "train", "x.data", "x.cfg", "-seed", "18446744073709551616"},
     "'18446744073709551616': expected an integer from 0 to 2^64 - 1"},
    {"seed_of_scenes", {"synth", "folder", "-seed", "1e3"}, "'1e3': expected an integer"},
    {"seed_of_anchors",
     {"detector", "calc_anchors", "x.data", "-seed", "99999999999999999999"},
     "2^64 - 1"},
    {"whole_number_large",
     {"detector", "train", "x.data", "x.cfg", "-patience", "9223372036854775808", "-map"},
     "9223372036854775808"},
    {"flag_without_its_other",
     {"detector", "sweep", "x.data", "x.cfg", "-vary", "obj_loss=ce,focal", "-tune_share", ".3"},
     "darknet detector sweep: -tune_share needs -tune\n"},
    {"log_without_a_chart",
     {"detector", "imbalance", "x.data", "x.cfg", "x.weights", "-log", "x_log.jsonl"},
     "darknet detector imbalance: -log needs -out\n"},
    {"flags_that_exclude_each_other",
     {"detector", "train", "x.data", "x.cfg", "-hours", "1", "-epochs", "2"},
     "darknet detector train: -epochs and -hours cannot be given together\n"},
    {"short_flags_that_exclude_each_other",
     {"detector", "train", "x.data", "x.cfg", "-i", "0", "-gpus", "0"},
     "darknet detector train: -gpus and -i cannot be given together\n"},
    // found by the commands
    {"gpu_twice",
     {"detector", "train", "x.data", "x.cfg", "-gpus", "0,0"},
     "darknet detector train: -gpus 0,0: "},
    {"map_of_nothing", {"detector", "map", "x.data"}, "darknet detector map: expected a cfg"},
    {"images_without_train", {"bench", "x.cfg", "-data", "x.data"}, "darknet bench: -data: images"},
    {"background_of_nothing", {"synth", "folder", "-background", "9"}, "darknet synth: "},
    {"help_of_nothing",
     {"help", "frobnicate"},
     "darknet help: 'frobnicate' is neither a command nor a section"},
};
INSTANTIATE_TEST_SUITE_P(Cli, UsageErrors, testing::ValuesIn(kUsage), name_of_case<Usage>);

// "" would be another place than any that was meant.
TEST_F(UsageTest, EmptyNamesOfFilesAndDashesAreRefused) {
  const std::vector<std::vector<std::string>> commands{
      {"detector", "sweep", "x.data", "x.cfg", "-vary", "obj_loss=ce,focal", "-out"},
      {"detector", "compare", "x.data", "x.cfg", "-out"},
      {"detector", "train", "x.data", "x.cfg", "-backup"},
      {"detector", "init", "x.data", "-out"},
      {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-prefix"},
      {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-out"},
      {"detector", "valid", "x.data", "x.cfg", "x.weights", "-out"},
      {"detector", "map", "x.data", "x.cfg", "x.weights", "-curves"},
      {"detector", "recall", "x.data", "x.cfg", "x.weights", "-out"},
      {"detector", "imbalance", "x.data", "x.cfg", "x.weights", "-json"},
      {"detector", "calc_anchors", "x.data", "-num_of_clusters", "2", "-out"},
      {"detector", "demo", "x.data", "x.cfg", "x.weights", "images", "-out_filename"},
      {"bench", "x.cfg", "-tune"},
      {"chart", "x_log.jsonl", "-out"},
      {"loss", "plot", "-out"},
      {"report", "gain", "r", "-out"}};
  put_tiny_weights(work_, "x.weights");
  for (std::vector<std::string> words : commands) {
    const std::string said = words.back() + ": it is empty; give a value";
    const std::string flag = words.back();
    words.emplace_back("");
    expect_refused(work_.darknet(words), said, 2);
    words.back() = "-";
    expect_refused(work_.darknet(words), flag + ": '-' does not mean the standard input", 2);
  }
  // where a value is no name, a dash is as good or bad as other text
  expect_refused(work_.darknet({"synth", "a", "-size", "-"}), "-size '-': expected a number", 2);
  expect_refused(work_.darknet({"detector", "init", "x.data", "-loss", "-"}),
                 "-loss: '-' is none of ", 2);
  const std::string said = ": it is empty; give a value";
  expect_refused(work_.darknet({"synth", "a", "-size", ""}), "-size" + said, 2);
  expect_refused(work_.darknet({"detector", "train", "x.data", ""}), "cfg" + said, 2);
  expect_refused(work_.darknet({"synth", ""}), "folder" + said, 2);
  expect_refused(work_.darknet({"detector", "compare", "x.data", "x.cfg", "-weights", ""}),
                 "-weights" + said, 2);
  EXPECT_FALSE(work_.has("runs") || work_.has("backup"));
}

TEST_F(UsageTest, FlagsOfANetworkDoNotGoWithDetectionsOfOthers) {
  work_.put("found.json", "[]");
  work_.put("tuning.json", "{}");
  for (const std::vector<std::string>& flag :
       std::vector<std::vector<std::string>>{{"-letter_box"},
                                             {"-set", "net.0.width=64"},
                                             {"-exact"},
                                             {"-precision", "f32"},
                                             {"-tuning", "tuning.json"},
                                             {"-gpus", "-1"},
                                             {"-i", "-1"},
                                             {"-nogpu"},
                                             {"-calibrate"},
                                             {"-threads", "2"}}) {
    std::vector<std::string> words{"detector", "map", "x.data", "-detections", "found.json"};
    EXPECT_EQ(work_.darknet(words).exit_code, 0);
    words.insert(words.end(), flag.begin(), flag.end());
    expect_refused(work_.darknet(words),
                   cat("-detections and ", flag.front(), " cannot be given together\n"), 2);
  }
}

TEST_F(UsageTest, BehindTwoDashesNothingIsAFlag) {
  put_tiny_weights(work_, "x.weights");
  work_.put("-a-b.png", work_.get("images/0.png"));
  const CommandResult ran =
      work_.darknet({"detect", "-dont_show", "x.cfg", "x.weights", "--", "-a-b.png"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("-a-b.png: Predicted"), std::string::npos) << ran.all();
}

TEST_F(UsageTest, FlagsOfTheDarknets) {
  put_tiny_weights(work_, "x.weights");
  const std::vector<std::vector<std::string>> lines = {
      {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-dont_show",
       "-ext_output", "-thresh", ".3", "-i", "-1"},
      {"detector", "test", "-thresh", "0.3", "-dontshow", "-ext-output", "x.data", "x.cfg",
       "-nogpu", "x.weights", "images/0.png"},
      {"detector", "-i", "-1", "test", "x.data", "x.cfg", "x.weights", "images/0.png"},
      {"detector", "test", "x.data", "x.cfg", "x.weights", "--thresh=.3", "-gpus", "-1",
       "images/0.png"},
      {"detector", "map", "x.data", "x.cfg", "x.weights", "-iou_thresh", ".5", "-points", "11",
       "-dont_show", "-i", "-1"},
      {"detector", "train", "x.data", "x.cfg", "-dont_show", "-map", "-clear", "-max_batches", "1",
       "-gpus", "-1"},
      {"detect", "x.cfg", "x.weights", "images/0.png", "-dont_show", "-i", "-1"},
  };
  for (const auto& line : lines) {
    const CommandResult ran = work_.darknet(line);
    EXPECT_EQ(ran.exit_code, 0) << testing::PrintToString(line) << ran.all();
  }
}

// AlexeyAB's command lines for training, as they are pasted.
TEST_F(UsageTest, TrainingTakesTheFlagsOfOtherForks) {
  const CommandResult ran = train({"-dont_show", "-mjpeg_port", "0", "-show", "-show_imgs",
                                   "-chart", "chart.png", "-max_batches", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("backup/x_chart.svg"));  // as the warning says
  EXPECT_NE(ran.out.find("this run can be watched at http://127.0.0.1:"), std::string::npos);
  for (const std::string flag : {"-show", "-chart chart.png"}) {
    const std::string warning = "warning: " + flag + " has no effect: ";
    const auto at = ran.err.find(warning);
    EXPECT_NE(at, std::string::npos) << flag << ran.all();
    EXPECT_EQ(ran.err.find(warning, at + 1), std::string::npos) << flag << ran.all();
  }
  EXPECT_EQ(ran.err.find("dont_show"), std::string::npos) << ran.all();
}

// A command line that names GPUs holds on machines without any.
TEST_F(UsageTest, WithoutAGpuTheCpuIsTaken) {
  put_tiny_weights(work_, "x.weights");
  expect_refused(train({"-gpus", "first"}), "expected the number of one GPU", 2);
  expect_refused(train({"-gpus", ""}), "expected the number of one GPU", 2);
  expect_refused(work_.darknet({"detector", "calc_anchors", "x.data", "-i", "first"}),
                 "expected the number of one GPU", 2);
  const auto warned = [](const CommandResult& ran, const std::string& text) {
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_NE(ran.err.find(text), std::string::npos) << ran.all();
  };
  warned(work_.darknet({"detector", "calc_anchors", "x.data", "-num_of_clusters", "1", "-i", "0"}),
         "-i 0 has no effect: this command computes on the CPU");
  if (work_.darknet({"version"}).out.find("CUDA: none") == std::string::npos)
    return expect_refused(train({"-i", "99"}), "there is no GPU 99");
  for (const char* gpus : {"0", "0,1"})
    warned(train({"-gpus", gpus, "-max_batches", "1"}), "computing on the CPU");
  warned(work_.darknet(
             {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-i", "1"}),
         "-i 1: ");
}

// Some write a value behind flags that take none.
TEST_F(UsageTest, FlagsTakeAZeroOrOne) {
  CommandResult ran = train({"-clear", "1", "-max_batches", "1", "-dont_show", "1", "-map", "0"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_FALSE(work_.has("backup/x_best.weights")) << "-map 0";
  ran = train({"backup/x_last.weights", "-clear", "1", "-max_batches", "3"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("iterations 1 to 3"), std::string::npos) << ran.all();
  ran = train({"backup/x_last.weights", "-clear", "0", "-max_batches", "5"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("iterations 4 to 5"), std::string::npos) << ran.all();
  expect_refused(train({"-clear", "2"}), "2");
}

// The largest seed, and numbers with a sign.
TEST_F(UsageTest, NumbersMayHaveAPlus) {
  work_.put("x.cfg", replaced(replaced(kTinyCfg, "momentum=0.9", "momentum=+0.9"), "anchors=6,6",
                              "anchors=+6,+6"));
  work_.put("images/0.txt", "0 +0.5 +.5 +0.25 +0.25\n");
  CommandResult ran = train({"-seed", "18446744073709551615", "-max_batches", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("seed 18446744073709551615"), std::string::npos) << ran.all();
  put_tiny_weights(work_, "x.weights");
  ran = test({"x.weights", "images/0.png", "-thresh", "+0.5"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

TEST_F(UsageTest, CheckComparesTwoDevices) {
  const CommandResult ran = work_.darknet({"check", "x.cfg", "-devices", "cpu,reference"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("passed"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("cpu in f32"), std::string::npos) << ran.all();
  for (const char* array :
       {" weights\n", " biases\n"})  // of some layers the one, of some the other
    EXPECT_NE(ran.out.find(array), std::string::npos) << array << ran.all();
  expect_refused(work_.darknet({"check", "x.cfg", "-devices", "cpu"}), "expected two", 2);
  expect_refused(work_.darknet({"check", "x.cfg", "-devices", "cpu,gpu"}), "'gpu' is not a device",
                 2);
  expect_refused(work_.darknet({"check", "x.cfg", "-devices", "cpu,cuda:77"}), "cuda:77");
}

TEST_F(UsageTest, CheckReportsAnInterrupt) {
  const CommandResult ran = work_.darknet({"check", "x.cfg", "-devices", "cpu,reference", "-set",
                                           "net.0.width=1024", "-set", "net.0.height=1024"},
                                          {.signal_when = "against", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 128 + SIGINT) << ran.all();
  EXPECT_NE(ran.out.find("interrupted: no figures are given"), std::string::npos) << ran.all();
}

TEST_F(UsageTest, CheckComparesElementTypes) {
  const CommandResult half = work_.darknet(
      {"check", "x.cfg", "-devices", "reference,cpu", "-precision", "f16", "-against", "f32"});
  EXPECT_EQ(half.exit_code, 0) << half.all();
  EXPECT_NE(half.out.find("reference in f16"), std::string::npos) << half.all();
  EXPECT_NE(half.out.find("cpu in f32"), std::string::npos) << half.all();
  EXPECT_NE(half.out.find("Euclidean"), std::string::npos) << half.all();
  const CommandResult same =
      work_.darknet({"check", "x.cfg", "-devices", "reference,reference", "-precision", "f16"});
  expect_refused(same, "these are the same", 2);
  expect_refused(work_.darknet({"check", "x.cfg", "-devices", "cpu,reference", "-precision=f16"}),
                 "the CPU does not compute in f16");
}

TEST_F(UsageTest, SetReplacesAKey) {
  const CommandResult ran = train({"-set", "net.0.max_batches=2", "-set=yolo.*.obj_loss=focal"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("2/2 "), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("focal"), std::string::npos) << ran.all();
}

struct Override {
  const char *name, *assignment, *said;
};
class OverrideErrors : public CliTest, public testing::WithParamInterface<Override> {};
TEST_P(OverrideErrors, AreReported) {
  expect_refused(train({"-set", GetParam().assignment}), GetParam().said);
  EXPECT_EQ(work_.tree("backup").size(), 0u);
}
const Override kOverrides[] = {
    {"no_such_section", "region.0.thresh=1",
     "-set region.0.thresh=1: there is no [region] section in this cfg, which has [net], "
     "[convolutional] and [yolo]"},
    {"no_such_index", "yolo.3.classes=3", "-set yolo.3.classes=3: there is 1 [yolo] section"},
    {"typo_in_key", "yolo.0.clases=3", "did you mean 'classes'?"},
    {"typo_in_section", "yola.0.classes=3", "did you mean 'yolo'?"},
    {"no_equals", "yolo.0.classes", "expected type.index.key=value"},
    {"no_index", "yolo.classes=3", "expected type.index.key=value"},
    {"index_text", "yolo.one.classes=3", "'one' is neither an index nor *"},
    {"bad_value", "yolo.0.classes=three", "expected an integer, got 'three'"},
    {"empty", "", "expected type.index.key=value"},
    {"empty_key", "yolo.0.=3", "expected a key before the ="},
};
INSTANTIATE_TEST_SUITE_P(Cli, OverrideErrors, testing::ValuesIn(kOverrides),
                         name_of_case<Override>);

TEST_F(UsageTest, OutputFoldersAreMadeOrNamed) {
  put_tiny_weights(work_, "x.weights");
  expect_refused(test({"x.weights", "images/0.png", "-out", "nowhere/found.json"}),
                 "nowhere/found.json");
  expect_refused(test({"x.weights", "images/0.png", "-prefix", "nowhere/image"}),
                 "nowhere/image.jpg");
  expect_refused(
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-out", "nowhere/m.json"}),
      "nowhere/m.json");
  expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", "nowhere/p.conv", "2"}),
                 "nowhere/p.conv");
  expect_refused(work_.darknet({"partial", "x.cfg", "x.weights", "p.conv", "9"}),
                 "this network has 4 layers");
  EXPECT_FALSE(work_.has("p.conv"));
}

}  // namespace
}  // namespace darknet::test
