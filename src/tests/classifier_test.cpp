// Classifiers of whole images: labels by path, crops, targets, losses and accuracy.
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/index.h"
#include "core/log_capture.h"
#include "dataset/batches.h"
#include "dataset/class_targets.h"
#include "dataset/image_list.h"
#include "eval/classify.h"
#include "nn/target_loss.h"
#include "report/training_chart.h"
#include "train/step.h"

namespace darknet::test {
namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(ClassOfPath, IsTheOneNameThatOccursInIt) {
  const ImagePaths images{"a/cat/1.png", "a/2_dog.png", "birds/3.png"};
  const std::vector<std::string> labels{"dog", "bird", "cat"};
  const LabelledImages all = classified(images, labels);
  ASSERT_EQ(all.truths.size(), 3u);
  EXPECT_EQ(all.truths[0][0].class_id, 2);
  EXPECT_EQ(all.truths[1][0].class_id, 0);
  EXPECT_EQ(all.truths[2][0].class_id, 1);
}

TEST(ClassOfPath, NoneAndSeveralAreErrorsThatNameTheImage) {
  const Workspace work;
  work.put("list.txt", "cat/1.png\n\nfish/2.png\n");
  const std::vector<std::string> labels{"dog", "cat", "catfish"};
  const std::string none =
      error_of([&] { classified(read_image_list(work.path("list.txt")), labels); });
  EXPECT_NE(none.find("list.txt:3: fish/2.png: is of no class: none of the 3 class names occurs in "
                      "its path"),
            none.npos)
      << none;
  const std::string several = error_of([&] { class_of_path({"x/dog/cat.png"}, 0, labels); });
  EXPECT_NE(several.find("x/dog/cat.png: is of several classes: 'dog' and 'cat'"), several.npos)
      << several;
}

TEST(ClassOfPath, ANameWithinAnotherLeavesItTheImage) {
  for (const std::vector<std::string>& labels :
       {std::vector<std::string>{"cat", "fish", "catfish"}, {"catfish", "fish", "cat"}}) {
    EXPECT_EQ(labels[to_size(class_of_path({"x/catfish/3.png"}, 0, labels))], "catfish");
    EXPECT_NE(error_of([&] {
                class_of_path({"cat/catfish.png"}, 0, labels);
              }).find("of several classes: "),
              std::string::npos);
  }
}

// Columns and rows of the image that a placement shows.
struct Part {
  float left, right, top, bottom;
};
Part part_of(const Placement& p, float height, float width) {
  const float a = p.shift_x, b = p.shift_x + p.scale_x * width;
  return {std::min(a, b), std::max(a, b), p.shift_y, p.shift_y + p.scale_y * height};
}

TEST(ClassCrops, TheCentreCropIsTheMiddleThatFillsTheInput) {
  const Part p = part_of(centre_crop({400, 100}, 20, 30), 20, 30);
  EXPECT_FLOAT_EQ(p.left, 125);
  EXPECT_FLOAT_EQ(p.right, 275);
  EXPECT_FLOAT_EQ(p.top, 0);
  EXPECT_FLOAT_EQ(p.bottom, 100);
}

TEST(ClassCrops, ARandomCropHasASideBetweenMinAndMaxCropAndLiesInTheImage) {
  const ClassifierKeys keys{.min_crop = 32, .max_crop = 64};
  Rng rng(5);
  std::set<float> sides, lefts;
  int mirrored = 0;
  for (int k = 0; k < 500; ++k) {
    const Placement placement = random_class_crop(keys, {}, rng, {200, 100}, 32, 32);
    const Part p = part_of(placement, 32, 32);
    EXPECT_GE(p.left, -1e-3);
    EXPECT_LE(p.right, 200.001);
    EXPECT_GE(p.top, -1e-3);
    EXPECT_LE(p.bottom, 100.001);
    EXPECT_NEAR(p.right - p.left, p.bottom - p.top, 1e-3);
    // The shorter side of 100 pixels has 32 to 64; the input shows 32 of them.
    EXPECT_GE(p.bottom - p.top, 49.99);
    EXPECT_LE(p.bottom - p.top, 100.01);
    sides.insert(p.bottom - p.top), lefts.insert(p.left);
    mirrored += placement.scale_x < 0;
  }
  EXPECT_GT(sides.size(), 25u);
  EXPECT_GT(lefts.size(), 400u);
  EXPECT_NEAR(mirrored, 250, 60);
}

TEST(ClassCrops, AspectStretches) {
  const ClassifierKeys keys{.min_crop = 32, .max_crop = 32, .aspect = 2};
  Rng rng(6);
  float least = 9, most = 0;
  for (int k = 0; k < 300; ++k) {
    const Placement p = random_class_crop(keys, {}, rng, {100, 100}, 32, 32);
    const float ratio = std::abs(p.scale_x) / p.scale_y;
    least = std::min(least, ratio), most = std::max(most, ratio);
  }
  EXPECT_NEAR(least, .5, .03);
  EXPECT_NEAR(most, 2, .1);
}

// Red and green images: what of an input is green must be what its targets say.
class MixedImages : public testing::Test {
 protected:
  MixedImages() {
    for (int k = 0; k < 2; ++k) {
      Image image(24, 24, 3);
      for (std::int64_t i = 0; i < image.width * image.height; ++i)
        image.pixels[to_size(3 * i + k)] = 255;
      work_.put(k == 0 ? "red.png" : "green.png", image);
    }
  }
  Batch batch(ClassifierKeys keys) const {
    keys.min_crop = keys.max_crop = 16;
    const ImagePaths images{work_.path("red.png"), work_.path("green.png")};
    const std::vector<std::string> labels{"red.png", "green.png", "none"};
    const LabelledImages labelled = classified(images, labels);
    BatchSettings s{.images = labelled.images,
                    .truths = labelled.truths,
                    .batch = 64,
                    .size =
                        [](std::int64_t) {
                          return InputSize{16, 16};
                        },
                    .augmentation = Augmentation{}};
    s.classification = Classification{.classes = 3, .keys = keys};
    return Batches(s).make(0);
  }
  static double green(const Batch& b, std::size_t image) {
    double sum = 0;
    for (std::size_t i = 0; i < 256; ++i) sum += b.pixels[(image * 256 + i) * 3 + 1];
    return sum / 256;
  }
  const Workspace work_;
};

TEST_F(MixedImages, WithoutMixingATargetIsOneClass) {
  const Batch b = batch({});
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_NEAR(green(b, i), b.targets[3 * i + 1], 1e-6);
    EXPECT_EQ(b.targets[3 * i] + b.targets[3 * i + 1], 1);
  }
}

