// [convolutional] share_index: two layers with one set of parameters against two layers with copies
// of it: the same outputs, and the sum of their updates.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <sstream>

#include "cfg/parse.h"
#include "core/error.h"
#include "core/index.h"
#include "nn/input_edits.h"
#include "nn/weights.h"
#include "tests/temporary_folder.h"
#include "train/random_batch.h"
#include "train/step.h"

namespace darknet {
namespace {

std::vector<Section> two_convolutions(const std::string& keys, const std::string& owner = "") {
  std::istringstream in(
      "[net]\nbatch=2\nwidth=32\nheight=32\nmomentum=0\ndecay=0\n"
      "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
      "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=leaky\n" +
      owner + "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\npad=1\nactivation=mish\n" +
      keys +
      "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"
      "[yolo]\nanchors=8,8\nnum=1\nclasses=2\n");
  return parse_cfg(in, "net.cfg");
}

std::vector<std::vector<float>> values_of(Network& net, std::int64_t layer) {
  std::vector<std::vector<float>> all;
  for (const Parameter* p : net.layer(layer).parameters())
    all.push_back(p->value.to_host(net.stream()));
  return all;
}

void train_once(Network& net) {
  Optimizer optimizer(net, net.settings());
  TrainingStep step(net, optimizer, 1);
  const auto pixels = random_pixels(2 * 32 * 32 * 3, 3);
  const StepResult result =
      step.run({pixels, random_truths(2, 2, 4)}, {.iteration = 1, .learning_rate = .01f}, 0, false);
  ASSERT_TRUE(result.finite) << result.error;
}

TEST(SharedWeights, LearnTheSumOfBothLayers) {
  Network shared(two_convolutions("share_index=-1\n"), {.mode = Mode::training, .seed = 2});
  Network copied(two_convolutions(""), {.mode = Mode::training, .seed = 2});
  shared.initialise();
  EXPECT_TRUE(shared.layer(2).parameters().empty());
  const std::vector<std::int64_t> from{0, 1, 1, 3};
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto values = values_of(shared, from[to_size(i)]);
    const auto to = copied.layer(i).parameters();
    ASSERT_EQ(values.size(), to.size());
    for (std::size_t k = 0; k < to.size(); ++k) to[k]->value.copy_from(copied.stream(), values[k]);
  }
  shared.parameters_changed(), copied.parameters_changed();
  const auto before = values_of(shared, 1);
  train_once(shared), train_once(copied);
  for (const std::int64_t i : {0, 3})
    for (std::size_t k = 0; k < values_of(copied, i).size(); ++k)
      EXPECT_EQ(values_of(shared, i)[k], values_of(copied, i)[k]) << "layer " << i;
  const auto once = values_of(copied, 1), again = values_of(copied, 2), sum = values_of(shared, 1);
  const auto parameters = shared.layer(1).parameters();
  double moved = 0;
  for (std::size_t k = 0; k < sum.size(); ++k) {
    if (!parameters[k]->trained()) continue;
    for (std::size_t e = 0; e < sum[k].size(); ++e) {
      const float first = once[k][e] - before[k][e], second = again[k][e] - before[k][e];
      EXPECT_NEAR(sum[k][e] - before[k][e], first + second, 1e-6);
      moved += std::fabs(second);
    }
  }
  EXPECT_GT(moved, 1e-4);
}

// As two layers with copies of the parameters: the frozen one works as at test time, and the sum of
// updates is that of the other.
TEST(SharedWeights, LearnFromTheOwnerWhereTheOtherIsFrozen) {
  Network shared(two_convolutions("share_index=1\ndont_update=1\n"),
                 {.mode = Mode::training, .seed = 2});
  Network copied(two_convolutions("dont_update=1\n"), {.mode = Mode::training, .seed = 2});
  shared.initialise();
  const std::vector<std::int64_t> from{0, 1, 1, 3};
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto values = values_of(shared, from[to_size(i)]);
    const auto to = copied.layer(i).parameters();
    for (std::size_t k = 0; k < to.size(); ++k) to[k]->value.copy_from(copied.stream(), values[k]);
  }
  shared.parameters_changed(), copied.parameters_changed();
  const auto before = values_of(shared, 1);
  train_once(shared), train_once(copied);
  EXPECT_NE(values_of(shared, 1), before);
  for (const std::int64_t i : {0, 1, 3}) EXPECT_EQ(values_of(shared, i), values_of(copied, i)) << i;
}

