// Networks on devices whose input changes its size.
#include <gtest/gtest.h>

#include <memory>

#include "core/device_memory.h"
#include "core/out_of_memory.h"
#include "nn/network.h"
#include "tests/device_networks.h"

namespace darknet {
namespace {

using namespace testing_devices;

// The scores of everything found in an image of noise.
std::vector<float> scores(Network& net) {
  const std::vector<float> pixels = noise(net.input_shape().size(), 4);
  memory(net.options().device.type)
      .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
  net.forward({.stream = net.stream()});
  std::vector<float> all;
  for (const InputDetection& x : detections(net, 0, .001f)) all.push_back(x.probability);
  return all;
}

std::unique_ptr<Network> network(const std::string& cfg, const Device& device) {
  auto net =
      std::make_unique<Network>(sections(cfg), NetworkOptions{.device = device, .exact = true});
  net->initialise();
  net->parameters_changed();
  return net;
}

TEST(DeviceSizes, ADifferentSizeIsComputedAsOnTheCpu) {
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  std::vector<std::vector<float>> found[2];
  const Device devices[] = {{}, cuda_devices().front()};
  for (int d = 0; d < 2; ++d) {
    const auto net = network(kNetworks[0].cfg, devices[d]);
    for (const std::int64_t size : {64, 96, 64, 32, 96})
      for (int run = 0; run < 3; ++run) {
        net->resize(1, size, size);
        found[d].push_back(scores(*net));
      }
  }
  ASSERT_FALSE(found[0][0].empty());
  for (std::size_t i = 0; i < found[0].size(); ++i)
    EXPECT_LT(worst_difference(found[0][i], found[1][i]), 1e-5) << i;
}

constexpr const char* kWide =
    "[net]\nwidth=32\nheight=32\nprecision=f16\n"
    "[convolutional]\nfilters=256\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=256\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=5,7,13,9\nnum=2\nclasses=2\n";
constexpr std::int64_t kHalfWeights = 256 * 256 * 9 * 2;  // bytes a plan of `kWide` has, and more

// Takes memory of the device until less than half of a plan's weights is left.
std::vector<Buffer> ballast(const Device& device) {
  std::vector<Buffer> all;
  for (std::int64_t bytes = memory_in_use(device)->free; bytes >= kHalfWeights / 2;) try {
      all.emplace_back(device, bytes);
    } catch (const DeviceOutOfMemory&) {
      bytes -= bytes / 4;
    }
  return all;
}

// Plans have 16-bit copies of the weights: sizes that are kept go before a new one fails.
TEST(ShortDeviceMemory, CostsKeptSizes) {
  if (!built_with_cuda()) GTEST_SKIP() << "simulated devices have memory without end";
  if (cuda_devices().empty()) GTEST_SKIP() << why_no_cuda();
  const Device device = cuda_devices().front();
  const auto net = network(kWide, device);
  for (const std::int64_t size : {64, 48, 32}) net->resize(1, size, size), scores(*net);
  std::vector<Buffer> taken = ballast(device);
  ASSERT_THROW(Buffer(device, kHalfWeights), DeviceOutOfMemory);
  net->resize(1, 16, 16);
  const std::vector<float> found = scores(*net);
  ASSERT_FALSE(found.empty());
  net->resize(1, 64, 64);
  const std::vector<float> of_largest = scores(*net);
  const auto fresh = [&](std::int64_t size) {
    const auto other = network(kWide, device);
    other->resize(1, size, size);
    return scores(*other);
  };
  taken.clear();
  memory(device.type).synchronize({.device = device});
  EXPECT_EQ(found, fresh(16));
  EXPECT_EQ(of_largest, fresh(64));
}

}  // namespace
}  // namespace darknet