TEST_F(MixedImages, CutmixTargetsAreShares) {
  const Batch b = batch({.cutmix = true});
  int mixed = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    const float target = b.targets[3 * i + 1];
    EXPECT_NEAR(green(b, i), target, 1e-5);
    EXPECT_NEAR(std::accumulate(&b.targets[3 * i], &b.targets[3 * i] + 3, 0.f), 1, 1e-6);
    if (target == 0 || target == 1) continue;
    ++mixed;
    const float part = b.images[i] == 1 ? 1 - target : target;
    EXPECT_GE(part, 25.f / 256);  // of .3 to .8 of both sides
    EXPECT_LE(part, 169.f / 256);
  }
  EXPECT_GT(mixed, 5);  // half of them, of which half have the same image
  EXPECT_LT(mixed, 32);
}

TEST_F(MixedImages, MixupTargetsAreMeans) {
  const Batch b = batch({.mixup = true});
  int mixed = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_NEAR(green(b, i), b.targets[3 * i + 1], 1e-5);
    mixed += b.targets[3 * i + 1] == .5f;
  }
  EXPECT_GT(mixed, 5);
  EXPECT_LT(mixed, 32);
}

TEST_F(MixedImages, LabelSmoothingSharesAmongTheOthers) {
  const Batch b = batch({.label_smooth_eps = .2f});
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_FLOAT_EQ(b.targets[3 * i + to_size(b.images[i])], .8f);
    EXPECT_FLOAT_EQ(b.targets[3 * i + 2], .1f);
  }
}

TEST(Accuracy, CountsTheFirstGuessAndTheFirstFew) {
  const std::vector<float> values{.1f, .4f, .2f, .2f, .1f};
  EXPECT_EQ(top_classes(values, 4), (std::vector<std::int64_t>{1, 2, 3, 0}));
  EXPECT_EQ(top_classes(values, 9).size(), 5u);
  EXPECT_EQ(rank_of(values, 3), 2);
  Accuracy a{.top = 2};
  for (const std::int64_t c : {1, 2, 3, 0}) a.add(values, c);
  EXPECT_EQ(a.top1(), .25);
  EXPECT_EQ(a.topk(), .5);
}

constexpr const char* kHead =
    "[net]\nbatch=4\nsubdivisions=2\nwidth=6\nheight=6\nlearning_rate=.05\n"
    "max_batches=9\nmomentum=0\ndecay=0\n"
    "[convolutional]\nfilters=5\nsize=3\nstride=1\npad=1\n"
    "activation=linear\n[avgpool]\n";

struct Stepped {
  std::vector<float> before;  // outputs of the last layer
  double loss = 0, later = 0;
};
// The loss of the first step and, on the same images, of one after some more.
Stepped step_on(const std::string& end, const std::vector<float>& targets) {
  std::istringstream in(kHead + end);
  Network net(parse_cfg(in, "net.cfg"), {.mode = Mode::training, .seed = 4});
  net.initialise();
  net.parameters_changed();
  std::vector<float> pixels;
  Rng rng(3);
  for (int i = 0; i < 4 * 6 * 6 * 3; ++i) pixels.push_back(rng.uniform());
  Stepped s;
  for (std::size_t part = 0; part < 2; ++part) {
    net.forward({.stream = net.stream(), .mode = Mode::training, .input = &pixels[part * 216]});
    const std::vector<float> out = to_host(net.stream(), net.output(net.size() - 1));
    s.before.insert(s.before.end(), out.begin(), out.end());
  }
  Optimizer optimizer(net, net.settings());
  TrainingStep step(net, optimizer, 1);
  const std::vector<std::vector<Truth>> truths(4);
  for (std::int64_t i = 1; i <= 9; ++i) {
    const StepResult r = step.run({pixels, truths, {}, targets},
                                  {.iteration = i, .learning_rate = .05f}, 4 * (i - 1), false);
    EXPECT_TRUE(r.finite);
    if (i == 1) s.loss = r.loss;
    s.later = r.loss;
  }
  return s;
}

