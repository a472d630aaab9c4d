#include "train/random_batch.h"

#include "core/index.h"
#include "core/rng.h"

namespace darknet {
namespace {
constexpr int kTruthsPerImage = 8;
}

std::vector<float> random_pixels(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values(to_size(n));
  Rng rng(seed);
  for (float& v : values) v = rng.uniform();
  return values;
}

std::vector<std::vector<Truth>> random_truths(std::int64_t images, std::int64_t classes,
                                              std::uint64_t seed) {
  std::vector<std::vector<Truth>> all(to_size(images));
  Rng rng(seed, 1);
  for (auto& truths : all)
    for (int i = 0; i < kTruthsPerImage; ++i) {
      const float w = rng.uniform(.02f, .4f), h = rng.uniform(.02f, .4f);
      truths.push_back({{rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2), w, h},
                        static_cast<std::int32_t>(rng.below(classes))});
    }
  return all;
}

}  // namespace darknet
