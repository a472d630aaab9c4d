#include "train/training_batches.h"

namespace darknet {

BatchSettings training_batches(const Network& net, const AnnotatedImages& images,
                               std::uint64_t seed) {
  const NetSettings& settings = net.settings();
  const AugmentationKeys keys = net.heads().back().head->settings().augmentation;
  return {.images = images.images,
          .truths = images.truths,
          .channels = settings.channels,
          .batch = settings.batch,
          .input_max = settings.input_max,
          .size =
              [settings, seed, random = keys.random](std::int64_t k) {
                return random_size(settings, random, seed, k, settings.max_batches);
              },
          .augmentation = augmentation_of(settings, keys),
          .seed = seed,
          .tiles = net.options().device.type != DeviceType::cpu};
}

}  // namespace darknet