const std::vector<float> kTargets{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, .5f, 0, 0, 0, .5f, 0, 0, 0, 1, 0};

double mean_of_images(const Stepped& s, const std::function<double(double p, double t)>& f) {
  double sum = 0;
  for (std::size_t i = 0; i < kTargets.size(); ++i) sum += f(s.before[i], kTargets[i]);
  return sum / 4;
}

TEST(ClassLoss, AStepReportsItAndLowersIt) {
  const Stepped ce = step_on("[softmax]\n", kTargets);
  EXPECT_NEAR(ce.loss,
              mean_of_images(ce, [](double p, double t) { return t > 0 ? -t * std::log(p) : 0; }),
              1e-5);
  EXPECT_LT(ce.later, ce.loss);
  const Stepped focal = step_on("[softmax]\ncls_loss=focal\n", kTargets);
  EXPECT_NEAR(focal.loss,
              mean_of_images(focal,
                             [](double p, double t) {
                               return t > 0 ? -t * (1 - p) * (1 - p) * std::log(p) : 0;
                             }),
              1e-5);
  EXPECT_LT(focal.later, focal.loss);
  const Stepped sse = step_on("[cost]\ntype=sse\n", kTargets);
  EXPECT_NEAR(sse.loss,
              mean_of_images(sse, [](double x, double t) { return (x - t) * (x - t) / 2; }), 1e-5);
  EXPECT_LT(sse.later, sse.loss);
  const Stepped both = step_on("[softmax]\n[cost]\ntype=sse\n", kTargets);
  EXPECT_EQ(both.loss, ce.loss);
  EXPECT_EQ(both.later, ce.later);
}

TEST(ClassLoss, OtherTargetsThanOutputsAreAnError) {
  EXPECT_NE(error_of([] {
              step_on("[softmax]\n", {1, 0});
            }).find("2 targets for 4 images"),
            std::string::npos);
}

TEST(ClassCount, ANetworkThatDoesNotClassifyIsNamed) {
  const auto error = [](const std::string& end) {
    return error_of([&] {
      std::istringstream in(kHead + end);
      class_count(Network(parse_cfg(in, "net.cfg"), {}));
    });
  };
  EXPECT_EQ(error("[softmax]\n[cost]\n"), "");
  EXPECT_NE(error("").find("this network ends with [avgpool]"), std::string::npos) << error("");
  EXPECT_NE(error("[softmax]\nnoloss=1\n").find("a classifier ends with"), std::string::npos);
}

TEST(ClassifierKeysTest, ThoseOfHeadsHaveNoEffect) {
  std::string said;
  const log::Capture::Take take = [&](log::Level, const std::string& text) { said += text; };
  const log::Capture capture(take);
  for (const char* key : {"", "equidistant_point=3\n"}) {
    EXPECT_EQ(said, "");
    std::istringstream in(cat("[net]\nwidth=6\nheight=6\n", key, "[avgpool]\n[softmax]\n"));
    const Network net(parse_cfg(in, "net.cfg"), {.mode = Mode::training});
  }
  EXPECT_NE(said.find("[net] equidistant_point: has no effect on classifiers"), said.npos) << said;
}

TEST(ClassifierKeysTest, AreCheckedInTraining) {
  const auto error = [](const std::string& keys) {
    return error_of([&] {
      std::istringstream in("[net]\n" + keys + "[avgpool]\n");
      read_net(parse_cfg(in, "net.cfg").front());
    });
  };
  EXPECT_NE(error("min_crop=64\nmax_crop=32\n").find("min_crop=64 is above max_crop=32"),
            std::string::npos);
  EXPECT_EQ(error("width=100\nmin_crop=120\n"), "");
  EXPECT_NE(error("label_smooth_eps=2\n"), "");
}

TEST(ClassifierChart, ShowsAccuracyInPlaceOfWhatHeadsHave) {
  TrainingHistory h;
  h.add(LoggedIteration{.iteration = 1, .loss = 2, .top1 = .5, .topk = .75, .top = 5});
  std::vector<std::string> titles;
  for (const Panel& p : training_chart(h).panels) titles.push_back(p.title);
  EXPECT_EQ(titles,
            (std::vector<std::string>{"Loss", "Accuracy on valid=", "Learning rate", "Speed"}));
  EXPECT_EQ(training_chart(h).panels[1].series.back().name, "top-5");
}

}  // namespace
}  // namespace darknet::test
