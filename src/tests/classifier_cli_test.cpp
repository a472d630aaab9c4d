// `darknet classifier train|valid|predict` through the built program.
#include <algorithm>
#include <array>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "core/rng.h"
#include "dataset/image_list.h"
#include "image/image.h"
#include "image_samples.h"
#include "nn/network.h"
#include "nn/weights.h"

namespace darknet::test {
namespace {

using nlohmann::json;

constexpr const char* kClasses[] = {"rows", "columns", "squares"};

// A pattern of two random colours with period 8 at a random place.
Image pattern(int class_id, std::uint64_t number) {
  Rng rng(77, number);
  const std::int64_t dx = rng.below(8), dy = rng.below(8);
  std::uint8_t colours[2][3];
  for (int k = 0; k < 3; ++k) {
    colours[0][k] = static_cast<std::uint8_t>(rng.below(100));
    colours[1][k] = static_cast<std::uint8_t>(150 + rng.below(100));
  }
  Image image(32, 32, 3);
  for (std::int64_t y = 0; y < 32; ++y)
    for (std::int64_t x = 0; x < 32; ++x) {
      const bool row = (y + dy) / 4 % 2 != 0, column = (x + dx) / 4 % 2 != 0;
      const bool on = class_id == 0 ? row : class_id == 1 ? column : row != column;
      std::copy_n(colours[on ? 1 : 0], 3, &image.at(x, y)[0]);
    }
  return image;
}

const std::string kLayers =
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n";
const std::string kNet =
    "[net]\nbatch=8\nsubdivisions=2\nwidth=32\nheight=32\nlearning_rate=.05\npolicy=sgdr\n"
    "burn_in=10\nmomentum=.9\nmax_batches=120\nmin_crop=32\nmax_crop=40\n";
const std::string kEnd =
    "[convolutional]\nfilters=3\nsize=1\nstride=1\nactivation=linear\n[avgpool]\n[softmax]\n";

class ClassifierTest : public testing::Test {
 protected:
  ClassifierTest() {
    std::string train, valid, names;
    for (int c = 0; c < 3; ++c) {
      names += cat(kClasses[c], '\n');
      for (int k = 0; k < 24; ++k) {
        const std::string name = cat("p/", kClasses[c], '/', k, ".png");
        work_.put(name, pattern(c, to_size(100 * c + k)));
        (k < 16 ? train : valid) += name + '\n';
      }
    }
    work_.put("train.txt", train), work_.put("valid.txt", valid);
    work_.put("x.labels", names);
    work_.put("x.data", "classes=3\ntrain=train.txt\nvalid=valid.txt\nlabels=x.labels\ntop=2\n");
    work_.put("x.cfg", kNet + kLayers + kEnd);
  }
  CommandResult train(const std::string& folder, std::vector<std::string> more = {},
                      const CommandOptions& o = {}) const {
    more.insert(more.begin(), {"classifier", "train", "x.data", "x.cfg"});
    more.insert(more.end(), {"-backup", folder});
    return work_.darknet(more, o);
  }
  void put_weights() const {
    std::istringstream in(work_.get("x.cfg"));
    save_weights(work_.path("x.weights"), Network(parse_cfg(in, "x.cfg"), {}), 0);
  }
  const Workspace work_;
};

TEST_F(ClassifierTest, LearnsDrawnPatternsAndValidAndPredictAgree) {
  const CommandResult ran = train("b", {"-topk"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "training images: 48\n")) << ran.all();
  std::istringstream log(work_.get("b/x_log.jsonl"));
  json last;
  for (std::string line; std::getline(log, line);) last = parse_json(line);
  EXPECT_GE(last["top1"].get<double>(), .9) << ran.all();
  EXPECT_GE(last["topk"], last["top1"]);
  EXPECT_EQ(last["top"], 2);
  EXPECT_EQ(last["losses"].size(), 1u) << "it has no heads";
  EXPECT_FALSE(last.contains("heads"));
  EXPECT_NE(work_.get("b/x_chart.svg").find("Accuracy on valid="), std::string::npos);
  EXPECT_NE(work_.get("b/x_results.csv").find(",top1,topk"), std::string::npos);
  ASSERT_TRUE(work_.has("b/x_best.weights"));

  const CommandResult valid = work_.darknet(
      {"classifier", "valid", "x.data", "x.cfg", "b/x_final.weights", "-json", "v.json"});
  ASSERT_EQ(valid.exit_code, 0) << valid.all();
  const json figures = parse_json(work_.get("v.json"));
  EXPECT_EQ(figures["top1"], last["top1"]);
  EXPECT_EQ(figures["images"], 24);
  EXPECT_EQ(figures["classes"][1]["name"], "columns");

  const CommandResult predicted =
      work_.darknet({"classifier", "predict", "x.data", "x.cfg", "b/x_best.weights",
                     "p/columns/3.png", "-json", "p.json"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.all();
  EXPECT_EQ(parse_json(work_.get("p.json"))[0]["classes"].size(), 2u);
  EXPECT_TRUE(said(predicted, "p/columns/3.png:\n")) << predicted.all();
}

// Four channels of 16 bits: the pattern is in the last one, of values that are 0 in 8 bits.
std::string values_of_pattern(int class_id, std::uint64_t number) {
  const Image picture = pattern(class_id, number);
  std::string values;
  for (std::int64_t i = 0; i < picture.width * picture.height; ++i)
    for (int c = 0; c < 4; ++c) {
      const bool on = picture.at(i % 32, i / 32)[0] >= 150;
      const int value = c == 3 && on ? 120 : 0;
      values += static_cast<char>(value % 256), values += static_cast<char>(value / 256);
    }
  return testing_images::npy("<u2", "(32, 32, 4)", values);
}

TEST_F(ClassifierTest, ImagesOfFourChannelsAnd16BitsKeepTheirValues) {
  std::string lists[2];
  for (int c = 0; c < 3; ++c)
    for (int k = 0; k < 24; ++k) {
      const std::string name = cat("v/", kClasses[c], '/', k, ".npy");
      work_.put(name, values_of_pattern(c, to_size(100 * c + k)));
      lists[k < 16 ? 0 : 1] += name + '\n';
    }
  work_.put("train.txt", lists[0]), work_.put("valid.txt", lists[1]);
  const std::vector<std::string> four{"-set", "net.0.channels=4", "-set", "net.0.input_max=240"};
  const CommandResult ran = train("b", four);
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), four.begin(), four.end());
    const CommandResult result = work_.darknet(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.all();
  };
  run({"classifier", "valid", "x.data", "x.cfg", "b/x_final.weights", "-json", "v.json"});
  EXPECT_GE(parse_json(work_.get("v.json"))["top1"].get<double>(), .9);
  run({"classifier", "predict", "x.data", "x.cfg", "b/x_final.weights", "v/columns/20.npy", "-json",
       "p.json"});
  EXPECT_EQ(parse_json(work_.get("p.json"))[0]["classes"][0]["name"], "columns");
}

TEST_F(ClassifierTest, FocalLossLearnsToo) {
  const CommandResult ran = train(
      "b", {"-topk", "-set", "softmax.0.cls_loss=focal", "-set", "net.0.label_smooth_eps=.05"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "; best 1 at iteration") || said(ran, "; best 0.9")) << ran.all();
}

TEST_F(ClassifierTest, AnInterruptedRunResumesToTheSameBytes) {
  const std::vector<std::string> flags{"-topk",
                                       "-set",
                                       "net.0.mixup=1",
                                       "-set",
                                       "net.0.cutmix=1",
                                       "-set",
                                       "net.0.label_smooth_eps=.1"};
  ASSERT_EQ(train("a", flags).exit_code, 0);
  const CommandResult cut = train("b", flags, {.signal_when = "60/120 loss", .signal = SIGINT});
  ASSERT_EQ(cut.exit_code, 130) << cut.all();
  std::vector<std::string> again{"b/x_last.weights"};
  again.insert(again.end(), flags.begin(), flags.end());
  const CommandResult rest = train("b", again);
  ASSERT_EQ(rest.exit_code, 0) << rest.all();
  EXPECT_TRUE(said(rest, "resumed from b/x_last.state at iteration"));
  for (const char* name : {"/x_final.weights", "/x_last.weights", "/x_best.weights"})
    EXPECT_TRUE(work_.get("a" + std::string(name)) == work_.get("b" + std::string(name))) << name;
}

TEST_F(ClassifierTest, LabelErrorsNameTheImage) {
  work_.put("train.txt", "p/rows/0.png\np/none/1.png\n");
  expect_refused(train("b"), "train.txt:2: p/none/1.png: is of no class");
  work_.put("train.txt", "p/rows/0.png\np/rows/columns.png\n");
  expect_refused(train("b"), "train.txt:2: p/rows/columns.png: is of several classes");
  work_.put("x.data", "classes=3\ntrain=train.txt\n");
  expect_refused(train("b"), "x.data: the line labels = ... (or names = ...) is missing");
}

TEST_F(ClassifierTest, OtherNetworksAreRefused) {
  put_tiny_data(work_);  // which has an x.cfg that detects
  expect_refused(train("b"), "this network detects");
  work_.put("x.cfg", kNet + kLayers + kEnd);
  expect_refused(work_.darknet({"detector", "train", "x.data", "x.cfg"}), "no detection head");
  work_.put("x.data", "classes=4\ntrain=train.txt\nlabels=x.labels\n");
  expect_refused(train("b"), "classes=4, but x.cfg has 3 outputs");
}

TEST_F(ClassifierTest, ItsBackboneStartsADetector) {
  ASSERT_EQ(train("b", {"-max_batches", "3"}).exit_code, 0);
  const CommandResult cut =
      work_.darknet({"partial", "x.cfg", "b/x_final.weights", "x.conv.2", "2"});
  ASSERT_EQ(cut.exit_code, 0) << cut.all();
  const std::string classifier = work_.get("b/x_final.weights");
  put_tiny_data(work_);
  work_.put("d.cfg", kNet + kLayers +
                         "[convolutional]\nfilters=8\nsize=1\nactivation=linear\n"
                         "[yolo]\nmask=0\nanchors=16,16\nnum=1\nclasses=3\n");
  for (const auto& weights : {std::vector<std::string>{"x.conv.2"},
                              std::vector<std::string>{"b/x_final.weights", "-partial", "2"}}) {
    std::vector<std::string> command{"detector", "train", "x.data", "d.cfg"};
    command.insert(command.end(), weights.begin(), weights.end());
    command.insert(command.end(),
                   {"-max_batches", "1", "-backup", "d", "-set", "net.0.learning_rate=0"});
    const CommandResult ran = work_.darknet(command);
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_TRUE(said(ran, "the first 2 of 4 layers")) << ran.all();
    // The convolutions of both networks have the same weights: those of the first one lie behind
    // the header of 20 bytes, its 8 biases, scales, means and variances.
    constexpr std::size_t kFloat = 4, kAt = 20 + kFloat * 8 * 4, kBytes = kFloat * 8 * 3 * 9;
    EXPECT_TRUE(work_.get("d/d_final.weights").substr(kAt, kBytes) ==
                classifier.substr(kAt, kBytes));
  }
}

TEST_F(ClassifierTest, CheckCountsTheImagesOfEachClass) {
  const auto check = [&](std::vector<std::string> more, int code) {
    more.insert(more.begin(), {"classifier", "check", "x.data"});
    CommandResult ran = work_.darknet(more);
    EXPECT_EQ(ran.exit_code, code) << ran.all();
    return ran;
  };
  for (const auto& more : {std::vector<std::string>{}, {"x.cfg"}}) {
    const CommandResult sound = check(more, 0);
    EXPECT_TRUE(said(sound,
                     "train: 48 images (0 listed twice), widths from 32 to 32 and heights "
                     "from 32 to 32 pixels\n  rows                           16\n"))
        << sound.all();
  }
  work_.put("p/rows/wide.png", Image(64, 20, 3));
  work_.put("p/none/1.png", pattern(0, 1));
  work_.put("p/rows/columns.png", pattern(0, 2));
  work_.put("p/rows/broken.png", std::string("no image"));
  work_.put("train.txt",
            "p/rows/wide.png\np/none/1.png\np/rows/columns.png\np/rows/broken.png\n"
            "p/rows/1.png\np/rows/1.png\n");
  const CommandResult ran = check({}, 1);
  EXPECT_TRUE(said(ran,
                   "train: 6 images (1 listed twice), widths from 32 to 64 and heights from "
                   "20 to 32 pixels\n"))
      << ran.all();
  EXPECT_TRUE(said(ran, "errors: 1 unreadable image, 1 of no class, 1 of several\n")) << ran.all();
  EXPECT_TRUE(said(ran, "train.txt:2: p/none/1.png: is of no class")) << ran.all();
  EXPECT_TRUE(said(ran, "train.txt:3: p/rows/columns.png: is of several classes")) << ran.all();
  EXPECT_TRUE(said(ran, "classes without any image in train=: columns, squares")) << ran.all();
  EXPECT_TRUE(said(ran, "3 errors, ")) << ran.all();
  work_.put("x.data", "classes=4\ntrain=train.txt\nlabels=x.labels\n");
  expect_refused(check({"x.cfg"}, 1), "classes=4, but x.cfg has 3 outputs");
}

TEST_F(ClassifierTest, DetectorCommandsPointToTheClassifier) {
  for (const char* command : {"check", "train", "map"}) {
    std::vector<std::string> words{"detector", command, "x.data", "x.cfg"};
    if (std::string(command) == "map") words.emplace_back("x.weights"), put_weights();
    expect_refused(work_.darknet(words), "it is a classifier: the commands `darknet classifier`");
  }
}

TEST_F(ClassifierTest, ATopKOfAllClassesIsSaidToMeanNothing) {
  put_weights();
  const auto valid = [&](const char* top) {
    return work_.darknet({"classifier", "valid", "x.data", "x.cfg", "x.weights", "-top", top});
  };
  EXPECT_TRUE(said(valid("3"), "top-3 of 3 classes is 100 % whatever the network says"));
  EXPECT_FALSE(said(valid("2"), "whatever the network says"));
}

// A network without parameters: the softmax of an image's mean colour.
class MeanColour : public testing::Test {
 protected:
  MeanColour() {
    work_.put("x.cfg", "[net]\nwidth=16\nheight=16\n[avgpool]\n[softmax]\n");
    work_.put("x.labels", "red\ngreen\nblue\n");
    work_.put("x.data", "classes=3\nvalid=v.txt\nlabels=x.labels\ntop=2\n");
    std::istringstream in(work_.get("x.cfg"));
    save_weights(work_.path("x.weights"), Network(parse_cfg(in, "x.cfg"), {}), 0);
  }
  void put(const std::string& name, std::array<std::uint8_t, 3> colour) const {
    Image image(20, 20, 3);
    for (std::int64_t y = 0; y < 20; ++y)
      for (std::int64_t x = 0; x < 20; ++x) std::copy_n(colour.data(), 3, &image.at(x, y)[0]);
    work_.put(name, image);
  }
  const Workspace work_;
};

TEST_F(MeanColour, ValidCountsFirstGuessesAndTheFirstTwo) {
  put("red1.png", {255, 0, 0});
  put("red2.png", {100, 255, 0});  // the second guess is right
  put("green1.png", {100, 0, 255});
  put("blue1.png", {0, 0, 255});
  work_.put("v.txt", "red1.png\nred2.png\ngreen1.png\nblue1.png\n");
  const CommandResult ran =
      work_.darknet({"classifier", "valid", "x.data", "x.cfg", "x.weights", "-per_class"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("4 images: top-1 50.00 %, top-2 75.00 %\n"), std::string::npos)
      << ran.all();
  EXPECT_NE(ran.out.find("red                             2   50.00 %  100.00 %\n"),
            std::string::npos)
      << ran.all();
  const CommandResult all =
      work_.darknet({"classifier", "valid", "x.data", "x.cfg", "x.weights", "-top", "3"});
  EXPECT_TRUE(said(all, "top-3 100.00 %")) << all.all();
}

TEST_F(MeanColour, PredictPrintsTheMostProbableClassesOfTheMiddle) {
  Image wide(40, 20, 3);  // red between two green ends
  for (std::int64_t y = 0; y < 20; ++y)
    for (std::int64_t x = 0; x < 40; ++x) wide.at(x, y)[x < 10 || x >= 30 ? 1 : 0] = 255;
  work_.put("wide.png", wide);
  const CommandResult ran = work_.darknet(
      {"classifier", "predict", "x.data", "x.cfg", "x.weights", "wide.png", "missing.png"});
  EXPECT_EQ(ran.exit_code, 1) << ran.all();
  // e / (e + 2) and 1 / (e + 2)
  EXPECT_NE(ran.out.find("wide.png:\n 57.61 %  red\n 21.19 %  green\n"), std::string::npos)
      << ran.all();
  EXPECT_TRUE(said(ran, "missing.png")) << ran.all();
  const CommandResult typed =
      work_.darknet({"classifier", "predict", "x.data", "x.cfg", "x.weights", "-top", "1"},
                    {.input = "wide.png\n"});
  EXPECT_EQ(typed.exit_code, 0) << typed.all();
  EXPECT_NE(typed.out.find("wide.png:\n 57.61 %  red\n"), std::string::npos) << typed.all();
  EXPECT_EQ(typed.out.find("green"), std::string::npos) << typed.all();
}

// The class of an image is in its .cls file then: the keys say nothing of it.
TEST_F(ClassifierTest, ShardsTrainAsTheFilesThatWerePacked) {
  CommandResult ran = work_.darknet({"data", "pack", "x.data", "out"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(work_.get("out/x.data"),
            "classes = 3\ntrain = train-000000.tar\nvalid = valid-000000.tar\nnames = x.names\n"
            "labels = x.labels\ntop = 2\nbackup = backup\n");
  EXPECT_EQ(work_.get("out/x.labels"), work_.get("x.labels"));
  ran = work_.darknet({"classifier", "check", "out/x.data"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "train: 48 images (0 listed twice)")) << ran.all();
  EXPECT_TRUE(said(ran, "errors: 0 unreadable images, 0 of no class, 0 of several")) << ran.all();
  EXPECT_TRUE(said(ran, "columns                        16")) << ran.all();

  std::istringstream lines(work_.get("train.txt"));
  std::vector<std::string> listed;
  for (std::string line; std::getline(lines, line);) listed.push_back(line);
  std::string packed;
  for (const auto& image : read_image_list(work_.path("out/train-000000.tar"))) {
    const std::string key = image.filename().string();
    packed += listed.at(to_size(std::stoll(key.substr(0, key.find('_'))))) + "\n";
  }
  work_.put("train.txt", packed);
  ran = train("files", {"-deterministic", "-max_batches", "10"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  work_.put("x.data", "classes=3\ntrain=out/train-000000.tar\nlabels=out/x.labels\n");
  ran = train("shards", {"-deterministic", "-max_batches", "10"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.get("files/x_final.weights") == work_.get("shards/x_final.weights"));
  const auto valid = [&](const char* data) {
    ran = work_.darknet({"classifier", "valid", data, "x.cfg", "shards/x_final.weights"});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran.out;
  };
  work_.put("x.data", "classes=3\ntrain=train.txt\nvalid=valid.txt\nlabels=x.labels\ntop=2\n");
  EXPECT_EQ(valid("x.data"), valid("out/x.data"));
}

TEST_F(ClassifierTest, WithoutLabelsAFlagSaysThatItIsOne) {
  work_.put("x.data", "classes=3\ntrain=train.txt\nnames=x.labels\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "a"}), "are packed with -classifier");
  CommandResult ran = work_.darknet({"data", "pack", "x.data", "b", "-classifier"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  ran = work_.darknet({"classifier", "check", "b/x.data"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  work_.put("p/rows/columns.png", pattern(0, 2));
  work_.put("train.txt", "p/rows/0.png\np/rows/columns.png\n");
  expect_refused(work_.darknet({"data", "pack", "x.data", "c", "-classifier"}),
                 "train.txt:2: p/rows/columns.png: is of several classes");
}

}  // namespace
}  // namespace darknet::test
