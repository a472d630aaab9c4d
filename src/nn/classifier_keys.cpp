#include "nn/classifier_keys.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace darknet {

ClassifierKeys read_classifier_keys(Section& section, const LayerKeys& net,
                                    const ImageAugmentation& images) {
  ClassifierKeys keys;
  section.read(keys);
  keys.mixup = images.mixup == 1;
  keys.cutmix |= images.mixup == 2 || images.mixup == 4;
  if (keys.min_crop == 0) keys.min_crop = net.width;
  if (keys.max_crop == 0) keys.max_crop = std::max(2 * net.width, keys.min_crop);
  if (section.training() && keys.min_crop > keys.max_crop)
    section.fail_between(
        {"min_crop", "max_crop"},
        cat("min_crop=", keys.min_crop, " is above max_crop=", keys.max_crop, "; exchange them"));
  return keys;
}

// As in Darknet.
void warn_of_classifier_keys(Section& section, const NetSettings& net) {
  const ImageAugmentation& images = net.augmentation;
  const ClassifierKeys keys = read_classifier_keys(section, net, {});
  for (const auto& [key, asked] :
       {std::pair{"min_crop", section.has("min_crop")},
        std::pair{"max_crop", section.has("max_crop")}, std::pair{"aspect", keys.aspect != 1},
        std::pair{"label_smooth_eps", keys.label_smooth_eps > 0}})
    if (asked) section.ignore(key, "has no effect on detectors: it belongs to classifiers");
  if (keys.cutmix)
    section.ignore("cutmix", "has no effect on detectors; mosaic=1 puts images together");
  if (images.mixup == 2 || images.mixup == 4)
    section.ignore(
        "mixup",
        "2 and 4 ask for cutmix, which has no effect on detectors; 1 mixes two images, 3 "
        "and 4 are mosaic=1");
  if (images.mixup == 1 && images.mosaic) section.ignore("mixup", "has no effect next to mosaic=1");
  section.finish();
}

void warn_of_head_keys(Section& section, const NetSettings& net) {
  const RejectionKeys& keys = net.rejection;
  for (const auto& [key, asked] :
       {std::pair{"badlabels_rejection_percentage", keys.badlabels_rejection_percentage > 0},
        std::pair{"num_sigmas_reject_badlabels", keys.num_sigmas_reject_badlabels > 0},
        std::pair{"equidistant_point", keys.equidistant_point > 0}})
    if (asked) section.ignore(key, "has no effect on classifiers: it belongs to detection heads");
  section.finish();
}

}  // namespace darknet
