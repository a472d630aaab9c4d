// The confusion matrix of a detector as an image, for any number of classes.
#pragma once
#include <string>
#include <vector>

#include "eval/errors.h"
#include "image/image.h"

namespace darknet {

// Rows: ground truth, the last one is background; columns: what was detected, the last one is
// nothing. Shades are shares of the row. Where cells are too small for their counts, the largest
// confusions are listed below; where there are more classes than pixels, a pixel shows the largest
// share of several.
Image confusion_image(const DetectionErrors&, const std::vector<std::string>& names,
                      const std::string& title);

}  // namespace darknet
