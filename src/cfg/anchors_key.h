// The `anchors` key of a detection head against its `num`.
#pragma once
#include <cstdint>
#include <vector>

#include "cfg/section.h"
#include "core/index.h"

namespace darknet {

// Leaves the width and height of the first `num` anchors, as Darknet does; a warning where there
// are more, an error where there are fewer.
inline void take_anchors(Section& section, std::int64_t num, std::vector<float>& anchors) {
  const auto needed = to_size(2 * num);
  const std::string text =
      cat("num=", num, " anchors need ", needed, " numbers, there are ", anchors.size());
  if (anchors.size() < needed) section.fail_between({"anchors", "num"}, text);
  if (anchors.size() > needed)
    section.ignore("anchors", cat(text, "; the first ", needed, " count"));
  anchors.resize(needed);
}

}  // namespace darknet
