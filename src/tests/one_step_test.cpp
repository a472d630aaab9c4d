// One SGD step equals AlexeyAB's: before.weights and after.weights of four small networks, trained
// by it for one iteration on one picture taken twice (shared data; see its README).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "nn/weights.h"
#include "paths.h"
#include "train/step.h"

#if defined(DARKNET_OPENCV)
#include <opencv2/imgcodecs.hpp>

namespace darknet {
namespace {
namespace fs = std::filesystem;

const fs::path kData = test::source_dir() / "../shared/data/one-step";

std::vector<float> floats_of(const std::string& bytes) {
  constexpr std::size_t header = 20;
  std::vector<float> values((bytes.size() - header) / sizeof(float));
  std::memcpy(values.data(), bytes.data() + header, values.size() * sizeof(float));
  return values;
}

// RGB, 0..1, NHWC; the picture has the network's size.
std::vector<float> pixels_of(const fs::path& path) {
  const cv::Mat bgr = cv::imread(path.string());
  std::vector<float> pixels;
  for (int y = 0; y < bgr.rows; ++y)
    for (int x = 0; x < bgr.cols; ++x)
      for (int c = 2; c >= 0; --c)
        pixels.push_back(static_cast<float>(bgr.at<cv::Vec3b>(y, x)[c]) / 255);
  return pixels;
}

std::vector<Truth> truths_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<Truth> truths;
  for (Truth t; in >> t.class_id >> t.box.x >> t.box.y >> t.box.w >> t.box.h;) truths.push_back(t);
  return truths;
}

class OneStep : public testing::TestWithParam<const char*> {};

TEST_P(OneStep, EqualsAlexeyAB) {
  const fs::path folder = kData / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << "no shared data";
  Network net(read_cfg(folder / "net.cfg"), {.mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  load_weights(folder / "before.weights", net);
  net.parameters_changed();
  std::vector<float> pixels = pixels_of(kData / "img/a.png");
  pixels.insert(pixels.end(), pixels.begin(), pixels.end());
  const std::vector<std::vector<Truth>> truths(2, truths_of(kData / "img/a.txt"));
  ASSERT_EQ(pixels.size(), 2u * 64 * 64 * 3);
  ASSERT_EQ(truths[0].size(), 4u);
  TrainingStep step(net, optimizer, 1);
  const StepResult result =
      step.run({pixels, truths}, {.iteration = 1, .learning_rate = 1}, 0, false);
  ASSERT_TRUE(result.finite) << result.fault;

  const auto before = floats_of(read_file(folder / "before.weights", 1 << 20));
  const auto after = floats_of(read_file(folder / "after.weights", 1 << 20));
  const auto ours = floats_of(weights_bytes(net, 2));
  ASSERT_EQ(ours.size(), after.size());
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference += std::pow(double{ours[i]} - after[i], 2);
    length += std::pow(double{before[i]} - after[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / length), 5e-3);
  RecordProperty("relative_difference", std::to_string(std::sqrt(difference / length)));
  std::printf("  %s: %.2e of the step\n", GetParam(), std::sqrt(difference / length));
}

INSTANTIATE_TEST_SUITE_P(Cases, OneStep,
                         testing::Values("yolo-mse-ce", "yolo-ciou-scale", "yolo-new-coords",
                                         "region-rescore"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace darknet
#endif