TEST(SharedWeights, StayWhereTheOwnerIsFrozen) {
  for (const char* key : {"dont_update=1\n", "dont_update=3\n"}) {
    Network net(two_convolutions("share_index=1\n", key), {.mode = Mode::training, .seed = 2});
    net.initialise();
    net.parameters_changed();
    const auto first = values_of(net, 0), owner = values_of(net, 1);
    train_once(net);
    EXPECT_EQ(values_of(net, 1), owner) << key << "weights and rolling statistics";
    EXPECT_NE(values_of(net, 0), first) << key << "gradients pass both";
  }
}

TEST(SharedWeights, BelongToTheKeysOfTheOwner) {
  for (const char* key :
       {"learning_rate=2", "clip=1", "dontload=1", "dontloadscales=1", "train_only_bn=1"}) {
    testing::internal::CaptureStderr();
    const Network net(two_convolutions(cat("share_index=1\n", key, "\n")),
                      {.mode = Mode::training});
    const std::string text = testing::internal::GetCapturedStderr(),
                      name(key, std::strchr(key, '='));
    EXPECT_NE(text.find(cat("net.cfg:27: [convolutional] ", name,
                            ": no effect: layer 1 has the parameters (share_index)")),
              std::string::npos)
        << text;
  }
}

TEST(SharedWeights, StandOnceInAFile) {
  const Network shared(two_convolutions("share_index=1\n"), {}), copied(two_convolutions(""), {});
  const std::size_t values = 4 * 4 + 4 * 4 * 3 * 3;  // bias, scale, mean, variance; weights
  EXPECT_EQ(weights_bytes(copied, 0).size() - weights_bytes(shared, 0).size(), 4 * values);
}

TEST(SharedWeights, OfAChainAreThoseOfItsFirst) {
  const std::string same = "[convolutional]\nfilters=3\nsize=3\npad=1\n";
  std::istringstream cfg("[net]\nwidth=8\nheight=8\n" + same + same + "share_index=0\n" + same +
                         "share_index=1\n");
  Network net(parse_cfg(cfg, "net.cfg"), {});
  for (const std::int64_t i : {1, 2}) EXPECT_EQ(net.layer(i).shares(), 0) << "layer " << i;
  EXPECT_NE(testing_files::error_of([&] {
              swap_red_and_blue(net);
            }).find("has the parameters of layer 0 [convolutional] (net.cfg:4) (share_index)"),
            std::string::npos);
}

TEST(SharedWeights, NeedAConvolutionOfTheSameForm) {
  EXPECT_EQ(
      testing_files::error_of([] { Network net(two_convolutions("share_index=0\n"), {}); }),
      "layer 2 [convolutional] (net.cfg:20): share_index (net.cfg:26): its weights are 4x3x3x4 "
      "and those of layer 0 4x3x3x3; both need the same filters, size, groups, input channels and "
      "batch_normalize");
}

TEST(SharedWeights, AnOwnerOfAnotherKindIsNamedWithTheLineOfTheKey) {
  std::istringstream cfg(
      "[net]\nwidth=8\nheight=8\n[maxpool]\nsize=2\nstride=2\n"
      "[convolutional]\nfilters=3\nshare_index=0\n");
  EXPECT_EQ(testing_files::error_of([&] { Network net(parse_cfg(cfg, "net.cfg"), {}); }),
            "net.cfg:9: [convolutional] share_index: layer 0 is [maxpool] and no [convolutional]; "
            "name one, counted from 0 after [net]");
}

}  // namespace
}  // namespace darknet
