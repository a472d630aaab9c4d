// One SGD step equals that of AlexeyAB/darknet within kBound of the step: four small networks that
// it trained for one iteration on one image taken twice (data/one-step/README.md).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "core/index.h"
#include "image/image.h"
#include "nn/weights.h"
#include "paths.h"
#include "train/step.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr double kBound = 2e-3;
// Of parameters whose gradient passes back through no batch normalisation, where the two differ.
constexpr double kExactBound = 5e-5;
const fs::path kData = test::test_data() / "one-step";

std::vector<float> floats_of(const std::string& bytes) {
  const std::size_t header = 20;
  std::vector<float> values((bytes.size() - header) / sizeof(float));
  std::memcpy(values.data(), bytes.data() + header, values.size() * sizeof(float));
  return values;
}

// RGB, 0..1, NHWC; the image has the network's size.
std::vector<float> pixels_of(const fs::path& path) {
  std::vector<float> pixels;
  for (const std::uint8_t byte : read_image(path).pixels)
    pixels.push_back(static_cast<float>(byte) / 255);
  return pixels;
}

std::vector<Truth> truths_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<Truth> truths;
  for (Truth t; in >> t.class_id >> t.box.x >> t.box.y >> t.box.w >> t.box.h;) truths.push_back(t);
  return truths;
}

// Whether a gradient comes to each value of a file without passing a batch normalisation.
std::vector<bool> reached_directly(Network& net) {
  std::int64_t last = -1;  // layer with batch normalisation
  for (std::int64_t i = 0; i < net.size(); ++i)
    for (const Parameter* p : net.layer(i).parameters())
      if (p->role == Role::scale) last = i;
  std::vector<bool> direct;
  for (std::int64_t i = 0; i < net.size(); ++i)
    for (const Parameter* p : net.layer(i).parameters())
      direct.insert(direct.end(), to_size(p->value.size()),
                    i > last || (i == last && p->role != Role::weights));
  return direct;
}

class OneStep : public testing::TestWithParam<const char*> {};

TEST_P(OneStep, EqualsAlexeyAB) {
  const fs::path folder = kData / GetParam();
  Network net(read_cfg(folder / "net.cfg"), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  load_weights(kData / "before.weights", net);
  net.parameters_changed();
  std::vector<float> pixels = pixels_of(kData / "image.png");
  pixels.insert(pixels.end(), pixels.begin(), pixels.end());
  const std::vector<std::vector<Truth>> truths(2, truths_of(kData / "labels.txt"));
  ASSERT_EQ(pixels.size(), 2u * 64 * 64 * 3);
  ASSERT_EQ(truths[0].size(), 4u);
  TrainingStep step(net, optimizer, 1);
  const StepResult result =
      step.run({pixels, truths}, {.iteration = 1, .learning_rate = 1}, 0, false);
  ASSERT_TRUE(result.finite) << result.error;

  const auto before = floats_of(read_file(kData / "before.weights", 1 << 20));
  const auto after = floats_of(read_file(folder / "after.weights", 1 << 20));
  const auto ours = floats_of(weights_bytes(net, 2));
  ASSERT_EQ(ours.size(), after.size());
  const std::vector<bool> direct = reached_directly(net);
  ASSERT_EQ(direct.size(), ours.size());
  double difference = 0, length = 0, direct_difference = 0, direct_length = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double d = std::pow(double{ours[i]} - after[i], 2);
    const double l = std::pow(double{before[i]} - after[i], 2);
    difference += d, length += l;
    if (direct[i]) direct_difference += d, direct_length += l;
  }
  ASSERT_GT(direct_length, 0);
  const double all = std::sqrt(difference / length),
               exact = std::sqrt(direct_difference / direct_length);
  EXPECT_LT(all, kBound);
  EXPECT_LT(exact, kExactBound);
  std::printf("  %s: %.2e of the step, %.2e where no batch normalisation is passed\n", GetParam(),
              all, exact);
}

INSTANTIATE_TEST_SUITE_P(Cases, OneStep,
                         testing::Values("yolo-mse-ce", "yolo-ciou-scale", "yolo-new-coords",
                                         "region-rescore"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// In a file's order, parameter by parameter: what was read is written.
TEST(WeightsOfAlexeyAB, AreWrittenAsTheyWereRead) {
  for (const char* name : {"yolo-mse-ce", "region-rescore"}) {
    const fs::path file = kData / name / "after.weights";
    Network net(read_cfg(kData / name / "net.cfg"), {});
    const LoadedWeights loaded = load_weights(file, net);
    EXPECT_EQ(loaded.seen, 2u);
    EXPECT_TRUE(weights_bytes(net, loaded.seen) == read_file(file, 1 << 20)) << name;
  }
}

}  // namespace
}  // namespace darknet
