// What was found, drawn into a frame as `detector test` draws it, and the figures above.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "image/draw.h"
#include "image/image.h"
#include "video/track.h"

namespace darknet {

// "person 87%", and with an identity "person 12 87%".
std::string caption_of(const TrackedDetection&, const std::vector<std::string>& names);
void draw_found(Image&, std::span<const TrackedDetection>, const std::vector<std::string>& names,
                const CaptionOptions& = {});

}  // namespace darknet
