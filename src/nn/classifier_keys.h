// The keys of [net] that only the training of a classifier reads: how its images are cropped,
// stretched and mixed, and how far its targets are smoothed.
#pragma once
#include <cstdint>
#include "cfg/section.h"
#include "nn/net_settings.h"

namespace darknet {

struct ClassifierKeys {
  std::int64_t min_crop = 0, max_crop = 0;  // 0: width, 2 width
  float aspect = 1;
  float label_smooth_eps = 0;
  bool mixup = false, cutmix = false;  // the first by mixup= of ImageAugmentation

  template <class V>
  void fields(V&& v) {
    constexpr TrainingOnly kSide{Integers{0, 1 << 15}};
    v("min_crop", min_crop, kSide,
      "classifier: least length of an image's shorter side, of which width x height is cut out; 0: "
      "width");
    v("max_crop", max_crop, kSide, "classifier: greatest length of that side; 0: 2 width");
    v("aspect", aspect, TrainingOnly{Reals{.01f, 100}},
      "classifier: largest factor by which width over height changes");
    v("label_smooth_eps", label_smooth_eps, TrainingOnly{Reals{0, .999f}},
      "classifier: share of a target that goes to the other classes; [yolo] has a key of its own");
    v("cutmix", cutmix, TrainingOnly{Flag{}},
      "classifier: half of the images have a part of another one, and their targets its share; "
      "the same as mixup=2 and 4");
  }
};

// With the defaults that follow from the width. Throws, where the section is read in order to
// train, where min_crop is above max_crop.
ClassifierKeys read_classifier_keys(Section& section, const LayerKeys&, const ImageAugmentation&);
// Warns of keys of [net] that have no effect in this training of a detector: those of classifiers,
// and mixup next to mosaic.
void warn_of_classifier_keys(Section& section, const NetSettings&);
// Warns of keys of [net] that have no effect in a network without a detection head.
void warn_of_head_keys(Section& section, const NetSettings&);

}  // namespace darknet
