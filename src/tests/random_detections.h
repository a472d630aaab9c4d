// Images with random truths and detections, some of them right, for tests of evaluations.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/index.h"
#include "core/rng.h"
#include "eval/average_precision.h"

namespace darknet::test {

inline EvaluatedImage image_of(std::vector<Detection> d, std::vector<Truth> t,
                               std::int64_t side = 100) {
  return {.detections = std::move(d), .truths = std::move(t), .width = side, .height = side};
}

// Of three classes, with difficult truths and equal scores.
inline std::vector<EvaluatedImage> random_images(std::uint64_t seed, int count) {
  Rng rng(seed);
  std::vector<EvaluatedImage> images;
  for (int i = 0; i < count; ++i) {
    EvaluatedImage image = image_of({}, {}, 64 + rng.below(600));
    const auto box = [&] {
      return Box{rng.uniform(), rng.uniform(), rng.uniform(.02f, .4f), rng.uniform(.02f, .4f)};
    };
    for (std::int64_t t = rng.below(6); t > 0; --t)
      (rng.below(5) == 0 ? image.difficult : image.truths)
          .push_back({box(), static_cast<std::int32_t>(rng.below(3))});
    for (std::int64_t d = rng.below(12); d > 0; --d) {
      Detection one{box(), static_cast<std::int32_t>(rng.below(3)), 1,
                    static_cast<float>(rng.below(20)) / 20};
      if (!image.truths.empty() && rng.flip()) {
        const Truth& t = image.truths[to_size(rng.below(std::ssize(image.truths)))];
        one.box = t.box, one.class_id = t.class_id;
        one.box.x += rng.uniform(-.04f, .04f), one.box.w *= rng.uniform(.7f, 1.3f);
      }
      image.detections.push_back(one);
    }
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace darknet::test
