// Images that a network's device puts together from parts that the loader left as they are.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "dataset/loader.h"
#include "image/codec.h"
#include "tests/device_networks.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"
#include "train/host_to_device.h"
#include "train/step.h"

namespace darknet {
namespace {

namespace fs = std::filesystem;
using namespace testing_devices;

constexpr std::int64_t kSide = 64;  // of the network's input

// What a network's input holds after the loader's parts were put together on its device.
std::vector<float> input_made_of(const Batch& batch, const Device& device) {
  if (device.type == DeviceType::cpu &&
      std::ranges::all_of(batch.tiles, &std::vector<PlacedTile>::empty))
    return batch.pixels;  // read where they are
  Network net(sections(kNetworks[1].cfg), {.device = device, .mode = Mode::training});
  Optimizer optimizer(net, net.settings());
  net.initialise();
  net.parameters_changed();
  net.resize(2, batch.size.height, batch.size.width);
  TrainingStep step(net, optimizer, 1);
  const std::int64_t upload_buffers = step.memory_use(0).inputs;
  const std::vector<std::vector<Truth>> none(2);
  step.run({batch.pixels, none, batch.tiles}, {.iteration = 1, .learning_rate = 0}, 0, false);
  if (device.type != DeviceType::cpu) {
    EXPECT_EQ(step.memory_use(0).inputs, upload_buffers) << "they grew";
  }
  const TensorView in = net.input();
  std::vector<float> host(to_size(in.shape.size()));
  memory(device.type).copy_out(net.stream(), host.data(), in.data, host.size() * sizeof(float));
  memory(device.type).synchronize(net.stream());
  return host;
}

class TilesTest : public testing_files::InFolder {
 protected:
  fs::path image(const std::string& name, std::int64_t width, std::int64_t height) const {
    const std::string kind = fs::path(name).extension().string();
    return file(name, encode(testing_images::noise(width, height, 3), kind));
  }
  struct Count {
    int handed_on = 0, placed = 0;
  };
  // Batches that a device puts together against those of the loader.
  static Count compare(const std::vector<fs::path>& images, ImageAugmentation keys);
};

TilesTest::Count TilesTest::compare(const std::vector<fs::path>& images, ImageAugmentation keys) {
  keys.saturation = keys.exposure = 1.5f, keys.hue = .1f;
  BatchSettings settings{.images = ImagePaths(images),
                         .batch = 2,
                         .size =
                             [](std::int64_t) {
                               return InputSize{kSide, kSide};
                             },
                         .augmentation = Augmentation{.image = keys, .head = {.jitter = .2f}},
                         .seed = 5};
  for (std::size_t i = 0; i < images.size(); ++i) settings.truths.push_back({});
  const Batches placing(settings);
  settings.tiles = true;
  const Batches forwarding(settings);
  std::vector<Device> devices = cuda_devices();
  devices.emplace_back();
  Count count;
  for (int k = 0; k < 6; ++k) {
    const Batch expected = placing.make(k), got = forwarding.make(k);
    for (const auto& tiles : got.tiles) ++(tiles.empty() ? count.placed : count.handed_on);
    for (const Device& device : devices)
      EXPECT_LT(worst_difference(input_made_of(got, device), expected.pixels), 1e-4)
          << to_string(device) << ", batch " << k;
  }
  return count;
}

TEST_F(TilesTest, ImagesPlacedOnADeviceAreThoseOfTheLoader) {
  const std::vector<fs::path> images{image("small.png", 30, 20), image("large.png", 400, 300),
                                     image("parts.jpg", 90, 70)};  // of which parts are decoded
  for (const ImageAugmentation& keys : {ImageAugmentation{.mosaic = true},
                                        {.angle = 20, .mosaic = true},
                                        {.mixup = 1},
                                        {.blur = 5},
                                        {.gaussian_noise = 10},
                                        {.mosaic = true, .gaussian_noise = 10}}) {
    const Count count = compare(images, keys);
    EXPECT_GE(count.handed_on, 1);
    EXPECT_GT(count.placed, 2);  // images with more bytes than the input has as floats
  }
}

// As many bytes as the tiles of an image may have: its floats are kSide * kSide * 3 * 4.
TEST_F(TilesTest, FitIntoTheUploadBuffersThatWereTakenBefore) {
  constexpr std::int64_t kHalf = 2 * kSide, kQuarter = kSide;
  EXPECT_EQ(compare({image("one.png", kHalf - 1, kHalf + 1)}, {}).placed, 0);
  EXPECT_GT(compare({image("four.png", kQuarter - 1, kQuarter + 1)}, {.mosaic = true}).handed_on,
            2);
}

// Batches are sent while the device has yet to begin with those before, each larger than the upload
// buffer that it follows in: what lies there is neither overwritten nor given back too early.
TEST(Uploads, FollowEachOtherWithoutWaitingForTheDevice) {
  constexpr int kBatches = 6;
  for (const Device& device : cuda_devices()) {
    Network net(sections(kNetworks[1].cfg), {.device = device, .mode = Mode::training});
    net.resize(1, kSide, kSide);
    HostToDevice inputs(net);
    const std::int64_t at_first = inputs.bytes(), floats = net.input_shape().features();
    const std::int64_t bytes = floats * std::int64_t{sizeof(float)};
    const Buffer kept(device, kBatches * bytes);
    for (int k = 0; k < kBatches; ++k) {  // all of one colour, which the next batch has not
      DecodedImage image{.image = Image(kSide * (k + 2), kSide * (k + 2), 3)};
      std::ranges::fill(image.image.pixels, static_cast<std::uint8_t>(10 * (k + 1)));
      std::vector<std::vector<PlacedTile>> tiles(1);
      tiles[0].push_back({CachedImage(&image), {.region = {0, 0, kSide, kSide}}});
      const std::vector<std::vector<Truth>> none(1);
      inputs.send({{}, none, tiles}, 0, {.iteration = 1});
      memory(device.type)
          .copy(net.stream(), static_cast<char*>(kept.data()) + k * bytes, net.input().data,
                to_size(bytes));
    }
    EXPECT_GT(inputs.bytes(), at_first);
    std::vector<float> all(to_size(kBatches * floats));
    memory(device.type).copy_out(net.stream(), all.data(), kept.data(), to_size(kept.bytes()));
    for (std::size_t i = 0; i < all.size(); ++i)
      ASSERT_NEAR(255 * all[i], 10. * static_cast<double>(1 + i / to_size(floats)), 1e-3)
          << to_string(device) << ", value " << i;
  }
}

}  // namespace
}  // namespace darknet
